// learning/features/autoencoder/block_group_norm.h
// SPDX-License-Identifier: Apache-2.0
//
// The group normalisation that AE-CFE's code carries instead of the library's (published-systems, 3.3). Every sample is
// laid out flat, [C, H, W] row-major, and cut into `groups` blocks of equal length k = C H W / groups, whether or not a
// border falls between two channels:
//
//     y = gamma_c (x - mean_g) / sqrt(var_g + epsilon) + beta_c          var_g = sum (x - mean_g)^2 / (k - 1)
//
// g: the block of the value, c: its channel. Two differences from at::group_norm: the number of channels need not be a
// multiple of the groups (32 groups of 200 channels of 12 x 12 are blocks of 900 values), and the variance is the
// unbiased one, which for blocks of 3 values makes outputs smaller by sqrt(1.5).
//
// Shapes: x [N, C, H, W]; gamma, beta [C]; y like x, contiguous. Differentiable in all three.
//
// Errors: Error(kInvalidInput) where the blocks would not have equal lengths of at least 2.
// Thread-safety: free function.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hemafed::learning {

inline constexpr double kBlockGroupNormEpsilon = 1e-5;  // The published code's, inside the root.

[[nodiscard]] at::Tensor BlockGroupNorm(const at::Tensor& x, std::int64_t groups, const at::Tensor& gamma,
                                        const at::Tensor& beta, double epsilon = kBlockGroupNormEpsilon);

}  // namespace hemafed::learning
