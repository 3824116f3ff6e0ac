// learning/features/autoencoder/ssim.h
// SPDX-License-Identifier: Apache-2.0
//
// Structural similarity of two pictures (Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error
// Visibility to Structural Similarity", IEEE TIP 2004, eq. 13), as AE-CFE's code computes it (published-systems, 3.4):
//
//     mu = g * x          sigma^2 = g * x^2 - mu^2          sigma_xy = g * (x y) - mu_x mu_y
//
//                (2 mu_x mu_y + C1) (2 sigma_xy + C2)
//     SSIM = -------------------------------------------------       C1 = 0.01^2, C2 = 0.03^2 (values range over 1)
//            (mu_x^2 + mu_y^2 + C1) (sigma_x^2 + sigma_y^2 + C2)
//
// per channel, with zeros outside the picture, and the mean over everything. g = outer product of the taps
// exp(-(i - w / 2)^2 / (2 sigma^2)), i = 0 .. w - 1, that add up to 1; w / 2 is rounded down and is also the padding.
// Training as published has w = 10: an even window, centred on its sixth tap and so not symmetric, whose map of a
// 128 x 128 picture has 129 x 129 places. With the usual w = 11 it has 128 x 128. The zeros outside pull the values at
// the border up or down; only places w - 1 away from it equal those of libraries that leave the border out.
//
// Filtering is two products with band matrices, g X g^T: for one-channel filters that is faster than convolution.
//
// Shapes: x, y [N, C, H, W] of one floating type, any layout; taps [w] float64. Differentiable in x and y.
//
// Errors: Error(kInvalidInput) for shapes that differ and for settings out of range (CheckSsim).
// Thread-safety: free functions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hemafed::learning {

inline constexpr std::int64_t kMaxSsimWindow = 64;  // taps; half of the pictures it is used on

// Of C1 and C2. Black against black gives (0 + C1) (0 + C2) below the fraction bar: without them NaN, and in float32 a
// negative number where rounding makes a variance -1e-8.
inline constexpr double kLeastSsimConstant = 1e-8;

struct SsimSettings {
  std::int64_t window = 10;  // taps: 10 is AE-CFE's training, 11 its default and everybody else's
  double sigma = 1.5;        // pixels
  double c1 = 1e-4;
  double c2 = 9e-4;
};

// Throws for a window outside 1 .. kMaxSsimWindow, a sigma that is not above 0, C1 or C2 outside kLeastSsimConstant
// .. 1.
void CheckSsim(const SsimSettings& settings);
// As all that follow, checks its settings.
[[nodiscard]] at::Tensor SsimTaps(const SsimSettings& settings);
// [N, C, H + 2 (w / 2) - w + 1, the same of W].
[[nodiscard]] at::Tensor SsimMap(const at::Tensor& x, const at::Tensor& y, const SsimSettings& settings = {});
// Mean of the map, a scalar: 1 for equal pictures.
[[nodiscard]] at::Tensor Ssim(const at::Tensor& x, const at::Tensor& y, const SsimSettings& settings = {});

}  // namespace hemafed::learning
