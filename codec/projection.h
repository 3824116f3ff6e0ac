// codec/projection.h
// SPDX-License-Identifier: Apache-2.0
//
// The random projection of the analytic head (RanPAC, McDonnell et al., NeurIPS 2023, section 3): features psi of a
// frozen trunk, d numbers, are lifted to M random ones,
//
//     phi = ReLU(R psi),   R [M, d],   R[i, j] = (floor(u (2B+1) / 2^32) - B) * 2^-22,   B = floor(2^22 sqrt(3 / d))
//
// u is the first word of Philox4x32-10(key = DeriveSeed(seed, "analytic projection"), counter = (i, j, 0, 0)); i, j
// count from 0. So R is uniform on a grid, as new rows of a head are (codec/head_growth.h), with the variance 1/d of
// the normal numbers that the paper takes: a ridge means the same with both. A sum of d such numbers is near normal
// either way. Uniform integers need no logarithm or cosine, whose last bits differ between machines: any program
// computes the same R from the plan's seed, and the scales need no rounding either.
//
// Shapes: R row-major. Values are exact in float32 (B < 2^23).
//
// Errors: kInvalidInput for a width or number of features out of range. Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hemafed {

// The solve is cubic in M and the sums are M^2 / 2 integers: 17 MB and a few seconds at this size (design 11.7).
inline constexpr std::uint32_t kMaxRandomFeatures = 2'048;

// B of the formula; `width` is d.
[[nodiscard]] std::int32_t ProjectionBound(std::uint32_t width);

// Row `row` of R as multiples of 2^-22: `width` integers within +-B.
[[nodiscard]] std::vector<std::int32_t> ProjectionRow(std::uint64_t seed, std::uint32_t row, std::uint32_t width);

// All of R, row-major; float32 holds every value exactly.
[[nodiscard]] std::vector<float> ProjectionMatrix(std::uint64_t seed, std::uint32_t features, std::uint32_t width);

}  // namespace hemafed
