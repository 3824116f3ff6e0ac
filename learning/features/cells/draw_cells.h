// learning/features/cells/draw_cells.h
// SPDX-License-Identifier: Apache-2.0
//
// Found cells drawn on their picture, for people: outline of the mask, box, and score as a percentage. The first cell
// (best score) is green, further ones orange. Small pictures are enlarged first, so that the lines are thin.
//
// Errors: Error(kInvalidInput) for a picture that is empty or not CV_8UC3, or a mask of another size. Thread-safety:
// free function without state.
#pragma once

#include <opencv2/core/mat.hpp>
#include <vector>

#include "learning/features/cells/found_cell.h"

namespace hemafed::learning {

// RGB; `smallest_side` (64 to 2048) is what the longer side is brought to if it is shorter, by a whole factor.
[[nodiscard]] cv::Mat DrawCells(const cv::Mat& rgb, const std::vector<FoundCell>& cells, int smallest_side = 400);

}  // namespace hemafed::learning
