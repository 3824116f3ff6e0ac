// SPDX-License-Identifier: Apache-2.0
#include "codec/projection.h"

#include <cmath>
#include <string>

#include "codec/head_growth.h"
#include "codec/update.h"
#include "common/error.h"
#include "common/random.h"

namespace hemafed {

namespace {

// Not the plan's seed itself: its blocks with these counters are head rows.
constexpr std::string_view kPurpose = "analytic projection";

void CheckWidth(std::uint32_t width) {
  if (width == 0 || width > kMaxFeatureWidth) {
    throw Error(ErrorCode::kInvalidInput, "a random projection cannot take " + std::to_string(width) +
                                              " features; from 1 to " + std::to_string(kMaxFeatureWidth) + " it can");
  }
}

std::vector<std::int32_t> Row(std::uint64_t derived_seed, std::uint32_t row, std::uint32_t width) {
  const auto bound = static_cast<std::uint64_t>(ProjectionBound(width));
  std::vector<std::int32_t> values(width);
  for (std::uint32_t column = 0; column < width; ++column) {
    const std::uint64_t word = Philox4x32(derived_seed, {row, column, 0, 0})[0];
    values[column] = static_cast<std::int32_t>(static_cast<std::int64_t>((word * (2 * bound + 1)) >> 32) -
                                               static_cast<std::int64_t>(bound));
  }
  return values;
}

}  // namespace

std::int32_t ProjectionBound(std::uint32_t width) {
  CheckWidth(width);
  // floor(2^22 sqrt(3 / d)) is the integer root of floor(3 * 2^44 / d).
  const std::uint64_t square = (std::uint64_t{3} << (2 * kGridBits)) / width;
  auto bound = static_cast<std::uint64_t>(std::sqrt(static_cast<double>(square)));
  while (bound * bound > square) --bound;
  while ((bound + 1) * (bound + 1) <= square) ++bound;
  return static_cast<std::int32_t>(bound);
}

std::vector<std::int32_t> ProjectionRow(std::uint64_t seed, std::uint32_t row, std::uint32_t width) {
  CheckWidth(width);
  return Row(DeriveSeed(seed, kPurpose), row, width);
}

std::vector<float> ProjectionMatrix(std::uint64_t seed, std::uint32_t features, std::uint32_t width) {
  CheckWidth(width);
  if (features == 0 || features > kMaxRandomFeatures) {
    throw Error(ErrorCode::kInvalidInput, "a random projection cannot give " + std::to_string(features) +
                                              " features; from 1 to " + std::to_string(kMaxRandomFeatures) + " it can");
  }
  const std::uint64_t derived = DeriveSeed(seed, kPurpose);
  std::vector<float> matrix;
  matrix.reserve(std::size_t{features} * width);
  for (std::uint32_t row = 0; row < features; ++row) {
    for (const std::int32_t value : Row(derived, row, width)) {
      matrix.push_back(std::ldexp(static_cast<float>(value), -kGridBits));
    }
  }
  return matrix;
}

}  // namespace hemafed
