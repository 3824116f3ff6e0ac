// SPDX-License-Identifier: Apache-2.0
#include "studies/ae_cfe/detector_scores.h"

#include <utility>

#include "common/error.h"
#include "learning/data/manifest.h"
#include "learning/data/path_rules.h"
#include "learning/data/picture.h"
#include "learning/data/picture_folder.h"

namespace hemafed::studies {

using learning::AveragePrecision;
using learning::CellFinder;
using learning::FinderScore;
using learning::FoundCell;

namespace {

constexpr std::uint64_t kMaxManifestBytes = 64u << 20;  // 250,000 lines of 200 bytes
constexpr const char* kResampled = "_aug";

std::vector<FoundCell> SureOnes(std::vector<FoundCell> cells, double min_score) {
  std::erase_if(cells, [&](const FoundCell& cell) { return cell.score < min_score; });
  return cells;
}

report::Cell Number(double value, int digits) {
  if (value == learning::kUndefined) return std::monostate{};
  return report::Measurement{.value = value, .digits = digits};
}

nlohmann::json ToJson(const AveragePrecision& precision) {
  const auto value = [](double v) { return v == learning::kUndefined ? nlohmann::json() : nlohmann::json(v); };
  return {{"ap", value(precision.ap)},
          {"ap50", value(precision.ap50)},
          {"ap75", value(precision.ap75)},
          {"ar_100", value(precision.ar_100)}};
}

}  // namespace

double DomainScore::DetectionsPerPicture() const {
  return counts.pictures == 0 ? 0.0 : static_cast<double>(detections) / static_cast<double>(counts.pictures);
}

DomainScore ScoreDomain(CellFinder& finder, const std::string& name, const learning::AnnotatedDomain& domain,
                        double min_score, const learning::ScoreProgress& progress) {
  learning::FinderTally all, sure;
  DomainScore score{.domain = domain.name(), .finder = name};
  const auto add = [&](const learning::AnnotatedPicture& picture, std::vector<FoundCell> found) {
    all.Add(picture, found);
    found = SureOnes(std::move(found), min_score);
    sure.Add(picture, found);
    score.detections += found.size();
  };
  FindInDomain(finder, domain, learning::Split::kTest, add, progress);
  const FinderScore of_all = all.Score();
  score.counts = sure.Score();
  score.boxes = of_all.boxes;
  score.masks = of_all.masks;
  score.masked = of_all.masked > 0;
  return score;
}

std::vector<std::string> TestPicturesOf(FileSystem& files, const Path& folder) {
  const Path manifest = folder / learning::kManifestFile;
  std::vector<std::string> chosen;
  for (const auto& row : learning::ParseManifest(ReadFile(files, manifest, kMaxManifestBytes), manifest.string())) {
    if (row.split != learning::Split::kTest || row.file.find(kResampled) != std::string::npos) continue;
    if (learning::CheckPicturePath(row.file)) {
      throw Error(ErrorCode::kInvalidInput, manifest.string() + ": names a file that is not one of its folder's");
    }
    chosen.push_back(row.file);
  }
  return chosen;
}

DomainScore CountDetections(CellFinder& finder, const std::string& name, FileSystem& files, const Path& folder,
                            double min_score, const learning::ScoreProgress& progress) {
  const std::vector<std::string> chosen = TestPicturesOf(files, folder);
  const learning::PictureFolder pictures(files, folder);
  DomainScore score{.domain = folder.filename().string(), .finder = name, .annotated = false};
  for (const std::string& file : chosen) {
    const auto content = pictures.Read(file);
    const auto* bytes = std::get_if<std::string>(&content);
    if (bytes == nullptr) throw Error(ErrorCode::kInvalidInput, (folder / file).string() + ": cannot be read");
    const auto decoded = learning::DecodePicture(AsBytes(*bytes));
    const auto* rgb = std::get_if<cv::Mat>(&decoded);
    if (rgb == nullptr) throw Error(ErrorCode::kInvalidInput, (folder / file).string() + ": is not a picture");
    const std::size_t found = SureOnes(finder.Find(*rgb), min_score).size();
    score.detections += found;
    ++score.counts.pictures;
    ++(found == 0 ? score.counts.with_none : found == 1 ? score.counts.with_one : score.counts.with_several);
    if (progress && !progress(score.counts.pictures, chosen.size())) {
      throw Error(ErrorCode::kInterrupted, "stopped while cells were counted; the same command goes on");
    }
  }
  return score;
}

report::Table ScoreTable(const std::vector<DomainScore>& scores) {
  report::Table table{.title = "Cells found on test pictures"};
  for (const char* title : {"domain", "finder", "pictures", "cells", "found", "box IoU", "mask IoU", "box AP",
                            "box AP50", "mask AP", "mask AP50", "detections a picture", "none", "one", "several"}) {
    table.columns.push_back({title});
  }
  for (const DomainScore& score : scores) {
    const auto count = [](std::uint64_t value) { return Number(static_cast<double>(value), 0); };
    const auto annotated = [&](double value) { return score.annotated ? Number(value, 3) : std::monostate{}; };
    const auto masked = [&](double value) { return score.masked ? Number(value, 3) : std::monostate{}; };
    table.rows.push_back({score.domain, score.finder, count(score.counts.pictures),
                          score.annotated ? count(score.counts.annotated) : std::monostate{},
                          annotated(score.counts.FoundShare()), annotated(score.counts.MeanBoxIou()),
                          masked(score.counts.MeanMaskIou()), annotated(score.boxes.ap), annotated(score.boxes.ap50),
                          masked(score.masks.ap), masked(score.masks.ap50), Number(score.DetectionsPerPicture(), 2),
                          count(score.counts.with_none), count(score.counts.with_one),
                          count(score.counts.with_several)});
  }
  table.notes = {
      "found: share of annotated cells with a detection of box IoU >= 0.5; box and mask IoU: mean over all "
      "annotated cells, 0 for those that were not found; AP: COCO's, IoU 0.50 to 0.95.",
      "none, one, several: pictures by number of detections.",
      "Published (other pictures, ResNet-101): mAP 0.89; 65,693 of 77,363 cells found, 84.92 %."};
  return table;
}

nlohmann::json ScoresToJson(const std::vector<DomainScore>& scores) {
  nlohmann::json list = nlohmann::json::array();
  for (const DomainScore& score : scores) {
    nlohmann::json entry = {{"domain", score.domain},
                            {"finder", score.finder},
                            {"pictures", score.counts.pictures},
                            {"pictures_with_none", score.counts.with_none},
                            {"pictures_with_one", score.counts.with_one},
                            {"pictures_with_several", score.counts.with_several},
                            {"detections", score.detections},
                            {"detections_per_picture", score.DetectionsPerPicture()}};
    if (score.annotated) {
      entry["annotated_cells"] = score.counts.annotated;
      entry["found_cells"] = score.counts.found;
      entry["found_share"] = score.counts.FoundShare();
      entry["mean_box_iou"] = score.counts.MeanBoxIou();
      entry["box_precision"] = ToJson(score.boxes);
    }
    if (score.masked) {
      entry["mean_mask_iou"] = score.counts.MeanMaskIou();
      entry["mask_precision"] = ToJson(score.masks);
    }
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace hemafed::studies
