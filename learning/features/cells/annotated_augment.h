// learning/features/cells/annotated_augment.h
// SPDX-License-Identifier: Apache-2.0
//
// Variants of annotated pictures for training a detector: the picture, the masks and the boxes change together. The
// list is AE-CFE's (thesis, detection stage): half of the samples get flips, an affine rotation and zoom, another
// colour temperature, a linear contrast 127 + a (v - 127) and a bilateral blur. It gives no sizes; those below are
// ours: visible, but within what the six domains of ../shared/data differ by.
//
// A variant follows from (seed, picture, epoch) and nothing else. Words: Philox4x32 with key DeriveSeed(seed,
// "annotated augmentation 1") and counter (block, picture, epoch, 0); words 4 b to 4 b + 3 come from block b. u(w) is
// w's upper 24 bits as a fraction of 1, s(w) = 2 u(w) - 1.
//
//   word 0  changed at all if u < changed_share
//        1  bits 0, 1: mirror left-right, top-bottom; bits 2, 3: quarter turns counter-clockwise;
//           bits 4 to 7: rotation and zoom, temperature, contrast, blur (each for half of the changed ones)
//        2  angle = s * max_angle                       3  zoom = 1 + s * zoom
//        4  warmth = s * temperature                    5  a = 1 + s * contrast
//        6  sigma of the blur in levels = u * blur_levels
//
// Order: mirrors, quarter turns, one bilinear warp about the middle, colours, blur. What the warp brings in from
// outside is the median colour of the picture's border, since a mirrored border would show cells that no box marks.
// Temperature: red times (1 + warmth), blue times (1 - warmth).
//
// Masks are warped bilinearly and cut at one half; their boxes are taken anew. A box without a mask becomes the box of
// the turned ellipse that it encloses (cells are round; the box of a box turned by 45 degrees would be 1.4 times too
// large). Boxes are clipped to the picture; a cell of which less than kMinVisibleShare of the box is left is dropped.
//
// Errors: Error(kInvalidInput) for settings out of range, a picture that is empty or not CV_8UC3, a mask of another
// size. Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <vector>

#include "learning/features/cells/found_cell.h"

namespace hemafed::learning {

struct AnnotatedAugmentation {
  double changed_share = 0.5;  // 0 to 1; AE-CFE's half
  bool flips = true;
  bool quarter_turns = true;
  double max_angle = 45.0;    // degrees, 0 to 180; with quarter turns 45 covers the circle
  double zoom = 0.2;          // 0 to 0.9
  double temperature = 0.12;  // 0 to 0.9
  double contrast = 0.25;     // 0 to 0.9
  double blur_levels = 40.0;  // 0 to 255: what the bilateral blur takes for one surface
  int blur_diameter = 5;      // pixels, 1 to 15
};

// What is done to one picture; the default leaves it as it is.
struct AnnotatedVariant {
  bool mirror_x = false, mirror_y = false;
  int quarter_turns = 0;  // counter-clockwise, 0 to 3
  double angle = 0.0;     // degrees, counter-clockwise as seen
  double zoom = 1.0;
  double warmth = 0.0;
  double contrast = 1.0;
  double blur_levels = 0.0;
  int blur_diameter = 1;

  bool operator==(const AnnotatedVariant&) const = default;
};

inline constexpr double kMinVisibleShare = 0.2;

[[nodiscard]] AnnotatedVariant DrawAnnotatedVariant(const AnnotatedAugmentation& settings, std::uint64_t seed,
                                                    std::uint32_t picture, std::uint32_t epoch);

struct VariantOfPicture {
  cv::Mat rgb;
  std::vector<FoundCell> cells;
};

// The inputs are not changed; results may share their pixels where nothing was done.
[[nodiscard]] VariantOfPicture ApplyAnnotatedVariant(const cv::Mat& rgb, const std::vector<FoundCell>& cells,
                                                     const AnnotatedVariant& variant);

}  // namespace hemafed::learning
