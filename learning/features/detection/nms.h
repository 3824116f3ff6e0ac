// learning/features/detection/nms.h
// SPDX-License-Identifier: Apache-2.0
//
// Non-maximum suppression: of boxes that overlap, the best scored one stays.
//
// Boxes are taken in descending score (equal scores: the earlier box first). Each one taken removes every later box of
// its own group whose intersection over union with it exceeds `overlap`; the rule of torchvision.ops.batched_nms and of
// TensorFlow's non_max_suppression. A box without area removes nothing.
//
// float32 on the CPU: plain C++, one sort and one pass a kept box. Elsewhere: tensor operations, whose comparison of
// all pairs needs n * n bytes. Both give the same places, but for overlaps within a rounding error of the limit.
//
// Shapes: boxes [n, 4], scores [n], groups [n] int64 (levels or classes) or undefined for one group. Result: int64
// places of the boxes that stay, best first, at most `most`.
//
// Errors: Error(kInvalidInput) for shapes that do not fit. Thread-safety: free functions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>

namespace hemafed::learning {

[[nodiscard]] at::Tensor SuppressOverlaps(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& groups,
                                          double overlap, std::int64_t most = std::numeric_limits<std::int64_t>::max());

// The tensor operations on any device, for comparison.
[[nodiscard]] at::Tensor SuppressOverlapsByTensors(const at::Tensor& boxes, const at::Tensor& scores,
                                                   const at::Tensor& groups, double overlap,
                                                   std::int64_t most = std::numeric_limits<std::int64_t>::max());

}  // namespace hemafed::learning
