// SPDX-License-Identifier: Apache-2.0
#include "learning/data/picture.h"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace hemafed::learning {

std::variant<cv::Mat, SkipReason> DecodePicture(ByteView file) {
  if (file.size() > kMaxPictureFileBytes) return SkipReason::kFileTooLarge;
  const auto probe = ReadPictureHeader(file);
  if (const auto* reason = std::get_if<SkipReason>(&probe)) return *reason;
  const auto& header = std::get<PictureHeader>(probe);
  try {
    // OpenCV takes a pointer to mutable bytes but only reads them.
    const cv::Mat encoded(1, static_cast<int>(file.size()), CV_8UC1, const_cast<std::uint8_t*>(file.data()));
    cv::Mat bgr = cv::imdecode(encoded, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
    const bool as_claimed = bgr.type() == CV_8UC3 && bgr.cols == static_cast<int>(header.width) &&
                            bgr.rows == static_cast<int>(header.height);
    if (bgr.empty() || !as_claimed) return SkipReason::kUndecodable;
    cv::cvtColor(bgr, bgr, cv::COLOR_BGR2RGB);
    return bgr;
  } catch (const cv::Exception&) {
    return SkipReason::kUndecodable;
  }
}

}  // namespace hemafed::learning
