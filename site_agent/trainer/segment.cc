// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/segment.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <optional>

#include "common/csv_row.h"
#include "common/error.h"
#include "common/folder_lock.h"
#include "learning/data/path_rules.h"
#include "learning/data/picture.h"
#include "learning/data/picture_folder.h"
#include "learning/data/picture_sheet.h"
#include "learning/features/cells/annotated_picture.h"
#include "learning/features/cells/draw_cells.h"
#include "site_agent/trainer/segment_journal.h"

namespace hemafed::trainer {

using learning::FoundCell;
using nlohmann::json;

namespace {

constexpr std::size_t kSheetColumns = 10, kSheetRows = 10;  // 1,360 pixels wide: fits a screen
constexpr int kSheetTile = 128;                             // pixels
constexpr int kPngLevel = 1;              // Of 9, which makes the whole run take eighteen times as long.
constexpr std::uint64_t kSyncEvery = 50;  // pictures that a loss of power may cost

bool HasPictureName(const std::string& file) {
  std::string extension = Path(file).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const char* known : {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}) {
    if (extension == known) return true;
  }
  return false;
}

// Masks are annotations of pictures, not pictures.
bool IsMask(const std::string& file) {
  const std::string folder = std::string(learning::kMasksFolder) + "/";
  return file.starts_with(folder) || file.find("/" + folder) != std::string::npos;
}

std::string Fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

// "<file>.png": two pictures that differ by their extension only do not collide.
Path PngOf(const Path& folder, const std::string& file) { return folder / (file + ".png"); }

// Never seen in part, but not synced: thousands of syncs would take longer than finding the cells, and what a loss of
// power takes is drawn again once it is removed.
void WritePng(FileSystem& files, const Path& path, const cv::Mat& rgb) {
  files.CreateFolders(path.parent_path());
  const Path beside = path.string() + ".tmp";
  const auto out = files.Create(beside);
  out->Append(AsText(learning::EncodePng(rgb, kPngLevel)));
  out->Close();
  files.Rename(beside, path);
}

// No larger than a tile, so that a hundred of them fit into memory whatever their pictures' size.
cv::Mat FitTile(const cv::Mat& drawing) {
  const double scale = static_cast<double>(kSheetTile) / std::max(drawing.rows, drawing.cols);
  if (scale >= 1) return drawing;
  cv::Mat small;
  cv::resize(drawing, small,
             cv::Size(std::max(1, cvRound(drawing.cols * scale)), std::max(1, cvRound(drawing.rows * scale))), 0, 0,
             cv::INTER_AREA);
  return small;
}

class Run {
 public:
  Run(FileSystem& files, learning::CellFinder& finder, const SegmentSettings& settings);
  SegmentSummary Go(const SegmentProgress& progress);

 private:
  void DoPicture(const std::string& file);
  // Finds, draws and notes the cells of a picture that the journal does not know.
  std::vector<FoundCell> FindCells(const std::string& file, const cv::Mat& rgb, const Digest& digest);
  [[nodiscard]] std::vector<FoundCell> Counted(const std::vector<FoundCell>& cells) const;
  [[nodiscard]] bool GoesOn(const std::vector<FoundCell>& cells) const {
    return cells.size() == 1 || (settings_.take_best && !cells.empty());
  }
  void RemoveCrop(const std::string& file) { files_.Remove(PngOf(crops_, file)); }
  void Leave(const std::string& file, std::string reason, std::uint64_t detections);
  void AddRows(const std::string& file, const std::vector<FoundCell>& cells, bool goes_on);
  void DrawSheets(const char* name, const Path& folder, const std::vector<std::string>& shown,
                  const SegmentProgress& progress);
  void WriteReports();

  FileSystem& files_;
  learning::CellFinder& finder_;
  const SegmentSettings& settings_;
  learning::PictureFolder folder_;
  Path crops_, overlays_;
  std::optional<SegmentJournal> journal_;
  SegmentSummary summary_;
  std::string table_;
  std::vector<std::string> used_, left_;  // files that have a crop; that have none but a drawing
};

Run::Run(FileSystem& files, learning::CellFinder& finder, const SegmentSettings& settings)
    : files_(files),
      finder_(finder),
      settings_(settings),
      folder_(files, settings.pictures),
      crops_(settings.output / "crops"),
      overlays_(settings.output / "overlays") {
  const Path output = std::filesystem::weakly_canonical(settings.output);
  const auto [in_root, in_output] =
      std::mismatch(folder_.root().begin(), folder_.root().end(), output.begin(), output.end());
  (void)in_output;
  if (in_root == folder_.root().end()) {
    throw Error(ErrorCode::kInvalidInput, output.string() +
                                              " lies within the folder of pictures, so the next run would "
                                              "take its crops for pictures; name a folder outside");
  }
  const auto [in_output_too, in_pictures] =
      std::mismatch(output.begin(), output.end(), folder_.root().begin(), folder_.root().end());
  (void)in_pictures;
  if (in_output_too == output.end()) {
    throw Error(ErrorCode::kInvalidInput, folder_.root().string() + " lies within the output folder " +
                                              output.string() + ", which this command writes; name another one");
  }
  summary_.finder = finder.Description();
  table_ = FormatCsvRow({"file", "detections", "cell", "x0", "y0", "x1", "y1", "score", "crop"});
}

void Run::Leave(const std::string& file, std::string reason, std::uint64_t detections) {
  summary_.left.push_back({learning::Printable(file), std::move(reason), detections});
}

void Run::AddRows(const std::string& file, const std::vector<FoundCell>& cells, bool goes_on) {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const cv::Rect2f& box = cells[i].box;
    table_ += FormatCsvRow({file, std::to_string(cells.size()), std::to_string(i + 1), Fixed(box.x, 2), Fixed(box.y, 2),
                            Fixed(learning::Right(box), 2), Fixed(learning::Bottom(box), 2), Fixed(cells[i].score, 4),
                            goes_on && i == 0 ? "crops/" + file + ".png" : ""});
  }
}

std::vector<FoundCell> Run::Counted(const std::vector<FoundCell>& cells) const {
  std::vector<FoundCell> good;
  std::copy_if(cells.begin(), cells.end(), std::back_inserter(good),
               [&](const FoundCell& cell) { return double{cell.score} >= settings_.min_score; });
  return good;
}

std::vector<FoundCell> Run::FindCells(const std::string& file, const cv::Mat& rgb, const Digest& digest) {
  std::vector<FoundCell> all = finder_.Find(rgb);
  if (all.size() > kMaxCellsPerPicture) all.resize(kMaxCellsPerPicture);
  std::vector<FoundCell> cells = Counted(all);
  WritePng(files_, PngOf(overlays_, file), learning::DrawCells(rgb, cells));
  RemoveCrop(file);  // Of another picture that had the name before, or of a run that counted other cells.
  if (GoesOn(cells)) WritePng(files_, PngOf(crops_, file), learning::CropCell(rgb, cells[0].box, settings_.crop));
  journal_->Add(file, {digest, all, cells.size()});
  return cells;
}

void Run::DoPicture(const std::string& file) {
  const auto leave_unread = [&](learning::SkipReason reason) {
    ++summary_.unreadable;
    Leave(file, std::string(learning::SkipReasonText(reason)), 0);
  };
  if (const auto reason = learning::CheckPicturePath(file)) return leave_unread(*reason);
  const auto content = folder_.Read(file);
  if (const auto* reason = std::get_if<learning::SkipReason>(&content)) return leave_unread(*reason);
  const ByteView bytes = AsBytes(std::get<std::string>(content));
  const Digest digest = Sha256Of(bytes);

  const JournalEntry* known = journal_->Find(file, digest);
  std::vector<FoundCell> cells;
  if (known != nullptr) cells = Counted(known->cells);
  // A person may have removed what an earlier run drew, or now counts other cells than it did.
  const bool complete = known != nullptr && known->drawn == cells.size() && files_.Exists(PngOf(overlays_, file)) &&
                        (!GoesOn(cells) || files_.Exists(PngOf(crops_, file)));
  if (complete) {
    ++summary_.from_journal;
    if (!GoesOn(cells)) RemoveCrop(file);
  } else {
    auto decoded = learning::DecodePicture(bytes);
    if (const auto* reason = std::get_if<learning::SkipReason>(&decoded)) return leave_unread(*reason);
    // One picture that cannot be searched or drawn (its name too long, its sides beyond what PNG has) ends no run.
    const auto leave = [&](const std::string& why) {
      ++summary_.unreadable;
      Leave(file, why, 0);
    };
    try {
      cells = FindCells(file, std::get<cv::Mat>(decoded), digest);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kNoSpace || error.code() == ErrorCode::kInterrupted) throw;
      return leave(error.what());
    } catch (const cv::Exception& error) {
      return leave(error.what());
    }
  }

  const std::uint64_t count = cells.size();
  ++(count == 0 ? summary_.with_none : count == 1 ? summary_.with_one : summary_.with_several);
  ++summary_.pictures_by_detections[count];
  AddRows(file, cells, GoesOn(cells));
  if (GoesOn(cells)) {
    ++summary_.used;
    used_.push_back(file);
    return;
  }
  left_.push_back(file);
  Leave(file, count == 0 ? "no cell found" : std::to_string(count) + " cells found", count);
}

void Run::DrawSheets(const char* name, const Path& folder, const std::vector<std::string>& shown,
                     const SegmentProgress& progress) {
  const Path sheets = settings_.output / "sheets";
  files_.CreateFolders(sheets);
  // Sheets of an earlier run with more pictures must not stay.
  for (const std::string& old : files_.List(sheets)) {
    if (old.starts_with(std::string(name) + "-")) files_.Remove(sheets / old);
  }
  constexpr std::size_t kTiles = kSheetColumns * kSheetRows;
  for (std::size_t from = 0; from < shown.size(); from += kTiles) {
    std::vector<learning::SheetTile> tiles;
    for (std::size_t i = from; i < std::min(shown.size(), from + kTiles); ++i) {
      const auto decoded =
          learning::DecodePicture(AsBytes(ReadFile(files_, PngOf(folder, shown[i]), learning::kMaxPictureFileBytes)));
      // Drawings of wide pictures are wide; nothing else can be wrong with what this run or an earlier one wrote.
      if (const auto* drawing = std::get_if<cv::Mat>(&decoded)) tiles.push_back({FitTile(*drawing), shown[i]});
      // Everything but the sheets is there; the same command draws them.
      if (progress && !progress(summary_.pictures, summary_.pictures)) {
        throw Error(ErrorCode::kInterrupted, "stopped while sheets were drawn; reports and crops are complete");
      }
    }
    if (tiles.empty()) continue;
    char number[32];
    std::snprintf(number, sizeof(number), "-%03zu.png", from / kTiles + 1);
    WritePng(files_, sheets / (name + std::string(number)),
             learning::DrawSheet({.tile = cv::Size(kSheetTile, kSheetTile),
                                  .columns = static_cast<int>(std::min(kSheetColumns, tiles.size())),
                                  .captions = true},
                                 tiles));
  }
}

void Run::WriteReports() {
  WriteFileAtomically(files_, settings_.output / "cells.csv", table_);
  WriteFileAtomically(files_, settings_.output / "report.txt", SegmentReport(summary_));
  json left = json::array();
  for (const LeftPicture& picture : summary_.left) {
    left.push_back({{"file", picture.file}, {"reason", picture.reason}, {"detections", picture.detections}});
  }
  json by_detections = json::object();
  for (const auto& [detections, pictures] : summary_.pictures_by_detections) {
    by_detections[std::to_string(detections)] = pictures;
  }
  const json report = {{"version", 1},
                       {"finder", summary_.finder},
                       {"min_score", settings_.min_score},
                       {"take_best", settings_.take_best},
                       {"pictures", summary_.pictures},
                       {"other_files", summary_.other_files},
                       {"unreadable", summary_.unreadable},
                       {"with_none", summary_.with_none},
                       {"with_one", summary_.with_one},
                       {"with_several", summary_.with_several},
                       {"pictures_by_detections", by_detections},
                       {"used", summary_.used},
                       {"left", left}};
  WriteFileAtomically(files_, settings_.output / "report.json", report.dump(2) + "\n");
}

SegmentSummary Run::Go(const SegmentProgress& progress) {
  std::vector<std::string> pictures;
  for (const std::string& file : folder_.ListFiles()) {
    if (HasPictureName(file) && !IsMask(file) && learning::CheckPicturePath(file) != learning::SkipReason::kHidden) {
      pictures.push_back(file);
    } else {
      ++summary_.other_files;
    }
  }
  if (pictures.empty()) {
    throw Error(ErrorCode::kInvalidInput, folder_.root().string() +
                                              " holds no file named like a picture (.png, .jpg, "
                                              ".jpeg, .bmp, .tif, .tiff); name another folder");
  }
  files_.CreateFolders(settings_.output);
  const FolderLock lock(settings_.output, "run of hemafed-train segment");
  const json settings = {{"pictures", folder_.root().string()},
                         {"finder", finder_.Description()},
                         {"margin_before", settings_.crop.margin_before},
                         {"margin_after", settings_.crop.margin_after},
                         {"side", settings_.crop.side}};
  journal_.emplace(files_, settings_.output, settings.dump());
  for (const std::string& file : pictures) {
    DoPicture(file);
    ++summary_.pictures;
    if (summary_.pictures % kSyncEvery == 0) journal_->Sync();
    if (progress && !progress(summary_.pictures, pictures.size()) && summary_.pictures < pictures.size()) {
      journal_->Sync();
      throw Error(ErrorCode::kInterrupted, "stopped after " + std::to_string(summary_.pictures) + " of " +
                                               std::to_string(pictures.size()) +
                                               " pictures; the same command goes on from there");
    }
  }
  journal_->Sync();
  WriteReports();
  DrawSheets("crops", crops_, used_, progress);
  DrawSheets("left", overlays_, left_, progress);
  if (summary_.used == 0) {
    throw Error(ErrorCode::kInvalidInput, "none of " + std::to_string(summary_.pictures) + " pictures goes on; see " +
                                              (settings_.output / "report.txt").string() +
                                              " and sheets/left-001.png there");
  }
  return summary_;
}

}  // namespace

SegmentSummary SegmentFolder(FileSystem& files, learning::CellFinder& finder, const SegmentSettings& settings,
                             const SegmentProgress& progress) {
  return Run(files, finder, settings).Go(progress);
}

std::string SegmentReport(const SegmentSummary& summary, std::size_t max_named) {
  const auto line = [&](const char* what, std::uint64_t count) {
    char text[160];
    std::snprintf(
        text, sizeof(text), "  %-34s %8llu  %5.1f %%\n", what, static_cast<unsigned long long>(count),
        summary.pictures == 0 ? 0.0 : 100.0 * static_cast<double>(count) / static_cast<double>(summary.pictures));
    return std::string(text);
  };
  std::string text = std::to_string(summary.pictures) + " pictures, " + summary.finder + "\n";
  text += line("one cell", summary.with_one) + line("no cell", summary.with_none) +
          line("several cells", summary.with_several) + line("could not be read", summary.unreadable) +
          line("go on", summary.used);
  if (summary.other_files > 0) text += "  other files, not looked at: " + std::to_string(summary.other_files) + "\n";
  if (summary.from_journal > 0) text += "  found by an earlier run: " + std::to_string(summary.from_journal) + "\n";
  if (summary.left.empty()) return text;
  text += "left:\n";
  for (std::size_t i = 0; i < std::min(max_named, summary.left.size()); ++i) {
    text += "  " + summary.left[i].file + ": " + summary.left[i].reason + "\n";
  }
  if (summary.left.size() > max_named) {
    text += "  and " + std::to_string(summary.left.size() - max_named) + " more in report.txt\n";
  }
  return text;
}

}  // namespace hemafed::trainer
