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
// (published-systems 2.3). Ties go to the lower index, and pictures are ordered by the SHA-256 of their file, so the
// choice does not depend on how a folder is listed. Sums are float64 in index order. No LibTorch here.
//
// Cost: count * rows * width multiplications; 8,000 pictures of 2,048 features and 333 choices take some seconds.
//
// Errors: Error(kInvalidInput) if `values` does not hold rows * width numbers or one is not finite.
// Thread-safety: free function without state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hemafed::learning {

struct FeatureMatrix {
  std::size_t rows = 0;
  std::size_t width = 0;
  std::vector<float> values;  // row-major
};

enum class HerdingVariant : std::uint8_t { kRaw, kNormalised };

struct HerdingChoice {
  std::size_t row;
  double distance;  // between the mean and the running mean after this choice
};

// The first min(count, rows) choices in order.
[[nodiscard]] std::vector<HerdingChoice> Herd(const FeatureMatrix& features, std::size_t count, HerdingVariant variant);

}  // namespace hemafed::learning
