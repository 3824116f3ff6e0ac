// learning/features/detection/paste_masks.h
// SPDX-License-Identifier: Apache-2.0
//
// Mask probabilities of boxes as masks of the whole picture.
//
//   torchvision  the 28 x 28 probabilities get a border of zeros, the box grows by 30 / 28, its corners are cut off to
//                whole pixels, the probabilities are resized bilinearly to x1 - x0 + 1 by y1 - y0 + 1 pixels, and a
//                pixel belongs to the cell above 0.5
//   published    corners are rounded to whole pixels, resized to x1 - x0 by y1 - y0, from 0.5 on
//
// Shapes: probabilities [n, side, side] and boxes [n, 4] (pixels of the picture) on the CPU; result uint8 [n, height,
// width], 0 or 255. A box need not lie inside the picture.
// Thread-safety: free function.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "learning/features/detection/detector_settings.h"

namespace hemafed::learning {

[[nodiscard]] at::Tensor PasteMasks(DetectorForm form, const at::Tensor& probabilities, const at::Tensor& boxes,
                                    std::int64_t height, std::int64_t width);

}  // namespace hemafed::learning
