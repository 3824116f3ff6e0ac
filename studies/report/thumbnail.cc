// SPDX-License-Identifier: Apache-2.0
#include "studies/report/thumbnail.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <string>

#include "common/error.h"
#include "learning/data/picture_sheet.h"

namespace hemafed::studies {

Bytes Thumbnail(const cv::Mat& rgb, int side) {
  if (rgb.empty() || rgb.type() != CV_8UC3) {
    throw Error(ErrorCode::kInvalidInput, "a picture for a report is empty or not 8-bit RGB");
  }
  if (side < 1 || side > kMaxThumbnailSide) {
    throw Error(ErrorCode::kInvalidInput, "a thumbnail's side must be 1 to " + std::to_string(kMaxThumbnailSide) +
                                              " pixels, not " + std::to_string(side));
  }
  const int longest = std::max(rgb.cols, rgb.rows);
  if (longest <= side) return learning::EncodePng(rgb);
  const auto scaled = [&](int length) {
    return std::max(1, static_cast<int>(std::lround(static_cast<double>(length) * side / longest)));
  };
  cv::Mat small;
  cv::resize(rgb, small, cv::Size(scaled(rgb.cols), scaled(rgb.rows)), 0, 0, cv::INTER_AREA);
  return learning::EncodePng(small);
}

}  // namespace hemafed::studies
