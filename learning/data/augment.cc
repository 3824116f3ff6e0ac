// SPDX-License-Identifier: Apache-2.0
#include "learning/data/augment.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <opencv2/imgproc.hpp>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/random.h"

namespace hemafed::learning {

namespace {

using Matrix = cv::Matx33d;

constexpr std::array<double, 3> kLuma = {0.299, 0.587, 0.114};
// A constant trip count lets the compiler use vectors; rows are padded to a multiple.
constexpr std::size_t kLanes = 16;

Matrix HueAndSaturation(double hue, double saturation) {
  // RGB to YIQ as NTSC defined it; the inverse is computed, so that no rounding of printed digits enters.
  const Matrix to_yiq(kLuma[0], kLuma[1], kLuma[2], 0.596, -0.274, -0.322, 0.211, -0.523, 0.312);
  const double cosine = std::cos(hue);
  const double sine = std::sin(hue);
  const Matrix turn(1, 0, 0, 0, saturation * cosine, -saturation * sine, 0, saturation * sine, saturation * cosine);
  return to_yiq.inv() * turn * to_yiq;
}

// Zoom, angle and shift about the middle, then blur. `scratch` owns the result where there is one.
const std::uint8_t* WarpAndBlur(const std::uint8_t* tile, std::uint32_t side, const Variant& variant,
                                cv::Mat& scratch) {
  const int size = static_cast<int>(side);
  // OpenCV wraps mutable bytes; they are only read.
  const cv::Mat in(size, size, CV_8UC3, const_cast<std::uint8_t*>(tile));
  cv::Mat current = in;
  const bool warps = variant.angle != 0.0 || variant.zoom != 1.0 || variant.shift_x != 0.0 || variant.shift_y != 0.0;
  if (warps) {
    // From a place in the result to one in the tile: undo the shift, then turn back and shrink. y points downwards.
    const double middle = (size - 1) / 2.0;
    const double a = std::cos(variant.angle) / variant.zoom;
    const double b = std::sin(variant.angle) / variant.zoom;
    const double x0 = middle + variant.shift_x * size;
    const double y0 = middle + variant.shift_y * size;
    const cv::Matx23d back(a, -b, middle - a * x0 + b * y0, b, a, middle - b * x0 - a * y0);
    cv::warpAffine(current, scratch, back, in.size(), cv::INTER_LINEAR | cv::WARP_INVERSE_MAP, cv::BORDER_REFLECT_101);
    current = scratch;
  }
  if (variant.blur_sigma > 0.0) {
    const int reach = std::max(1, static_cast<int>(std::ceil(3.0 * variant.blur_sigma)));
    cv::Mat blurred;
    cv::GaussianBlur(current, blurred, cv::Size(2 * reach + 1, 2 * reach + 1), variant.blur_sigma, variant.blur_sigma,
                     cv::BORDER_REFLECT_101);
    scratch = blurred;
    current = scratch;
  }
  return current.data;
}

double MeanLuma(const std::uint8_t* tile, std::size_t pixels) {
  std::array<std::uint64_t, 3> sums{};
  for (std::size_t i = 0; i < pixels; ++i) {
    for (std::size_t c = 0; c < 3; ++c) sums[c] += tile[3 * i + c];
  }
  double luma = 0.0;
  for (std::size_t c = 0; c < 3; ++c) luma += kLuma[c] * static_cast<double>(sums[c]);
  return luma / static_cast<double>(pixels);
}

// What happens to a pixel, in one step: clamp(m . v + offset) * scale + shift.
struct PixelRule {
  float m[3][3];
  float offset;
  std::array<float, 3> scale;
  std::array<float, 3> shift;
};

PixelRule MakeRule(const Variant& variant, const PixelScale& normalisation, double mean_luma) {
  const Matrix colour = HueAndSaturation(variant.hue, variant.saturation) * (variant.brightness * variant.contrast);
  PixelRule rule{};
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 3; ++column) rule.m[row][column] = static_cast<float>(colour(row, column));
  }
  rule.offset = static_cast<float>(variant.brightness * (1.0 - variant.contrast) * mean_luma);
  for (std::size_t c = 0; c < 3; ++c) {
    rule.scale[c] = 1.0f / (255.0f * normalisation.deviation[c]);
    rule.shift[c] = -normalisation.mean[c] / normalisation.deviation[c];
  }
  return rule;
}

// A row of pixels as three rows of floats, padded to a multiple of kLanes.
struct RowBuffer {
  explicit RowBuffer(std::size_t side) : padded((side + kLanes - 1) / kLanes * kLanes), values(6 * padded) {}
  [[nodiscard]] float* In(std::size_t c) { return values.data() + c * padded; }
  [[nodiscard]] float* Out(std::size_t c) { return values.data() + (3 + c) * padded; }

  std::size_t padded;
  std::vector<float> values;
};

void Colour(const PixelRule& rule, RowBuffer& row) {
  for (std::size_t c = 0; c < 3; ++c) {
    const float m0 = rule.m[c][0];
    const float m1 = rule.m[c][1];
    const float m2 = rule.m[c][2];
    for (std::size_t x = 0; x < row.padded; x += kLanes) {
      const float* r = row.In(0) + x;
      const float* g = row.In(1) + x;
      const float* b = row.In(2) + x;
      float* out = row.Out(c) + x;
      for (std::size_t i = 0; i < kLanes; ++i) {
        float v = m0 * r[i] + m1 * g[i] + m2 * b[i] + rule.offset;
        v = v < 0.0f ? 0.0f : v;
        v = v > 255.0f ? 255.0f : v;
        out[i] = v * rule.scale[c] + rule.shift[c];
      }
    }
  }
}

void NormaliseOnly(const PixelRule& rule, RowBuffer& row) {
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t x = 0; x < row.padded; x += kLanes) {
      const float* in = row.In(c) + x;
      float* out = row.Out(c) + x;
      for (std::size_t i = 0; i < kLanes; ++i) out[i] = in[i] * rule.scale[c] + rule.shift[c];
    }
  }
}

// Where output pixel (x, y) of a mirrored and turned tile comes from: start + x * step_x + y * step_y, in pixels.
struct Walk {
  std::ptrdiff_t start;
  std::ptrdiff_t step_x;
  std::ptrdiff_t step_y;
};

Walk WalkOf(const Variant& variant, std::ptrdiff_t side) {
  Walk walk{0, 1, side};
  if (variant.mirror_x) walk = {walk.start + (side - 1) * walk.step_x, -walk.step_x, walk.step_y};
  if (variant.mirror_y) walk = {walk.start + (side - 1) * walk.step_y, walk.step_x, -walk.step_y};
  for (unsigned i = 0; i < variant.quarter_turns % 4; ++i) {
    // Counter-clockwise: out(x, y) = in(side - 1 - y, x).
    walk = {walk.start + (side - 1) * walk.step_x, walk.step_y, -walk.step_x};
  }
  return walk;
}

}  // namespace

Variant DrawVariant(const AugmentationPlan& plan, std::uint64_t seed, std::uint32_t step, std::uint32_t place) {
  const std::uint64_t key = DeriveSeed(seed, "augmentation 1");
  std::array<std::uint32_t, 12> words{};
  for (std::uint32_t block = 0; block < 3; ++block) {
    const PhiloxBlock drawn = Philox4x32(key, {block, place, step, 0});
    std::copy(drawn.begin(), drawn.end(), words.begin() + 4 * block);
  }
  const auto unit = [&](std::size_t word) { return (words[word] >> 8) * 0x1p-24; };
  const auto both = [&](std::size_t word) { return 2.0 * unit(word) - 1.0; };
  Variant variant;
  if (plan.flips) {
    variant.mirror_x = (words[0] & 1u) != 0;
    variant.mirror_y = (words[0] & 2u) != 0;
  }
  if (plan.rotation == Rotation::kQuarter) variant.quarter_turns = words[0] >> 2 & 3u;
  if (plan.rotation == Rotation::kAny) variant.angle = 2.0 * std::numbers::pi * unit(1);
  variant.shift_x = both(2) * plan.shift;
  variant.shift_y = both(3) * plan.shift;
  variant.zoom = 1.0 + both(4) * plan.zoom;
  variant.brightness = 1.0 + both(5) * plan.brightness;
  variant.contrast = 1.0 + both(6) * plan.contrast;
  variant.saturation = 1.0 + both(7) * plan.saturation;
  variant.hue = 2.0 * std::numbers::pi * both(8) * plan.hue;
  variant.blur_sigma = unit(9) * plan.blur;
  return variant;
}

void ApplyVariant(std::span<const std::uint8_t> tile, std::uint32_t side, const Variant& variant,
                  const PixelScale& normalisation, std::span<float> out) {
  const std::size_t pixels = std::size_t{side} * side;
  if (side == 0 || tile.size() != 3 * pixels || out.size() != 3 * pixels) {
    throw Error(ErrorCode::kInternal, "a tile of side " + std::to_string(side) + " has " + std::to_string(tile.size()) +
                                          " bytes and room for " + std::to_string(out.size()) + " values");
  }
  cv::Mat scratch;
  const std::uint8_t* source = WarpAndBlur(tile.data(), side, variant, scratch);
  const bool recolours =
      variant.brightness != 1.0 || variant.contrast != 1.0 || variant.saturation != 1.0 || variant.hue != 0.0;
  const PixelRule rule = MakeRule(variant, normalisation, variant.contrast == 1.0 ? 0.0 : MeanLuma(source, pixels));
  const Walk walk = WalkOf(variant, static_cast<std::ptrdiff_t>(side));
  RowBuffer row(side);
  for (std::size_t y = 0; y < side; ++y) {
    std::ptrdiff_t at = 3 * (walk.start + static_cast<std::ptrdiff_t>(y) * walk.step_y);
    float* const r = row.In(0);
    float* const g = row.In(1);
    float* const b = row.In(2);
    for (std::size_t x = 0; x < side; ++x, at += 3 * walk.step_x) {
      r[x] = source[at];
      g[x] = source[at + 1];
      b[x] = source[at + 2];
    }
    if (recolours) {
      Colour(rule, row);
    } else {
      NormaliseOnly(rule, row);
    }
    for (std::size_t c = 0; c < 3; ++c) std::copy_n(row.Out(c), side, out.data() + c * pixels + y * side);
  }
}

}  // namespace hemafed::learning
