// tests/learning/features/autoencoder/gradient_check.h
// SPDX-License-Identifier: Apache-2.0
//
// Gradients against central differences in float64.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace hemafed::learning::testing_support {

// `loss` maps a tensor like `x` to a scalar. Looks at every value of x, or at `most` of them evenly spread.
template <typename Loss>
void ExpectGradient(const at::Tensor& x, const Loss& loss, std::int64_t most = 60) {
  constexpr double kStep = 1e-5;
  at::Tensor variable = x.detach().clone().requires_grad_(true);
  loss(variable).backward();
  ASSERT_TRUE(variable.grad().defined());
  const at::Tensor gradient = variable.grad().contiguous().flatten();
  const at::NoGradGuard no_gradients;
  at::Tensor moved = x.detach().clone().contiguous();
  at::Tensor flat = moved.view({-1});
  double largest = 0.0;
  const std::int64_t stride = std::max<std::int64_t>(1, flat.numel() / most);
  for (std::int64_t i = 0; i < flat.numel(); i += stride) {
    const auto value = flat[i].item<double>();
    flat[i] = value + kStep;
    const auto above = loss(moved).template item<double>();
    flat[i] = value - kStep;
    const auto below = loss(moved).template item<double>();
    flat[i] = value;
    const auto got = gradient[i].item<double>();
    const double want = (above - below) / (2 * kStep);
    EXPECT_NEAR(got, want, 1e-9 + 1e-5 * std::abs(want)) << "value " << i;
    largest = std::max(largest, std::abs(want));
  }
  EXPECT_GT(largest, 0.0);  // A loss that does not depend on x shows nothing.
}

}  // namespace hemafed::learning::testing_support
