// learning/features/detection/region_crops.h
// SPDX-License-Identifier: Apache-2.0
//
// Each box cropped from the level of the pyramid that fits its size, by the rules of the two forms.
//
//   torchvision  level = floor(4 + log2(sqrt(w h) / 224) + 1e-6); RoIAlign with 2 x 2 samples a bin, not aligned, scale
//                2^round(log2(level / frame))
//   published    level = 4 + round(log2(sqrt(w h) / 224)), half to even; w and h as parts of the frame less one pixel,
//                times the frame's side: one pixel less than the box has, up to that; CropAndResize
//
// both within 2..5. In a frame of 1024 the published rule takes boxes of about 158 to 317 pixels from P4.
//
// Thread-safety: free functions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "learning/features/detection/detector_settings.h"
#include "learning/features/detection/picture_frame.h"

namespace hemafed::learning {

// int64 [R], 0 (P2) .. 3 (P5).
[[nodiscard]] at::Tensor LevelsOfBoxes(DetectorForm form, const at::Tensor& boxes, std::int64_t frame_height,
                                       std::int64_t frame_width);

// Crops in the order of their levels: what works on each crop alone need not put them back in order, only its results.
struct RegionCrops {
  at::Tensor values;        // [R, C, side, side]
  at::Tensor place_of_box;  // int64 [R]: where the crop of each box is
};

// `boxes` per picture [n, 4] in the frame. Differentiable in the pyramid.
[[nodiscard]] RegionCrops CropRegions(DetectorForm form, const std::vector<at::Tensor>& pyramid,
                                      const std::vector<at::Tensor>& boxes, const PreparedPictures& prepared,
                                      std::int64_t side);

}  // namespace hemafed::learning
