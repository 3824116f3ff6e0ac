// learning/data/picture.h
// SPDX-License-Identifier: Apache-2.0
//
// One picture file into pixels: header check (picture_header.h), then OpenCV's decoder, then RGB.
//
// Pixels are 8-bit RGB, rows from top to bottom (CV_8UC3 with the channels in RGB order, not OpenCV's BGR); alpha is
// dropped, grey is repeated in all three channels, 16-bit samples are scaled to 8 bits (within one level of v / 257).
// Orientation tags are ignored: a cell has no upper side, and a picture's size is that of its header.
//
// Thread-safety: free functions without state.
#pragma once

#include <opencv2/core/mat.hpp>
#include <variant>

#include "common/bytes.h"
#include "learning/data/picture_header.h"
#include "learning/data/skip_reason.h"

namespace hemafed::learning {

// The RGB pixels, or why there are none. Never throws on any bytes.
[[nodiscard]] std::variant<cv::Mat, SkipReason> DecodePicture(ByteView file);

}  // namespace hemafed::learning
