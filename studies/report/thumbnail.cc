// SPDX-License-Identifier: Apache-2.0
#include "studies/report/thumbnail.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string>

#include "common/error.h"

namespace hemafed::studies {

namespace {

void RequireRgb(const cv::Mat& rgb) {
  if (rgb.empty() || rgb.type() != CV_8UC3) {
    throw Error(ErrorCode::kInvalidInput, "a picture for a report is empty or not 8-bit RGB");
  }
}

}  // namespace

Bytes EncodePng(const cv::Mat& rgb) {
  RequireRgb(rgb);
  try {
    cv::Mat bgr;
    cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
    Bytes file;
    // The highest level costs a fraction of a second and saves a third of a chart's bytes.
    if (!cv::imencode(".png", bgr, file, {cv::IMWRITE_PNG_COMPRESSION, 9})) {
      throw Error(ErrorCode::kInternal, "OpenCV did not encode a PNG of " + std::to_string(rgb.cols) + " x " +
                                            std::to_string(rgb.rows) + " pixels");
    }
    return file;
  } catch (const cv::Exception& failure) {
    throw Error(ErrorCode::kInternal, std::string("encoding a PNG failed: ") + failure.what());
  }
}

Bytes Thumbnail(const cv::Mat& rgb, int side) {
  RequireRgb(rgb);
  if (side < 1 || side > kMaxThumbnailSide) {
    throw Error(ErrorCode::kInvalidInput, "a thumbnail's side must be 1 to " + std::to_string(kMaxThumbnailSide) +
                                              " pixels, not " + std::to_string(side));
  }
  const int longest = std::max(rgb.cols, rgb.rows);
  if (longest <= side) return EncodePng(rgb);
  const auto scaled = [&](int length) {
    return std::max(1, static_cast<int>(std::lround(static_cast<double>(length) * side / longest)));
  };
  cv::Mat small;
  cv::resize(rgb, small, cv::Size(scaled(rgb.cols), scaled(rgb.rows)), 0, 0, cv::INTER_AREA);
  return EncodePng(small);
}

}  // namespace hemafed::studies
