// learning/features/detection/anchors.h
// SPDX-License-Identifier: Apache-2.0
//
// The boxes that the RPN's outputs are relative to: at every place of a level, one for each ratio, of the level's side
// a.
//
//   torchvision  ratio r = height / width: sides a / sqrt(r) and a sqrt(r), half sides rounded to whole pixels (half to
//                even); places at multiples of the stride floor(frame / level) from 0.
//   published    r = width / height: sides a sqrt(r) and a / sqrt(r), not rounded; places at multiples of the nominal
//                stride. 261,888 anchors in a frame of 1024 x 1024.
//
// Order: rows, columns, ratios. Anchors may lie outside the frame.
// Thread-safety: free functions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "learning/features/detection/detector_settings.h"

namespace hemafed::learning {

struct LevelSize {
  std::int64_t height, width;
};

// [height * width * ratios, 4] of one level (0: P2) in a frame of that size.
[[nodiscard]] at::Tensor LevelAnchors(const DetectorSettings& settings, std::size_t level, const LevelSize& size,
                                      const LevelSize& frame, const at::TensorOptions& options);

}  // namespace hemafed::learning
