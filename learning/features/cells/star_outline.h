// learning/features/cells/star_outline.h
// SPDX-License-Identifier: Apache-2.0
//
// The best outline around a point that every ray from the point meets once (a star-shaped region), by dynamic
// programming over radii.
//
// For K rays (angle 2 pi k / K, clockwise from the positive x axis) and radii r = 0, 1, ... pixels, with gain g and
// edge strength e at the point where ray k has radius r, the radii r_k maximise
//
//     sum_k [ sum_{s <= r_k} g(k, s) + e(k, r_k) ]      with |r_{k+1} - r_k| <= max_step and low_k <= r_k <= high_k
//
// around the full circle. g > 0 speaks for "inside", g < 0 for "outside". Where the bounds of neighbouring rays lie
// further apart than max_step allows, the closest radii are taken.
//
// The radius of ray 0 is taken from the middle of the best path of two rounds, whose ends are far away; the rest is the
// best closed path through it. That is the best of all but in rare cases (tests/learning/features/cells), at a cost
// that does not grow with the square of the radii.
//
// Errors: Error(kInvalidInput) for sizes that do not fit. Thread-safety: free function without state.
#pragma once

#include <opencv2/core/mat.hpp>
#include <vector>

namespace hemafed::learning {

// gain, edge: K x R, CV_32FC1, row k is ray k; low, high: K radii each, 0 <= low <= high < R. Returns K radii.
[[nodiscard]] std::vector<int> StarOutline(const cv::Mat& gain, const cv::Mat& edge, const std::vector<int>& low,
                                           const std::vector<int>& high, int max_step);

}  // namespace hemafed::learning
