// learning/models/depthwise_kernel.h
// SPDX-License-Identifier: Apache-2.0
//
// Depthwise convolution on the CPU, forward and backward, in plain C++. Why of our own: a third of a training step of
// EfficientNet-Lite0 went into the library's backward pass for 5x5 depthwise kernels on 4x4 to 16x16 maps, which runs
// at a few percent of what the processor can do (docs/performance.md).
//
//     y[n, p, q, c] = bias[c] + sum over i, j of x[n, p*s - top + i, q*s - left + j, c] * w[i, j, c]
//
// where x counts as 0 outside. Pictures are channels-last: x [N, H, W, C], y [N, P, Q, C]; weights are [k, k, C].
//
// Each channel's sums run in one fixed order, and products and sums are rounded separately (-ffp-contract=off), so the
// bits depend neither on the number of threads nor on which vector instructions the processor has.
//
// `scratch` is room to work in, for the caller to use again: allocating it for every picture costs more than small maps
// do. Its content means nothing before and after a call.
//
// Thread-safety: free functions without state; calls for disjoint pictures may run at the same time, each with a
// scratch of its own.
#pragma once

#include <cstdint>
#include <vector>

namespace hemafed::learning {

// The channels of a tile are computed together: one AVX-512 register of floats.
inline constexpr std::int64_t kDepthwiseLanes = 16;

struct DepthwiseShape {
  std::int64_t channels;  // a multiple of kDepthwiseLanes
  std::int64_t in_height, in_width;
  std::int64_t out_height, out_width;
  int kernel;     // 3 or 5
  int stride;     // 1 or 2
  int top, left;  // zeros before the first row and column
};

// Whether the functions below take this shape.
[[nodiscard]] bool DepthwiseSupported(const DepthwiseShape& shape);

// One picture: fills y. With `relu6`, y is clamped to [0, 6].
void DepthwiseForward(const DepthwiseShape& shape, const float* x, const float* w, const float* bias, bool relu6,
                      float* y, std::vector<float>& scratch);

// One picture: fills dx from dy (both without the clamp, which is the caller's).
void DepthwiseBackwardInput(const DepthwiseShape& shape, const float* dy, const float* w, float* dx,
                            std::vector<float>& scratch);

// One picture: fills this picture's share of dw [k, k, C] and dbias [C]; the caller adds the shares in picture order.
void DepthwiseBackwardWeight(const DepthwiseShape& shape, const float* x, const float* dy, float* dw, float* dbias,
                             std::vector<float>& scratch);

}  // namespace hemafed::learning
