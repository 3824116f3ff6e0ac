// learning/continual/herding.h
// SPDX-License-Identifier: Apache-2.0
//
// Herding (iCaRL, Rebuffi et al., CVPR 2017; UACL eq. 4): picks pictures whose running mean of features stays closest
// to the mean of their class. For k = 1, 2, ...:
//
//     raw         pick x that minimises || mean - (psi(x) + sum of chosen psi) / k ||
//     normalised  the same with every psi, the mean, and each candidate running mean scaled to length 1
//
// A chosen picture leaves the pool: two public implementations forget this and store one picture many times
// (published-systems 2.3). Distances closer than kHerdingTie go to the lower index, and pictures are ordered by the
// SHA-256 of their file, so the choice does not depend on how a folder is listed. Sums are float64 in index order. No
// LibTorch here.
//
// The choice is that of the plain loop over all candidates, distances included; most candidates are ruled out before.
// With m the mean of the (scaled) psi, e = psi - m and E = sum of e over the chosen,
//
//     raw         k^2 distance^2 = |e|^2 + 2 e.E + |E|^2
//     normalised  distance^2 = 1 + 1 - 2 cos,  cos = (psi.mean + S.mean) / |psi + S|,  psi.S = (k-1) psi.m + m.E + e.E
//
// only e.E changes from step to step. It is estimated from e rounded to 8 bits, e', and E rounded to 16 bits, E', with
// an error of at most |e - e'| |E| + |e'| |E - E'| (Cauchy-Schwarz); whoever cannot win within these bounds needs no
// exact distance.
// What is left, a few of thousands, is computed in full. Features for which the bounds are loose cost time, not
// correctness.
//
// Cost: count * rows * width 8-bit products and rows * width bytes beside the features.
//
// Errors: Error(kInvalidInput) if `values` does not hold rows * width numbers or one is not finite.
// Thread-safety: free function without state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hemafed::learning {

struct FeatureRows {
  std::size_t rows = 0;
  std::size_t width = 0;
  std::vector<float> values;  // row-major
};

enum class HerdingVariant : std::uint8_t { kRaw, kNormalised };

// Distances this close are a tie. Far below what one picture changes, far above the rounding of sums of a few thousand.
inline constexpr double kHerdingTie = 1e-12;

struct HerdingChoice {
  std::size_t row;
  double distance;  // between the mean and the running mean after this choice
};

// The first min(count, rows) choices in order.
[[nodiscard]] std::vector<HerdingChoice> Herd(const FeatureRows& features, std::size_t count, HerdingVariant variant);

}  // namespace hemafed::learning
