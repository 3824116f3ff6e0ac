// learning/features/latent/two_samples.h
// SPDX-License-Identifier: Apache-2.0
//
// Do two samples of features come from one distribution? Maximum mean discrepancy with a permutation test (Gretton et
// al., "A Kernel Two-Sample Test", JMLR 13, 2012, eq. 3 and 5).
//
//   k(x, y)      = exp(-|x - y|^2 / (2 s^2)),   s^2 = median of |x - y|^2 over pairs of the pooled rows
//   unbiased     = sum_{i != j} k(x_i, x_j) / n(n-1) + sum_{i != j} k(y_i, y_j) / m(m-1) - 2 sum_{i,j} k(x_i, y_j) / nm
//   biased       = the same with the diagonal: sum_{i,j} k(x_i, x_j) / n^2 + ... ; never below 0
//   p            = (1 + permutations whose unbiased value is at least the observed one) / (1 + permutations)
//
// n rows in x, m in y, at most rows_max of each (DrawRows, streams 0 and 1; the first `median_rows` of a like draw from
// the pooled rows, stream 2, give the median: the lower middle one of all their pairs). Permutation r reassigns the n +
// m rows by Permutation() from RandomStream(DeriveSeed(seed, "drift permutation 1"), r).
//
// Exactness: kernel values are rounded to whole multiples of 2^-30 and only integers are added and compared after that,
// so order and threads cannot matter and p is an exact fraction. Two machines agree unless their exp() or log() differ
// in the last bit.
//
// Cost: (n + m)^2 kernel values of 4 bytes (64 MiB at the most rows allowed), permutations * (n + m)^2 / 8 additions.
//
// Errors: kInvalidInput for another number of columns, NaN, fewer than kMinTwoSampleRows rows in either, settings out
// of range, or a median of 0: more than half of the pairs are equal, as with constant features; kInterrupted when
// `stop` says so. Thread-safety: free function without state.
#pragma once

#include <cstdint>
#include <functional>

#include "learning/features/latent/feature_matrix.h"

namespace hemafed::learning {

// Below, no shift of a plausible size could be found and a "no" would be misread.
inline constexpr std::size_t kMinTwoSampleRows = 10;
inline constexpr std::size_t kMaxTwoSampleRows = 2'000;  // Of each sample; bounds the matrix of kernel values.
inline constexpr std::uint32_t kMaxPermutations = 100'000;

struct TwoSampleSettings {
  std::uint32_t permutations = 999;  // p is then a multiple of 0.001
  std::size_t rows_max = 1'000;      // of each sample
  std::size_t median_rows = 500;     // 124,750 pairs
  std::uint64_t seed = 0;
};

struct TwoSampleResult {
  std::size_t rows_x = 0;  // used
  std::size_t rows_y = 0;
  double bandwidth_squared = 0;  // s^2
  double unbiased = 0;
  double biased = 0;
  std::uint32_t p_numerator = 1;  // p = p_numerator / p_denominator
  std::uint32_t p_denominator = 1;
};

// Asked between rows and between permutations; true ends the comparison. May be empty.
using StopQuestion = std::function<bool()>;

[[nodiscard]] TwoSampleResult CompareSamples(const FeatureMatrix& x, const FeatureMatrix& y,
                                             const TwoSampleSettings& settings = {}, const StopQuestion& stop = {});

}  // namespace hemafed::learning
