// learning/features/detection/region_sampling.h
// SPDX-License-Identifier: Apache-2.0
//
// Boxes of feature maps as tensors of one size. Two rules of where a box is sampled, one way of sampling.
//
// RoiAlign (He et al., ICCV 2017; torchvision.ops.roi_align, its compiled operator's rules). With scale s, bins 0..S-1
// and g samples a bin along each axis, the rows of bin p are, i = 0..g-1,
//
//     y = y0 s - o + (p + (i + 1/2) / g) h / S,    h = (y1 - y0) s
//
// where o = 1/2 if aligned, else 0 and h at least 1. A sample beyond -1 or beyond the height counts as 0, others are
// moved into 0..height-1 and interpolated bilinearly; a bin is the mean of its g x g samples. samples = 0: g is
// ceil(h / S) for rows and likewise for columns, box by box.
//
// CropAndResize (TensorFlow's crop_and_resize as matterport calls it; published-systems 3.1). One sample a bin at
//
//     y = (y0 + p (y1' - y0) / (S - 1)) (Hf - 1) / (H - 1),    y1' = y1 - 1
//
// with Hf rows of the map and H of the frame; 0 outside 0..Hf-1. Check: Hf = H = 8 and normalised 0.25..0.75 with three
// bins read rows 1.75, 3.5 and 5.25.
//
// Shapes: features [N, C, Hf, Wf]; boxes [R, 4] in the frame; `pictures` [R] int64, the picture of each box; result
// [R, C, S, S], channels-last in memory. Differentiable in the features; boxes are taken as constants. float32 on the
// CPU takes kernels of our own (region_kernel.h), every other type and device the library's grid sampler.
//
// Errors: Error(kInvalidInput) for shapes that do not fit or a picture that does not exist.
// Thread-safety: free functions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hemafed::learning {

struct RoiAlignRule {
  double scale;     // feature places a pixel of the frame
  int samples = 2;  // a bin and axis; 0: as many as the box is large
  bool aligned = false;
};

[[nodiscard]] at::Tensor RoiAlign(const at::Tensor& features, const at::Tensor& boxes, const at::Tensor& pictures,
                                  std::int64_t side, const RoiAlignRule& rule);

// `side` is at least 2.
[[nodiscard]] at::Tensor CropAndResize(const at::Tensor& features, const at::Tensor& boxes, const at::Tensor& pictures,
                                       std::int64_t side, std::int64_t frame_height, std::int64_t frame_width);

// Both are made of this: `rows` and `columns` [R, S * samples] are places of the map, negative for samples that count
// as 0. The library's way on any device, for comparison, if `own_kernel` is false.
[[nodiscard]] at::Tensor SampleRegions(const at::Tensor& features, const at::Tensor& pictures, const at::Tensor& rows,
                                       const at::Tensor& columns, std::int64_t side, bool own_kernel = true);

}  // namespace hemafed::learning
