// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/ssim.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/expect_error.h"
#include "tests/learning/features/autoencoder/gradient_check.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::ExpectGradient;
using testing_support::LargestDifference;
using testing_support::Uniform;
using testing_support::Units;

SsimSettings Window(std::int64_t window) { return {.window = window}; }

at::Tensor First() { return Units(41, {2, 3, 64, 64}, 0); }
at::Tensor Second() { return 0.8 * First() + 0.2 * Units(42, {2, 3, 64, 64}, 0); }

// One place of one channel by the definition; pixels outside are 0.
double SlowPlace(const at::TensorAccessor<double, 2>& x, const at::TensorAccessor<double, 2>& y, std::int64_t row,
                 std::int64_t column, std::int64_t window) {
  std::vector<double> taps;
  double sum = 0.0;
  for (std::int64_t i = 0; i < window; ++i) {
    const auto distance = static_cast<double>(i - window / 2);
    taps.push_back(std::exp(-distance * distance / 4.5));
    sum += taps.back();
  }
  double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
  for (std::int64_t i = 0; i < window; ++i) {
    for (std::int64_t j = 0; j < window; ++j) {
      const std::int64_t r = row + i - window / 2, c = column + j - window / 2;
      if (r < 0 || r >= x.size(0) || c < 0 || c >= x.size(1)) continue;
      const double g = taps[static_cast<std::size_t>(i)] * taps[static_cast<std::size_t>(j)] / (sum * sum);
      mx += g * x[r][c];
      my += g * y[r][c];
      xx += g * x[r][c] * x[r][c];
      yy += g * y[r][c] * y[r][c];
      xy += g * x[r][c] * y[r][c];
    }
  }
  return (2 * mx * my + 1e-4) * (2 * (xy - mx * my) + 9e-4) /
         ((mx * mx + my * my + 1e-4) * (xx - mx * mx + yy - my * my + 9e-4));
}

TEST(Ssim, HasTheTapsOfThePublishedWindow) {
  const std::vector<double> want = {.001029, .007607, .036038, .109473, .213225,
                                    .266286, .213225, .109473, .036038, .007607};
  const at::Tensor taps = SsimTaps({});
  ASSERT_EQ(taps.numel(), 10);
  for (std::int64_t i = 0; i < 10; ++i) {
    EXPECT_NEAR(taps[i].item<double>(), want[static_cast<std::size_t>(i)], 5e-7);
  }
  EXPECT_NEAR(taps.sum().item<double>(), 1.0, 1e-15);
}

TEST(Ssim, MapsAPictureOf128To129WithTheEvenWindow) {
  const at::Tensor x = Units(41, {1, 3, 128, 128}, 0);
  EXPECT_EQ(SsimMap(x, x, Window(10)).sizes(), (at::IntArrayRef{1, 3, 129, 129}));
  EXPECT_EQ(SsimMap(x, x, Window(11)).sizes(), (at::IntArrayRef{1, 3, 128, 128}));
}

TEST(Ssim, EqualsTheSlowDefinitionAtEveryPlace) {
  const at::Tensor x = Units(41, {2, 2, 14, 17}, 0), y = Units(42, {2, 2, 14, 17}, 0);
  for (const std::int64_t window : {1, 4, 10, 11}) {
    const at::Tensor map = SsimMap(x, y, Window(window));
    const std::int64_t grown = window % 2 == 0 ? 1 : 0;
    ASSERT_EQ(map.sizes(), (at::IntArrayRef{2, 2, 14 + grown, 17 + grown}));
    for (std::int64_t n = 0; n < 2; ++n) {
      for (std::int64_t c = 0; c < 2; ++c) {
        const at::Tensor a = x[n][c], b = y[n][c];
        for (std::int64_t row = 0; row < map.size(2); ++row) {
          for (std::int64_t column = 0; column < map.size(3); ++column) {
            ASSERT_NEAR(map[n][c][row][column].item<double>(),
                        SlowPlace(a.accessor<double, 2>(), b.accessor<double, 2>(), row, column, window), 1e-11)
                << window << " " << row << " " << column;
          }
        }
      }
    }
  }
}

// Numbers from autoencoder_reference.py: torch's convolution, pytorch-msssim and scikit-image.
TEST(Ssim, AgreesWithOtherImplementations) {
  EXPECT_NEAR(Ssim(First(), Second(), Window(10)).item<double>(), 0.955270832, 1e-8);
  EXPECT_NEAR(Ssim(First(), Second(), Window(11)).item<double>(), 0.954395576, 1e-8);
  const at::Tensor inside = SsimMap(First(), Second(), Window(11)).narrow(2, 5, 54).narrow(3, 5, 54);
  EXPECT_NEAR(inside.mean().item<double>(), 0.951018459, 5e-8);  // pytorch-msssim has float32 taps
  EXPECT_NEAR(inside.mean().item<double>(), 0.951018448, 1e-8);  // scikit-image
  EXPECT_NEAR(Ssim(First().to(at::kFloat), Second().to(at::kFloat), Window(10)).item<double>(), 0.955270832, 2e-6);
}

TEST(Ssim, IsOneForEqualPicturesAndSymmetric) {
  for (const std::int64_t window : {10, 11}) {
    EXPECT_NEAR(Ssim(First(), First(), Window(window)).item<double>(), 1.0, 1e-12);
    EXPECT_NEAR(Ssim(First(), Second(), Window(window)).item<double>(),
                Ssim(Second(), First(), Window(window)).item<double>(), 1e-14);
    EXPECT_LT(Ssim(First(), Second(), Window(window)).item<double>(), 1.0);
  }
  // Flat pictures: the second factor is 1, only the means matter.
  const at::Tensor dark = at::full({1, 1, 32, 32}, 0.2, at::kDouble),
                   light = at::full({1, 1, 32, 32}, 0.6, at::kDouble);
  EXPECT_NEAR(SsimMap(dark, light, Window(11))[0][0][16][16].item<double>(), 0.2401 / 0.4001, 1e-9);
}

TEST(Ssim, HasTheGradientOfItsDefinition) {
  const at::Tensor x = Units(43, {1, 2, 12, 13}, 0), y = Units(44, {1, 2, 12, 13}, 0);
  for (const std::int64_t window : {10, 11}) {
    ExpectGradient(x, [&](const at::Tensor& t) { return 100.0 * Ssim(t, y, Window(window)); });
    ExpectGradient(y, [&](const at::Tensor& t) { return 100.0 * Ssim(x, t, Window(window)); });
  }
}

TEST(Ssim, RefusesWhatCannotBeCompared) {
  const at::Tensor x = at::zeros({1, 3, 8, 8});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "must be [N, C, H, W]", (void)Ssim(x, at::zeros({1, 3, 8, 9})));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "one floating type", (void)Ssim(x, x.to(at::kDouble)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "one floating type", (void)Ssim(x.to(at::kByte), x.to(at::kByte)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "must be [N, C, H, W]", (void)Ssim(x.narrow(0, 0, 0), x.narrow(0, 0, 0)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 to 64 taps", (void)SsimTaps(Window(0)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 to 64 taps", (void)SsimTaps(Window(65)));
  for (const double sigma : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "sigma above 0", (void)SsimTaps({.sigma = sigma}));
  }
  // Black pictures would be NaN without the constants.
  for (const double constant : {0.0, -1e-4, 2.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "C1 and C2", (void)Ssim(x, x, {.c1 = constant}));
    EXPECT_ERROR(ErrorCode::kInvalidInput, "C1 and C2", (void)Ssim(x, x, {.c2 = constant}));
  }
  EXPECT_NEAR(Ssim(x, x, {.c1 = kLeastSsimConstant, .c2 = kLeastSsimConstant}).item<double>(), 1.0, 1e-6);
}

}  // namespace
}  // namespace hemafed::learning
