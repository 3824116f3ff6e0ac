// SPDX-License-Identifier: Apache-2.0
#include "learning/data/augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>
#include <string>
#include <vector>

#include "common/random.h"
#include "tests/learning/data/picture_files.h"

namespace hemafed::learning {
namespace {

using Tile = std::vector<std::uint8_t>;
using Planes = std::vector<float>;

constexpr PixelScale kPlain = {{0, 0, 0}, {1.0f / 255, 1.0f / 255, 1.0f / 255}};  // Leaves 0..255.

Tile Grainy(std::uint32_t side, std::uint64_t seed) {
  RandomStream random(seed);
  Tile tile(std::size_t{side} * side * 3);
  for (std::uint8_t& byte : tile) byte = static_cast<std::uint8_t>(random.NextBelow(256));
  return tile;
}
Tile Smooth(std::uint32_t side) {
  const cv::Mat picture = testing_support::SomePicture(static_cast<int>(side), static_cast<int>(side), 11);
  return {picture.datastart, picture.dataend};
}

Planes Apply(const Tile& tile, std::uint32_t side, const Variant& variant, const PixelScale& normalisation = kPlain) {
  Planes out(tile.size());
  ApplyVariant(tile, side, variant, normalisation, out);
  return out;
}

double At(const Tile& tile, std::uint32_t side, std::size_t x, std::size_t y, std::size_t c) {
  return tile[3 * (y * side + x) + c];
}
float At(const Planes& planes, std::uint32_t side, std::size_t x, std::size_t y, std::size_t c) {
  return planes[(c * side + y) * side + x];
}

TEST(Augment, WithoutChangeOnlyNormalises) {
  const std::uint32_t side = 21;  // Not a multiple of any vector length.
  const Tile tile = Grainy(side, 1);
  const PixelScale imagenet;
  const Planes out = Apply(tile, side, {}, imagenet);
  const double mean[3] = {0.485, 0.456, 0.406};
  const double deviation[3] = {0.229, 0.224, 0.225};
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t y = 0; y < side; ++y) {
      for (std::size_t x = 0; x < side; ++x) {
        EXPECT_NEAR(At(out, side, x, y, c), (At(tile, side, x, y, c) / 255.0 - mean[c]) / deviation[c], 2e-6);
      }
    }
  }
}

TEST(Augment, MirrorsAndTurnsAreExactAndComposeToAllEightSymmetries) {
  const std::uint32_t side = 18;
  const std::size_t last = side - 1;
  const Tile tile = Grainy(side, 2);
  std::set<Planes> distinct;
  for (const bool mirror_x : {false, true}) {
    for (const bool mirror_y : {false, true}) {
      for (unsigned turns = 0; turns < 4; ++turns) {
        Variant variant;
        variant.mirror_x = mirror_x;
        variant.mirror_y = mirror_y;
        variant.quarter_turns = turns;
        const Planes out = Apply(tile, side, variant);
        for (std::size_t y = 0; y < side; ++y) {
          for (std::size_t x = 0; x < side; ++x) {
            // Undo one quarter turn after the other, then the mirrors.
            std::size_t sx = x;
            std::size_t sy = y;
            for (unsigned i = 0; i < turns; ++i) {
              const std::size_t before_x = last - sy;
              sy = sx;
              sx = before_x;
            }
            if (mirror_x) sx = last - sx;
            if (mirror_y) sy = last - sy;
            for (std::size_t c = 0; c < 3; ++c) ASSERT_NEAR(At(out, side, x, y, c), At(tile, side, sx, sy, c), 1e-4);
          }
        }
        distinct.insert(out);
      }
    }
  }
  EXPECT_EQ(distinct.size(), 8u);
}

TEST(Augment, AQuarterTurnByAngleIsAQuarterTurn) {
  const std::uint32_t side = 32;
  const Tile tile = Smooth(side);
  Variant by_angle;
  by_angle.angle = std::numbers::pi / 2;
  Variant by_turn;
  by_turn.quarter_turns = 1;
  const Planes a = Apply(tile, side, by_angle);
  const Planes b = Apply(tile, side, by_turn);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1.0);
}

// What the header's formulas say, pixel by pixel in double.
std::array<double, 3> SlowColour(const std::array<double, 3>& v, const Variant& variant, double mean_luma) {
  const double yiq[3][3] = {{0.299, 0.587, 0.114}, {0.596, -0.274, -0.322}, {0.211, -0.523, 0.312}};
  double y[3]{};
  for (int r = 0; r < 3; ++r) {
    for (int c = 0; c < 3; ++c) y[r] += yiq[r][c] * v[static_cast<std::size_t>(c)];
  }
  const double i = std::cos(variant.hue) * y[1] - std::sin(variant.hue) * y[2];
  const double q = std::sin(variant.hue) * y[1] + std::cos(variant.hue) * y[2];
  // Solve yiq * rgb = (y, i, q) by Cramer's rule.
  const auto determinant = [](const double m[3][3]) {
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
  };
  std::array<double, 3> out{};
  for (std::size_t column = 0; column < 3; ++column) {
    double replaced[3][3];
    for (std::size_t r = 0; r < 3; ++r) {
      for (std::size_t c = 0; c < 3; ++c) replaced[r][c] = yiq[r][c];
    }
    replaced[0][column] = y[0];
    replaced[1][column] = i;
    replaced[2][column] = q;
    const double turned = determinant(replaced) / determinant(yiq);
    const double saturated = y[0] + variant.saturation * (turned - y[0]);
    out[column] = std::clamp(variant.brightness * (variant.contrast * (saturated - mean_luma) + mean_luma), 0.0, 255.0);
  }
  return out;
}

TEST(Augment, ColourFollowsItsFormula) {
  const std::uint32_t side = 19;
  const Tile tile = Grainy(side, 3);
  double luma = 0.0;
  for (std::size_t i = 0; i < tile.size(); i += 3) luma += 0.299 * tile[i] + 0.587 * tile[i + 1] + 0.114 * tile[i + 2];
  luma /= side * side;
  for (int which = 0; which < 6; ++which) {
    Variant variant;
    if (which == 0 || which == 5) variant.brightness = 1.25;
    if (which == 1 || which == 5) variant.contrast = 0.7;
    if (which == 2 || which == 5) variant.saturation = 1.4;
    if (which == 3 || which == 5) variant.hue = 0.4;
    if (which == 4) variant.hue = -2.0;
    const Planes out = Apply(tile, side, variant);
    for (std::size_t y = 0; y < side; ++y) {
      for (std::size_t x = 0; x < side; ++x) {
        const auto want =
            SlowColour({At(tile, side, x, y, 0), At(tile, side, x, y, 1), At(tile, side, x, y, 2)}, variant, luma);
        for (std::size_t c = 0; c < 3; ++c) ASSERT_NEAR(At(out, side, x, y, c), want[c], 2e-3) << "case " << which;
      }
    }
  }
}

// The warp of the header, by bilinear interpolation in double; the border is mirrored without repeating the last pixel.
double SlowWarp(const Tile& tile, std::uint32_t side, const Variant& variant, double x, double y, std::size_t c) {
  const double middle = (side - 1) / 2.0;
  const double dx = x - middle - variant.shift_x * side;
  const double dy = y - middle - variant.shift_y * side;
  const double sx = middle + (std::cos(variant.angle) * dx - std::sin(variant.angle) * dy) / variant.zoom;
  const double sy = middle + (std::sin(variant.angle) * dx + std::cos(variant.angle) * dy) / variant.zoom;
  const auto mirrored = [&](long at) {
    const long period = 2 * (static_cast<long>(side) - 1);
    const long within = ((at % period) + period) % period;
    return static_cast<std::size_t>(within < static_cast<long>(side) ? within : period - within);
  };
  const long x0 = std::lround(std::floor(sx));
  const long y0 = std::lround(std::floor(sy));
  double sum = 0.0;
  for (long j = 0; j < 2; ++j) {
    for (long i = 0; i < 2; ++i) {
      const double weight =
          (1.0 - std::abs(sx - static_cast<double>(x0 + i))) * (1.0 - std::abs(sy - static_cast<double>(y0 + j)));
      sum += weight * At(tile, side, mirrored(x0 + i), mirrored(y0 + j), c);
    }
  }
  return sum;
}

TEST(Augment, WarpsAsASlowBilinearComputationDoes) {
  const std::uint32_t side = 48;
  const Tile tile = Smooth(side);
  RandomStream random(9);
  for (int trial = 0; trial < 8; ++trial) {
    Variant variant;
    variant.angle = random.NextBetween(0, 6.28);
    variant.zoom = random.NextBetween(0.8, 1.25);
    variant.shift_x = random.NextBetween(-0.1, 0.1);
    variant.shift_y = random.NextBetween(-0.1, 0.1);
    const Planes out = Apply(tile, side, variant);
    double worst = 0.0;
    double sum = 0.0;
    for (std::size_t y = 0; y < side; ++y) {
      for (std::size_t x = 0; x < side; ++x) {
        for (std::size_t c = 0; c < 3; ++c) {
          const double error = std::abs(At(out, side, x, y, c) - SlowWarp(tile, side, variant, static_cast<double>(x),
                                                                          static_cast<double>(y), c));
          worst = std::max(worst, error);
          sum += error;
        }
      }
    }
    // OpenCV rounds source places to 1/32 pixel; neighbours of this tile differ by up to 20 grey levels.
    EXPECT_LT(worst, 1.5) << "trial " << trial;
    EXPECT_LT(sum / static_cast<double>(out.size()), 0.5) << "trial " << trial;
  }
}

TEST(Augment, BlursAsAGaussianDoes) {
  const std::uint32_t side = 31;
  Tile tile(side * side * 3, 0);
  tile[3 * (15 * side + 15) + 1] = 255;
  Variant variant;
  variant.blur_sigma = 1.3;
  const Planes out = Apply(tile, side, variant);
  double total = 0.0;
  for (int d = -6; d <= 6; ++d) total += std::exp(-d * d / (2 * 1.3 * 1.3));
  for (int dy = -3; dy <= 3; ++dy) {
    for (int dx = -3; dx <= 3; ++dx) {
      const double want = 255 * std::exp(-(dx * dx + dy * dy) / (2 * 1.3 * 1.3)) / (total * total);
      EXPECT_NEAR(At(out, side, static_cast<std::size_t>(15 + dx), static_cast<std::size_t>(15 + dy), 1), want, 0.8);
    }
  }
}

AugmentationPlan Everything() {
  return {.flips = true,
          .rotation = Rotation::kAny,
          .brightness = 0.2,
          .contrast = 0.2,
          .saturation = 0.3,
          .hue = 0.03,
          .zoom = 0.1,
          .shift = 0.05,
          .blur = 1.0};
}

TEST(DrawVariant, IsAFunctionOfSeedStepAndPlaceOnly) {
  const Tile tile = Grainy(32, 4);
  const Planes once = Apply(tile, 32, DrawVariant(Everything(), 7, 3, 5));
  for (std::uint32_t place = 0; place < 5; ++place) (void)DrawVariant(Everything(), 7, 3, place);
  EXPECT_EQ(Apply(tile, 32, DrawVariant(Everything(), 7, 3, 5)), once);
  EXPECT_NE(Apply(tile, 32, DrawVariant(Everything(), 8, 3, 5)), once);
  EXPECT_NE(Apply(tile, 32, DrawVariant(Everything(), 7, 4, 5)), once);
  EXPECT_NE(Apply(tile, 32, DrawVariant(Everything(), 7, 3, 6)), once);
}

TEST(DrawVariant, UsesTheDocumentedWords) {
  const std::uint64_t key = DeriveSeed(99, "augmentation 1");
  const PhiloxBlock first = Philox4x32(key, {0, 12, 34, 0});
  const PhiloxBlock second = Philox4x32(key, {1, 12, 34, 0});
  const PhiloxBlock third = Philox4x32(key, {2, 12, 34, 0});
  const Variant variant = DrawVariant(Everything(), 99, 34, 12);
  EXPECT_EQ(variant.mirror_x, (first[0] & 1) == 1);
  EXPECT_EQ(variant.mirror_y, (first[0] & 2) == 2);
  EXPECT_DOUBLE_EQ(variant.angle, 2 * std::numbers::pi * (first[1] >> 8) / 16777216.0);
  EXPECT_DOUBLE_EQ(variant.shift_x, 0.05 * (2 * ((first[2] >> 8) / 16777216.0) - 1));
  EXPECT_DOUBLE_EQ(variant.zoom, 1 + 0.1 * (2 * ((second[0] >> 8) / 16777216.0) - 1));
  EXPECT_DOUBLE_EQ(variant.saturation, 1 + 0.3 * (2 * ((second[3] >> 8) / 16777216.0) - 1));
  EXPECT_DOUBLE_EQ(variant.blur_sigma, (third[1] >> 8) / 16777216.0);
}

TEST(DrawVariant, StaysWithinThePlanAndReachesItsEnds) {
  const AugmentationPlan plan = Everything();
  double lowest = 2.0;
  double highest = 0.0;
  unsigned mirrored = 0;
  for (std::uint32_t place = 0; place < 2000; ++place) {
    const Variant variant = DrawVariant(plan, 1, 0, place);
    lowest = std::min(lowest, variant.brightness);
    highest = std::max(highest, variant.brightness);
    mirrored += variant.mirror_x ? 1 : 0;
    EXPECT_LE(std::abs(variant.shift_x), plan.shift);
    EXPECT_LE(std::abs(variant.hue), 2 * std::numbers::pi * plan.hue);
    EXPECT_LT(variant.blur_sigma, plan.blur);
    EXPECT_EQ(variant.quarter_turns, 0u) << "any angle already covers quarter turns";
  }
  EXPECT_GE(lowest, 0.8);
  EXPECT_LT(lowest, 0.803);
  EXPECT_LE(highest, 1.2);
  EXPECT_GT(highest, 1.197);
  EXPECT_NEAR(mirrored, 1000, 100);
}

TEST(DrawVariant, OfAnEmptyPlanChangesNothing) {
  const Tile tile = Grainy(24, 6);
  for (std::uint32_t place = 0; place < 20; ++place) {
    EXPECT_EQ(Apply(tile, 24, DrawVariant({}, 5, 1, place)), Apply(tile, 24, {}));
  }
}

}  // namespace
}  // namespace hemafed::learning
