// learning/features/detection/mask_targets.h
// SPDX-License-Identifier: Apache-2.0
//
// The true mask as a mask head should draw it: cut out at the ROI and brought to the head's grid, 28 x 28.
//
// Bilinear sampling on a grid that is parallel to the axes factors into rows and columns, so the crop of one mask at n
// ROIs is two batched matrix products, R [n,28,H] * mask [H,W] * C^T [n,W,28], where a row of R holds the weights that
// one bin's samples give to the mask's rows. Exactly what sampling pixel by pixel gives, at the speed of a product.
//
//     torchvision   RoIAlign, not aligned: a bin is side / 28 pixels; ceil(side / 28) samples in each direction of each
//                   bin, in the middle of equal parts; samples outside by more than a pixel count 0; values stay in
//                   0..1
//     published     TF crop_and_resize: sample i at y0 (H-1)/H + i (y1-y0) (H-1)/H / 27, one per bin; then rounded
//     (half
//                   to even) to 0 or 1. (The code cuts the boxes' normalised form out of the padded frame; here the
//                   same in the picture's own frame.)
//
// Errors: Error(kInvalidInput) for tensors of another form. Thread-safety: free functions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hemafed::learning {

enum class MaskSampling : std::uint8_t { kAligned, kTorchvision, kPublished };

// float32 [N,side,side] for ROIs [N,4]; `masks` [M,H,W] in 0..1, `owners` int64 [N] the place of each ROI's mask.
[[nodiscard]] at::Tensor MaskTargets(const at::Tensor& masks, const at::Tensor& owners, const at::Tensor& rois,
                                     std::int64_t side, MaskSampling sampling);

}  // namespace hemafed::learning
