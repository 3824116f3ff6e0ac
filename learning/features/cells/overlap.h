// learning/features/cells/overlap.h
// SPDX-License-Identifier: Apache-2.0
//
// How much two cells overlap (intersection over union), and which found cell is which annotated one.
//
//     IoU(a, b) = |a n b| / |a u b|      boxes: areas of continuous rectangles; masks: counts of pixels
//
// Two empty shapes have IoU 0: there is nothing that agrees.
//
// Thread-safety: free functions without state.
#pragma once

#include <opencv2/core/mat.hpp>
#include <opencv2/core/types.hpp>
#include <vector>

#include "learning/features/cells/found_cell.h"

namespace hemafed::learning {

[[nodiscard]] double BoxIou(const cv::Rect2f& a, const cv::Rect2f& b);
// Masks of one size, CV_8UC1, not 0 is inside. Throws Error(kInvalidInput) if sizes or types differ.
[[nodiscard]] double MaskIou(const cv::Mat& a, const cv::Mat& b);
// The smallest box around the pixels of a mask; empty if there are none.
[[nodiscard]] cv::Rect2f BoxOfMask(const cv::Mat& mask);

inline constexpr double kFoundIou = 0.5;  // An annotated cell counts as found from this box IoU on (PASCAL VOC's rule).

// For each annotated cell the position of the found cell that is it, or -1; no found cell is used twice. Pairs are
// taken by descending box IoU from kFoundIou up, ties by the lower annotated, then found position.
[[nodiscard]] std::vector<int> MatchCells(const std::vector<FoundCell>& annotated, const std::vector<FoundCell>& found);

}  // namespace hemafed::learning
