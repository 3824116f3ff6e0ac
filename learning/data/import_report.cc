// SPDX-License-Identifier: Apache-2.0
#include "learning/data/import_report.h"

#include <algorithm>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "learning/data/path_rules.h"

namespace hemafed::learning {

namespace {

// Names of left-out files that the text shows for one reason; the JSON has more.
constexpr std::size_t kNamesInText = 10;
constexpr std::size_t kSizesInText = 8;
// Labels counted one by one; a tree with more folders than this is no tree of classes.
constexpr std::size_t kMaxDroppedLabels = 1024;

bool IsAboutLabel(SkipReason reason) {
  return reason == SkipReason::kDroppedLabel || reason == SkipReason::kUnknownLabel;
}

using Sizes = std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t>;

// " 360x363 (500), 366x369 (2)", the most frequent sizes first.
std::string SizesInText(const Sizes& sizes) {
  std::vector<std::pair<Sizes::key_type, std::uint64_t>> order(sizes.begin(), sizes.end());
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string text;
  for (std::size_t i = 0; i < order.size() && i < kSizesInText; ++i) {
    const auto& [size, count] = order[i];
    text += (i == 0 ? " " : ", ") + std::to_string(size.first) + "x" + std::to_string(size.second) + " (" +
            std::to_string(count) + ")";
  }
  if (order.size() > kSizesInText) text += " and " + std::to_string(order.size() - kSizesInText) + " other sizes";
  return text;
}

std::uint64_t Sum(const std::vector<std::uint64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

}  // namespace

void ImportReport::Skip(const std::string& file, SkipReason reason, const std::string& detail) {
  ++counts_[static_cast<std::size_t>(reason)];
  if (IsAboutLabel(reason)) {
    // Whole classes are left out at a time; their labels say more than their file names.
    const std::string label = Printable(detail);
    if (dropped_labels_.contains(label) || dropped_labels_.size() < kMaxDroppedLabels) ++dropped_labels_[label];
    return;
  }
  if (skipped_.size() < kMaxSkippedNamed) skipped_.push_back({Printable(file), reason, Printable(detail)});
}

void ImportReport::Misplace(const std::string& file, const std::string& folder, const std::string& label) {
  ++misplaced_;
  if (misplaced_files_.size() == kMaxSkippedNamed) return;
  misplaced_files_.push_back(Printable(file + " (in '" + folder + "', named " + label + ")"));
}

void ImportReport::Summarise(const DatasetIndex& index) {
  domain_ = index.domain;
  classes_ = index.classes;
  train_ = index.CountsPerClass(Split::kTrain);
  test_ = index.CountsPerClass(Split::kTest);
  sizes_.clear();
  for (const PictureEntry& picture : index.pictures) ++sizes_[{picture.width, picture.height}];
}

std::uint64_t ImportReport::SkippedInAll() const {
  return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
}

std::uint64_t ImportReport::pictures() const { return Sum(train_) + Sum(test_); }

std::string ImportReport::ToText() const {
  std::size_t width = 5;
  for (const std::string& name : classes_) width = std::max(width, name.size());
  std::ostringstream out;
  const auto row = [&](const std::string& name, const auto& train, const auto& test) {
    out << "  " << std::left << std::setw(static_cast<int>(width)) << name << std::right << std::setw(9) << train
        << std::setw(9) << test << "\n";
  };
  out << domain_ << ": " << pictures() << " pictures\n";
  row("class", "train", "test");
  for (std::size_t c = 0; c < classes_.size(); ++c) row(classes_[c], train_[c], test_[c]);
  row("all", Sum(train_), Sum(test_));
  std::string empty;
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    if (train_[c] + test_[c] == 0) empty += (empty.empty() ? " " : ", ") + classes_[c];
  }
  if (!empty.empty()) out << "without any picture:" << empty << "\n";
  if (!sizes_.empty()) out << "sizes in pixels:" << SizesInText(sizes_) << "\n";
  if (misplaced_ > 0) {
    out << misplaced_ << " pictures lie in a folder of another class; their names decide:\n";
    const std::size_t shown = std::min(kNamesInText, misplaced_files_.size());
    for (std::size_t i = 0; i < shown; ++i) out << "           " << misplaced_files_[i] << "\n";
    if (shown < misplaced_) out << "           and " << misplaced_ - shown << " more\n";
  }
  if (SkippedInAll() == 0) {
    out << "no file was left out\n";
    return out.str();
  }
  out << SkippedInAll() << " files were left out:\n";
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const auto reason = static_cast<SkipReason>(i);
    if (counts_[i] == 0) continue;
    out << "  " << std::setw(7) << counts_[i] << "  " << SkipReasonText(reason) << "\n";
    std::size_t named = 0;
    for (const SkippedFile& file : skipped_) {
      if (file.reason != reason || named == kNamesInText) continue;
      ++named;
      out << "           " << file.file << (file.detail.empty() ? "" : " (" + file.detail + ")") << "\n";
    }
    if (!IsAboutLabel(reason) && named < counts_[i]) out << "           and " << counts_[i] - named << " more\n";
  }
  if (!dropped_labels_.empty()) {
    out << "  labels left out:";
    for (const auto& [label, count] : dropped_labels_) out << " " << label << " " << count << ";";
    out << "\n";
  }
  return out.str();
}

nlohmann::json ImportReport::ToJson() const {
  nlohmann::json report = {{"domain", domain_},
                           {"pictures", pictures()},
                           {"classes", nlohmann::json::array()},
                           {"skipped", nlohmann::json::object()},
                           {"skipped_labels", dropped_labels_},
                           {"skipped_files", nlohmann::json::array()},
                           {"misplaced", misplaced_},
                           {"misplaced_files", misplaced_files_},
                           {"sizes", nlohmann::json::array()}};
  for (const auto& [size, count] : sizes_) {
    report["sizes"].push_back({{"width", size.first}, {"height", size.second}, {"pictures", count}});
  }
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    report["classes"].push_back({{"class", classes_[c]}, {"train", train_[c]}, {"test", test_[c]}});
  }
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] > 0) report["skipped"][std::string(SkipReasonName(static_cast<SkipReason>(i)))] = counts_[i];
  }
  for (const SkippedFile& file : skipped_) {
    report["skipped_files"].push_back(
        {{"file", file.file}, {"reason", SkipReasonName(file.reason)}, {"detail", file.detail}});
  }
  return report;
}

}  // namespace hemafed::learning
