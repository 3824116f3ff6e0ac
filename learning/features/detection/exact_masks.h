// learning/features/detection/exact_masks.h
// SPDX-License-Identifier: Apache-2.0
//
// Mask probabilities of boxes as masks of the whole picture, without rounding the boxes.
//
// paste_masks.h repeats what the two families do: both round a box to whole pixels first, which widens or moves a mask
// by up to half a pixel a side. On the 120 px pictures of ../shared/data's jtsc, perfect 28 x 28 masks pasted so reach
// a mean IoU of 0.975, and 0.996 pasted as here. A pixel belongs to the cell if the probability at its centre is above
// 0.5:
//
//     u = (c + 0.5 - x0) / (x1 - x0) * side - 0.5          v likewise
//
// bilinear between the grid's values, each of which lies in the middle of its bin, with zeros around the grid. This is
// the inverse of mask_targets.h's aligned sampling.
//
// Shapes: probabilities [n, side, side] and boxes [n, 4] (pixels of the picture) on the CPU; result uint8 [n, height,
// width], 0 or 255. Errors: Error(kInvalidInput) for tensors of another form. Thread-safety: free function.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hemafed::learning {

[[nodiscard]] at::Tensor PasteMasksExactly(const at::Tensor& probabilities, const at::Tensor& boxes,
                                           std::int64_t height, std::int64_t width);

}  // namespace hemafed::learning
