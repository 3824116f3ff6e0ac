// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/cell_crop.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "common/error.h"
#include "learning/features/cells/found_cell.h"

namespace hemafed::learning {

namespace {

constexpr int kMaxMargin = 1000;

int Truncated(float value, int limit) { return static_cast<int>(std::clamp(value, 0.0f, static_cast<float>(limit))); }

}  // namespace

cv::Rect2f BoxFromFrame(const cv::Rect2f& box, double frame, const cv::Size& picture) {
  if (!(frame > 0)) throw Error(ErrorCode::kInvalidInput, "the frame of a box needs a side above 0");
  const auto x = static_cast<float>(picture.width / frame), y = static_cast<float>(picture.height / frame);
  return {box.x * x, box.y * y, box.width * x, box.height * y};
}

cv::Rect CropPlace(const cv::Size& picture, const cv::Rect2f& box, const CropSettings& settings) {
  const auto margin_fits = [](int margin) { return margin >= 0 && margin <= kMaxMargin; };
  if (!margin_fits(settings.margin_before) || !margin_fits(settings.margin_after)) {
    throw Error(ErrorCode::kInvalidInput, "margins of a crop must be 0 to 1000 pixels");
  }
  const auto width = static_cast<float>(picture.width), height = static_cast<float>(picture.height);
  const bool inside = std::isfinite(box.x) && std::isfinite(box.y) && box.width > 0 && box.height > 0 &&
                      std::isfinite(box.width) && std::isfinite(box.height) && box.x < width && box.y < height &&
                      Right(box) > 0 && Bottom(box) > 0;
  if (!inside) throw Error(ErrorCode::kInvalidInput, "the box of a crop is empty or outside its picture");
  const int x0 = std::max(0, Truncated(box.x, picture.width) - settings.margin_before);
  const int y0 = std::max(0, Truncated(box.y, picture.height) - settings.margin_before);
  const int x1 = std::min(picture.width, Truncated(Right(box), picture.width) + settings.margin_after);
  const int y1 = std::min(picture.height, Truncated(Bottom(box), picture.height) + settings.margin_after);
  return {x0, y0, std::max(1, x1 - x0), std::max(1, y1 - y0)};
}

cv::Mat CropCell(const cv::Mat& rgb, const cv::Rect2f& box, const CropSettings& settings) {
  if (rgb.empty() || rgb.type() != CV_8UC3) {
    throw Error(ErrorCode::kInvalidInput, "cells are cut out of 8-bit RGB pictures only");
  }
  if (settings.side < 8 || settings.side > 1024) {
    throw Error(ErrorCode::kInvalidInput, "the side of a crop must be 8 to 1024 pixels");
  }
  cv::Mat crop;
  cv::resize(rgb(CropPlace(rgb.size(), box, settings)), crop, cv::Size(settings.side, settings.side), 0, 0,
             cv::INTER_LINEAR);
  return crop;
}

}  // namespace hemafed::learning
