// learning/data/augment.h
// SPDX-License-Identifier: Apache-2.0
//
// Variants of a tile for training: mirror, turn, shift, zoom, colour, blur, as far as the plan's [augmentation] allows.
// A variant is drawn from (seed, step, place in the batch) and nothing else, and applied by arithmetic that does not
// depend on threads, so a batch can be made again at any time.
//
// Words: Philox4x32 with key DeriveSeed(seed, "augmentation 1") and counter (block, place, step, 0); words 4 b to 4 b +
// 3 come from block b. u(w) is w's upper 24 bits as a fraction of 1, s(w) = 2 u(w) - 1.
//
//   word  meaning                          drawn where the plan has
//      0  bit 0: mirror left-right,        flips
//         bit 1: mirror top-bottom
//         bits 2, 3: quarter turns         rotation = "quarter"
//      1  angle = 2 pi u                   rotation = "any"
//      2  shift in x = s * shift * side    shift
//      3  shift in y, likewise
//      4  zoom factor = 1 + s * zoom       zoom
//      5  brightness factor = 1 + s * b    brightness
//      6  contrast factor = 1 + s * c      contrast
//      7  saturation factor = 1 + s * a    saturation
//      8  hue angle = 2 pi s * hue         hue (in turns)
//      9  Gaussian sigma = u * blur        blur (in pixels)
//
// Order: zoom, angle and shift (one bilinear warp about the middle, mirrored at the border), blur, mirrors, quarter
// turns counter-clockwise, then colour on v = (R, G, B) in 0..255:
//
//     v'  = S H v                    H turns (I, Q) of YIQ by the hue angle, S = luma + factor * (I - luma)
//     v'' = brightness * (contrast * (v' - m) + m)        m = mean luma of the tile before
//     out = (clamp(v'', 0, 255) / 255 - mean) / deviation      per channel
//
// luma = (0.299, 0.587, 0.114) . v. Neither S nor H changes it, so m is the mean of v' as well.
//
// Thread-safety: free functions without state.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "codec/plan.h"

namespace hemafed::learning {

// Per channel R, G, B, for values in 0..1. The default is that of ImageNet, which imported weights expect (torchvision,
// "Models and pre-trained weights").
struct PixelScale {
  std::array<float, 3> mean = {0.485f, 0.456f, 0.406f};
  std::array<float, 3> deviation = {0.229f, 0.224f, 0.225f};
};

struct Variant {
  bool mirror_x = false;
  bool mirror_y = false;
  unsigned quarter_turns = 0;  // counter-clockwise
  double angle = 0.0;          // radians, counter-clockwise as seen
  double shift_x = 0.0;        // fraction of the side, to the right
  double shift_y = 0.0;        // fraction of the side, downwards
  double zoom = 1.0;
  double brightness = 1.0;
  double contrast = 1.0;
  double saturation = 1.0;
  double hue = 0.0;         // radians
  double blur_sigma = 0.0;  // pixels
};

[[nodiscard]] Variant DrawVariant(const AugmentationPlan& plan, std::uint64_t seed, std::uint32_t step,
                                  std::uint32_t place);

// tile: side * side * 3 bytes RGB. out: 3 planes (R, G, B) of side * side floats. The default variant only normalises.
void ApplyVariant(std::span<const std::uint8_t> tile, std::uint32_t side, const Variant& variant,
                  const PixelScale& normalisation, std::span<float> out);

}  // namespace hemafed::learning
