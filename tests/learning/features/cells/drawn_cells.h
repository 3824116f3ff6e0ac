// tests/learning/features/cells/drawn_cells.h
// SPDX-License-Identifier: Apache-2.0
//
// Smears of discs, with the colours of a stained one: cream background, pink red cells, grey-blue cells with dark
// nuclei.
#pragma once

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "learning/features/cells/found_cell.h"
#include "learning/features/cells/overlap.h"

namespace hemafed::learning::testing_support {

struct DrawnSmear {
  cv::Mat rgb;
  std::vector<FoundCell> cells;  // as drawn, score 1
};

inline DrawnSmear EmptySmear(int width = 300, int height = 300) {
  return {cv::Mat(height, width, CV_8UC3, cv::Scalar(246, 232, 214)), {}};
}

inline void AddRedCell(DrawnSmear& smear, cv::Point middle, int radius = 22) {
  cv::circle(smear.rgb, middle, radius, cv::Scalar(214, 160, 160), cv::FILLED, cv::LINE_AA);
  cv::circle(smear.rgb, middle, radius / 3, cv::Scalar(232, 196, 190), cv::FILLED, cv::LINE_AA);
}

// A cell with one nucleus for each entry of `lobes`, placed relative to the middle.
inline void AddCell(DrawnSmear& smear, cv::Point middle, int radius, const std::vector<cv::Point>& lobes, int lobe) {
  cv::circle(smear.rgb, middle, radius, cv::Scalar(186, 180, 212), cv::FILLED, cv::LINE_AA);
  for (const cv::Point& at : lobes) {
    cv::circle(smear.rgb, middle + at, lobe, cv::Scalar(84, 44, 130), cv::FILLED, cv::LINE_AA);
  }
  cv::Mat mask = cv::Mat::zeros(smear.rgb.size(), CV_8UC1);
  cv::circle(mask, middle, radius, cv::Scalar(255), cv::FILLED);
  smear.cells.push_back({BoxOfMask(mask), 1.0f, mask});
}

inline void AddLymphocyte(DrawnSmear& smear, cv::Point middle, int radius = 40) {
  AddCell(smear, middle, radius, {{0, 0}}, radius * 7 / 10);
}

}  // namespace hemafed::learning::testing_support
