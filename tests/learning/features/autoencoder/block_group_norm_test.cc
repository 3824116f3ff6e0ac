// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/block_group_norm.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/expect_error.h"
#include "tests/learning/features/autoencoder/gradient_check.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::ExpectGradient;
using testing_support::LargestDifference;
using testing_support::Uniform;

at::Tensor Ones(std::int64_t channels) { return at::ones({channels}, at::kDouble); }
at::Tensor Zeros(std::int64_t channels) { return at::zeros({channels}, at::kDouble); }

// The definition, value by value.
at::Tensor Slow(const at::Tensor& x, std::int64_t groups, const at::Tensor& gamma, const at::Tensor& beta) {
  const std::int64_t values = x.numel() / x.size(0), block = values / groups, places = values / x.size(1);
  at::Tensor y = at::empty(x.sizes(), at::kDouble);
  const double* in = x.const_data_ptr<double>();
  double* out = y.mutable_data_ptr<double>();
  for (std::int64_t n = 0; n < x.size(0); ++n) {
    for (std::int64_t g = 0; g < groups; ++g) {
      const double* first = in + n * values + g * block;
      double mean = 0.0, squares = 0.0;
      for (std::int64_t i = 0; i < block; ++i) mean += first[i];
      mean /= static_cast<double>(block);
      for (std::int64_t i = 0; i < block; ++i) squares += (first[i] - mean) * (first[i] - mean);
      const double root = std::sqrt(squares / static_cast<double>(block - 1) + 1e-5);
      for (std::int64_t i = 0; i < block; ++i) {
        const std::int64_t channel = (g * block + i) / places;
        out[n * values + g * block + i] =
            (first[i] - mean) / root * gamma[channel].item<double>() + beta[channel].item<double>();
      }
    }
  }
  return y;
}

TEST(BlockGroupNorm, DividesByTheUnbiasedVariance) {
  const at::Tensor x = at::tensor({1.0, 2.0, 4.0}, at::kDouble).view({1, 3, 1, 1});
  const at::Tensor y = BlockGroupNorm(x, 1, Ones(3), Zeros(3), /*epsilon=*/0.0).flatten();
  const std::vector<double> want = {-0.872872, -0.218218, 1.091089};
  const at::Tensor biased = at::group_norm(x, 1, {}, {}, 0.0).flatten();
  for (std::int64_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(y[i].item<double>(), want[static_cast<std::size_t>(i)], 5e-7);
    EXPECT_NEAR(biased[i].item<double>() / y[i].item<double>(), std::sqrt(1.5), 1e-12);
  }
}

TEST(BlockGroupNorm, CutsThroughChannelsOnTheRampOfThePublishedLayer) {
  const at::Tensor ramp = at::arange(28'800, at::kDouble).view({1, 200, 12, 12});
  const at::Tensor y = BlockGroupNorm(ramp, 32, Ones(200), Zeros(200));
  const at::Tensor blocks = y.view({32, 900});
  for (std::int64_t g = 0; g < 32; ++g) {
    EXPECT_NEAR(blocks[g][0].item<double>(), -1.729166, 5e-7);
    EXPECT_NEAR(blocks[g][899].item<double>(), 1.729166, 5e-7);
  }
  EXPECT_NEAR(y[0][6][2][11].item<double>(), 1.729166, 5e-7);
  EXPECT_NEAR(y[0][6][3][0].item<double>(), -1.729166, 5e-7);
  EXPECT_ANY_THROW((void)at::group_norm(ramp, 32));  // What the library refuses.
}

TEST(BlockGroupNorm, EqualsTheSlowDefinitionInAnyMemoryLayout) {
  struct Case {
    std::int64_t channels, side, groups;
  };
  for (const Case& c : std::vector<Case>{{200, 12, 32}, {150, 5, 30}, {100, 3, 10}, {70, 2, 10}, {60, 1, 20}}) {
    const at::Tensor x = Uniform(3, {3, c.channels, c.side, c.side}, -2, 5, at::kDouble);
    const at::Tensor gamma = Uniform(4, {c.channels}, 0.5, 1.5, at::kDouble);
    const at::Tensor beta = Uniform(5, {c.channels}, -1, 1, at::kDouble);
    const at::Tensor want = Slow(x, c.groups, gamma, beta);
    EXPECT_LT(LargestDifference(BlockGroupNorm(x, c.groups, gamma, beta), want), 1e-12) << c.channels;
    const at::Tensor last = x.contiguous(at::MemoryFormat::ChannelsLast);
    EXPECT_LT(LargestDifference(BlockGroupNorm(last, c.groups, gamma, beta), want), 1e-12) << c.channels;
    EXPECT_LT(
        LargestDifference(BlockGroupNorm(x.to(at::kFloat), c.groups, gamma.to(at::kFloat), beta.to(at::kFloat)), want),
        2e-5)
        << c.channels;
  }
}

TEST(BlockGroupNorm, HasTheGradientsOfItsDefinition) {
  const at::Tensor x = Uniform(3, {2, 5, 3, 2}, -1, 1, at::kDouble);
  const at::Tensor gamma = Uniform(4, {5}, 0.5, 1.5, at::kDouble);
  const at::Tensor beta = Uniform(5, {5}, -1, 1, at::kDouble);
  const at::Tensor towards = Uniform(6, {2, 5, 3, 2}, -1, 1, at::kDouble);
  const auto loss = [&](const at::Tensor& a, const at::Tensor& b, const at::Tensor& c) {
    return (BlockGroupNorm(a, 6, b, c) * towards).square().sum();  // 6 blocks of 5 cut through the channels of 6.
  };
  ExpectGradient(x, [&](const at::Tensor& t) { return loss(t, gamma, beta); });
  ExpectGradient(gamma, [&](const at::Tensor& t) { return loss(x, t, beta); });
  ExpectGradient(beta, [&](const at::Tensor& t) { return loss(x, gamma, t); });
}

TEST(BlockGroupNorm, RefusesBlocksThatDoNotFit) {
  const at::Tensor x = Uniform(3, {1, 6, 1, 1}, -1, 1, at::kDouble);
  for (const std::int64_t groups : {0, -2, 4, 7}) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "6 values a sample cannot be cut into",
                 (void)BlockGroupNorm(x, groups, Ones(6), Zeros(6)));
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "of at least 2", (void)BlockGroupNorm(x, 6, Ones(6), Zeros(6)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "scale and shift [C]", (void)BlockGroupNorm(x, 2, Ones(5), Zeros(6)));
}

}  // namespace
}  // namespace hemafed::learning
