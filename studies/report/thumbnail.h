// studies/report/thumbnail.h
// SPDX-License-Identifier: Apache-2.0
//
// Pixels as small PNG files, for galleries of exemplars and errors.
//
// Errors: kInvalidInput for an empty picture, another type than 8-bit RGB or a side out of range; kInternal if OpenCV
// fails. Thread-safety: free functions without state.
#pragma once

#include <opencv2/core/mat.hpp>

#include "common/bytes.h"

namespace hemafed::studies {

inline constexpr int kMaxThumbnailSide = 1024;  // Pixels. Larger is not a thumbnail, and a report holds many.

// Of an RGB picture (CV_8UC3, learning/data/picture.h): scaled down, never up, until no side is longer than `side` (1
// to kMaxThumbnailSide), then encoded.
[[nodiscard]] Bytes Thumbnail(const cv::Mat& rgb, int side);

}  // namespace hemafed::studies
