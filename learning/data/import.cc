// SPDX-License-Identifier: Apache-2.0
#include "learning/data/import.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "codec/plan.h"
#include "common/error.h"
#include "learning/data/csv.h"
#include "learning/data/manifest.h"
#include "learning/data/path_rules.h"
#include "learning/data/picture.h"
#include "learning/data/picture_folder.h"
#include "learning/data/split_rule.h"

namespace hemafed::learning {

namespace {

// A picture that may enter the index, with what a manifest claims about it.
struct Candidate {
  PictureEntry entry;
  bool from_manifest = false;  // Then width, height and digest are claims to be checked.
};

// The last part of a path.
std::string NameOf(const std::string& file) {
  const std::size_t slash = file.rfind('/');
  return slash == std::string::npos ? file : file.substr(slash + 1);
}

// The folder that a file lies in, without those above it; empty for a file at the root.
std::string FolderOf(const std::string& file) {
  const std::size_t slash = file.rfind('/');
  return slash == std::string::npos ? std::string() : NameOf(file.substr(0, slash));
}

// Labels shown in the error about unknown ones.
constexpr std::size_t kMaxUnknownShown = 20;

class Importer {
 public:
  Importer(FileSystem& files, const Path& folder, const std::string& domain, const LabelMap& labels)
      : files_(files), folder_(files, folder), labels_(labels) {
    if (!IsPlainName(domain)) {
      throw Error(
          ErrorCode::kInvalidInput,
          "'" + Printable(domain) +
              "' is no name for a domain: use 1 to 48 of a-z, 0-9, '_' and '-', starting with a letter or digit");
    }
    result_.index.domain = domain;
    result_.index.label_map = labels.name();
    result_.index.classes = labels.classes();
  }

  [[nodiscard]] const PictureFolder& folder() const { return folder_; }

  // Text of a table in the folder, or nothing if there is none.
  [[nodiscard]] std::optional<std::string> Table(std::string_view name) const {
    const Path path = folder_.root() / name;
    if (!files_.Exists(path)) return std::nullopt;
    return ReadFile(files_, path, kMaxCsvBytes);
  }
  [[nodiscard]] std::map<std::string, std::string> FileTable(std::string_view name, std::string_view column) const {
    const auto text = Table(name);
    if (!text) return {};
    return ParseFileTable(*text, column, (folder_.root() / name).string());
  }

  void Skip(const std::string& file, SkipReason reason, const std::string& detail = {}) {
    result_.report.Skip(file, reason, detail);
  }

  // Takes a path of the source if path and label allow it.
  void Offer(Candidate candidate) {
    PictureEntry& entry = candidate.entry;
    if (const auto reason = CheckPicturePath(entry.file)) return Skip(entry.file, *reason);
    if (labels_.LeavesOut(NameOf(entry.file))) return Skip(entry.file, SkipReason::kLeftOut);
    const LabelMeaning meaning = labels_.Find(entry.label);
    if (meaning.verdict == LabelVerdict::kDropped) return Skip(entry.file, SkipReason::kDroppedLabel, entry.label);
    if (meaning.verdict == LabelVerdict::kUnknown) {
      ++unknown_[Printable(entry.label)];
      return Skip(entry.file, SkipReason::kUnknownLabel, entry.label);
    }
    entry.class_index = meaning.class_index;
    if (candidates_.size() == kMaxFilesPerDomain) {
      throw Error(ErrorCode::kInvalidInput, folder_.root().string() + " lists more than " +
                                                std::to_string(kMaxFilesPerDomain) + " pictures for one domain");
    }
    candidates_.push_back(std::move(candidate));
  }

  void RefuseUnknownLabels() const {
    if (!labels_.unknown_is_error() || unknown_.empty()) return;
    std::string listed;
    std::size_t shown = 0;
    for (const auto& [label, count] : unknown_) {
      if (shown++ == kMaxUnknownShown) {
        listed += ", ...";
        break;
      }
      listed += (listed.empty() ? "" : ", ") + ("'" + label + "' (" + std::to_string(count) + " files)");
    }
    throw Error(ErrorCode::kInvalidInput, folder_.root().string() + " has labels that the label map '" +
                                              labels_.name() + "' does not mention: " + listed +
                                              "; add each to a class or to 'dropped', or set unknown = \"skip\"");
  }

  // Reads and decodes every candidate.
  void CheckAll(const ImportProgress& progress) {
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      Check(candidates_[i]);
      if (progress && !progress(i + 1, candidates_.size())) {
        throw Error(ErrorCode::kInterrupted,
                    "the import of " + folder_.root().string() + " was stopped; nothing was written, start it again");
      }
    }
  }

  // Keeps one of each set of byte-identical pictures and brings them into the index's order.
  void Deduplicate() {
    std::sort(good_.begin(), good_.end(), [](const PictureEntry& a, const PictureEntry& b) {
      return std::make_tuple(a.digest, a.split != Split::kTest, std::string_view(a.file)) <
             std::make_tuple(b.digest, b.split != Split::kTest, std::string_view(b.file));
    });
    for (auto first = good_.begin(); first != good_.end();) {
      const auto last = std::find_if(first, good_.end(), [&](const auto& p) { return p.digest != first->digest; });
      const bool agree = std::all_of(first, last, [&](const auto& p) { return p.class_index == first->class_index; });
      for (auto at = first; at != last; ++at) {
        if (!agree) Skip(at->file, SkipReason::kContradictoryLabel, "SHA-256 " + at->digest.Hex().substr(0, 16));
        if (agree && at != first) Skip(at->file, SkipReason::kDuplicate, "of " + first->file);
      }
      if (agree) result_.index.pictures.push_back(std::move(*first));
      first = last;
    }
  }

  [[nodiscard]] DatasetIndex& index() { return result_.index; }

  // Names the kept pictures whose folder speaks of another class than their file name.
  void ReportMisplaced() {
    for (const PictureEntry& picture : result_.index.pictures) {
      const std::string folder = FolderOf(picture.file);
      if (!folder.empty() && labels_.IsMisplaced(folder, picture.label)) {
        result_.report.Misplace(picture.file, folder, picture.label);
      }
    }
  }

  [[nodiscard]] Import Finish() {
    result_.report.Summarise(result_.index);
    if (result_.index.pictures.empty()) {
      throw Error(ErrorCode::kInvalidInput,
                  "no picture of " + folder_.root().string() + " can be used; " + result_.report.ToText());
    }
    return std::move(result_);
  }

 private:
  void Check(Candidate& candidate) {
    PictureEntry& entry = candidate.entry;
    const auto content = folder_.Read(entry.file);
    if (const auto* reason = std::get_if<SkipReason>(&content)) return Skip(entry.file, *reason);
    const ByteView bytes = AsBytes(std::get<std::string>(content));
    const Digest digest = Sha256Of(bytes);
    if (candidate.from_manifest && digest != entry.digest) return Skip(entry.file, SkipReason::kDigestDiffers);
    const auto decoded = DecodePicture(bytes);
    if (const auto* reason = std::get_if<SkipReason>(&decoded)) return Skip(entry.file, *reason);
    const auto& pixels = std::get<cv::Mat>(decoded);
    const auto width = static_cast<std::uint32_t>(pixels.cols);
    const auto height = static_cast<std::uint32_t>(pixels.rows);
    if (candidate.from_manifest && (width != entry.width || height != entry.height)) {
      return Skip(entry.file, SkipReason::kSizeDiffers, std::to_string(width) + "x" + std::to_string(height));
    }
    entry.width = width;
    entry.height = height;
    entry.bytes = bytes.size();
    entry.digest = digest;
    good_.push_back(std::move(entry));
  }

  FileSystem& files_;
  PictureFolder folder_;
  const LabelMap& labels_;
  std::vector<Candidate> candidates_;
  std::vector<PictureEntry> good_;
  std::map<std::string, std::uint64_t> unknown_;
  Import result_;
};

std::string ValueOf(const std::map<std::string, std::string>& table, const std::string& file) {
  const auto found = table.find(file);
  return found == table.end() ? std::string() : found->second;
}

// The label that a path carries, or nothing.
std::optional<std::string> LabelOf(const std::string& file, LabelRule rule) {
  if (rule == LabelRule::kFolder) {
    const std::size_t slash = file.find('/');
    if (slash == std::string::npos) return std::nullopt;
    return file.substr(0, slash);
  }
  const std::string name = NameOf(file);
  const std::size_t underscore = name.find('_');
  if (underscore == std::string::npos || underscore == 0) return std::nullopt;
  return name.substr(0, underscore);
}

}  // namespace

Import ImportManifest(FileSystem& files, const Path& folder, const std::string& domain, const LabelMap& labels,
                      const ImportProgress& progress) {
  Importer importer(files, folder, domain, labels);
  const auto text = importer.Table(kManifestFile);
  const std::string where = (importer.folder().root() / kManifestFile).string();
  if (!text) {
    throw Error(ErrorCode::kNotFound,
                "there is no " + where + "; name a folder with a manifest, or import it as a tree of class folders");
  }
  const auto groups = importer.FileTable(kSourcesFile, "group");
  const auto patients = importer.FileTable(kPatientsFile, "patient");
  for (ManifestRow& row : ParseManifest(*text, where)) {
    Candidate candidate;
    candidate.from_manifest = true;
    candidate.entry.label = std::move(row.class_common);
    candidate.entry.split = row.split;
    candidate.entry.width = row.width;
    candidate.entry.height = row.height;
    candidate.entry.digest = row.digest;
    candidate.entry.group = ValueOf(groups, row.file);
    candidate.entry.patient = ValueOf(patients, row.file);
    candidate.entry.file = std::move(row.file);
    importer.Offer(std::move(candidate));
  }
  importer.RefuseUnknownLabels();
  importer.CheckAll(progress);
  importer.Deduplicate();
  return importer.Finish();
}

Import ImportTree(FileSystem& files, const Path& folder, const std::string& domain, const LabelMap& labels,
                  const TreeSettings& settings, const ImportProgress& progress) {
  Importer importer(files, folder, domain, labels);
  const auto patients = importer.FileTable(kPatientsFile, "patient");
  const LabelRule rule = settings.label_rule.value_or(labels.label_rule());
  for (std::string& file : importer.folder().ListFiles()) {
    if (file == kPatientsFile) continue;
    if (const auto reason = CheckPicturePath(file)) {
      importer.Skip(file, *reason);
      continue;
    }
    const auto label = LabelOf(file, rule);
    if (!label) {
      importer.Skip(file, SkipReason::kNoClass);
      continue;
    }
    Candidate candidate;
    candidate.entry.label = *label;
    candidate.entry.patient = ValueOf(patients, file);
    candidate.entry.file = std::move(file);
    importer.Offer(std::move(candidate));
  }
  importer.RefuseUnknownLabels();
  importer.CheckAll(progress);
  importer.Deduplicate();
  if (rule == LabelRule::kFilePrefix) importer.ReportMisplaced();
  DatasetIndex& index = importer.index();
  const std::vector<bool> test =
      HoldOut(index.pictures, index.classes.size(), settings.test_percent, settings.split_seed);
  for (std::size_t i = 0; i < test.size(); ++i) index.pictures[i].split = test[i] ? Split::kTest : Split::kTrain;
  return importer.Finish();
}

}  // namespace hemafed::learning
