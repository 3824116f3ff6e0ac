// tests/learning/features/cells/annotated_folder.h
// SPDX-License-Identifier: Apache-2.0
//
// A small annotated domain on disk: drawn pictures, manifest.csv, masks/ and boxes.csv.
#pragma once

#include <string>

#include "common/sha256.h"
#include "learning/data/manifest.h"
#include "tests/learning/data/picture_files.h"
#include "tests/learning/features/cells/drawn_cells.h"

namespace hemafed::learning::testing_support {

// Levels of a mask: 128 within the cells, 255 within `nucleus` pixels of their middles.
inline cv::Mat LevelsOf(const DrawnSmear& smear, int nucleus = 8) {
  cv::Mat levels = cv::Mat::zeros(smear.rgb.size(), CV_8UC1);
  for (const FoundCell& cell : smear.cells) {
    levels.setTo(128, cell.mask);
    const cv::Point middle(static_cast<int>(cell.box.x + cell.box.width / 2),
                           static_cast<int>(cell.box.y + cell.box.height / 2));
    cv::circle(levels, middle, nucleus, cv::Scalar(255), cv::FILLED);
  }
  return levels;
}

class AnnotatedFolder {
 public:
  explicit AnnotatedFolder(const Path& folder) : folder_(folder) {}

  void AddPicture(const std::string& file, const cv::Mat& rgb, const std::string& label = "neutrophil",
                  Split split = Split::kTrain) {
    cv::Mat bgr;
    cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
    const std::string content = Encode(".png", bgr);
    Write(folder_ / file, content);
    rows_.push_back({.file = file,
                     .class_original = label,
                     .class_common = label,
                     .split = split,
                     .width = static_cast<std::uint32_t>(rgb.cols),
                     .height = static_cast<std::uint32_t>(rgb.rows),
                     .digest = Sha256Of(content)});
    Write(folder_ / "manifest.csv", FormatManifest(rows_));
  }
  void AddMask(const std::string& name, const cv::Mat& levels) {
    Write(folder_ / "masks" / name, Encode(".png", levels));
  }
  // Rows without the header, a line each.
  void WriteBoxes(const std::string& rows) { Write(folder_ / "boxes.csv", "file,label,x0,y0,x1,y1\n" + rows); }

 private:
  Path folder_;
  std::vector<ManifestRow> rows_;
};

}  // namespace hemafed::learning::testing_support
