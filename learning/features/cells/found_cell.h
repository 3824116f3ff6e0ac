// learning/features/cells/found_cell.h
// SPDX-License-Identifier: Apache-2.0
//
// One cell as a detector, a segmenter or a person says it: the one result format of this folder, whoever found it.
//
// Box: x, y, width, height in pixels of the picture as decoded, continuous: the pixel in column c covers [c, c + 1), so
// a mask that touches columns a to b has x = a and width = b + 1 - a, and x1 = x + width is exclusive. Score: 0..1, how
// sure the finder is; 1 where a person drew the cell. Results are in descending order of score. Mask: CV_8UC1 of the
// picture's size, 0 outside and 255 inside the cell; empty where only a box is known.
//
// Thread-safety: value types; a copy of FoundCell shares its mask's pixels, as cv::Mat does.
#pragma once

#include <opencv2/core/mat.hpp>
#include <opencv2/core/types.hpp>

namespace hemafed::learning {

struct FoundCell {
  cv::Rect2f box;
  float score = 0.0f;
  cv::Mat mask;
};

// x + width and y + height, exclusive.
[[nodiscard]] inline float Right(const cv::Rect2f& box) { return box.x + box.width; }
[[nodiscard]] inline float Bottom(const cv::Rect2f& box) { return box.y + box.height; }

}  // namespace hemafed::learning
