// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/draw_cells.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <string>

#include "common/error.h"

namespace hemafed::learning {

namespace {

const cv::Scalar kFirst(0, 158, 60), kFurther(230, 120, 0), kPaper(255, 255, 255);
constexpr double kFontSize = 0.45;
constexpr int kSideOfThickerLines = 1000;  // pixels of the longer side, from which lines get thicker to stay visible

}  // namespace

cv::Mat DrawCells(const cv::Mat& rgb, const std::vector<FoundCell>& cells, int smallest_side) {
  if (rgb.empty() || rgb.type() != CV_8UC3) {
    throw Error(ErrorCode::kInvalidInput, "cells are drawn on 8-bit RGB pictures only");
  }
  if (smallest_side < 64 || smallest_side > 2048) {
    throw Error(ErrorCode::kInvalidInput, "the smallest side of a drawing must be 64 to 2048 pixels");
  }
  const int longer = std::max(rgb.cols, rgb.rows);
  const int factor = (smallest_side + longer - 1) / longer;
  cv::Mat drawing;
  cv::resize(rgb, drawing, cv::Size(), factor, factor, factor > 1 ? cv::INTER_CUBIC : cv::INTER_NEAREST);
  const int line = std::max(1, longer * factor / kSideOfThickerLines);
  // The best cell last, on top of the others.
  for (std::size_t i = cells.size(); i > 0; --i) {
    const FoundCell& cell = cells[i - 1];
    const cv::Scalar& colour = i == 1 ? kFirst : kFurther;
    if (!cell.mask.empty()) {
      if (cell.mask.size() != rgb.size() || cell.mask.type() != CV_8UC1) {
        throw Error(ErrorCode::kInvalidInput, "a mask that is drawn must have its picture's size");
      }
      cv::Mat large;
      cv::resize(cell.mask, large, drawing.size(), 0, 0, cv::INTER_NEAREST);
      std::vector<std::vector<cv::Point>> outlines;
      cv::findContours(large, outlines, cv::RETR_EXTERNAL, cv::CHAIN_APPROX_NONE);
      cv::drawContours(drawing, outlines, -1, colour, line, cv::LINE_AA);
    }
    const auto scaled = [factor](float value) {
      return static_cast<int>(std::lround(value * static_cast<float>(factor)));
    };
    const cv::Point low(scaled(cell.box.x), scaled(cell.box.y));
    const cv::Point high(scaled(Right(cell.box)) - 1, scaled(Bottom(cell.box)) - 1);
    cv::rectangle(drawing, low, high, colour, line);
    const std::string score = std::to_string(std::lround(100 * std::clamp(cell.score, 0.0f, 1.0f))) + "%";
    int below = 0;
    const double font = kFontSize * line;
    const cv::Size size = cv::getTextSize(score, cv::FONT_HERSHEY_SIMPLEX, font, line, &below);
    // Above the box, or inside it at the picture's upper border.
    cv::Point at(std::clamp(low.x, 0, std::max(0, drawing.cols - size.width)), low.y - 3);
    if (at.y - size.height < 0) at.y = low.y + size.height + 4;
    cv::putText(drawing, score, at, cv::FONT_HERSHEY_SIMPLEX, font, kPaper, 3 * line, cv::LINE_AA);
    cv::putText(drawing, score, at, cv::FONT_HERSHEY_SIMPLEX, font, colour, line, cv::LINE_AA);
  }
  return drawing;
}

}  // namespace hemafed::learning
