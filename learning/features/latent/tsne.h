// learning/features/latent/tsne.h
// SPDX-License-Identifier: Apache-2.0
//
// t-SNE (van der Maaten, Hinton, JMLR 9, 2008), exact: a plane in which rows that are neighbours among the features
// stay neighbours. Distances between far groups mean little.
//
//   p_j|i ~ exp(-|x_i - x_j|^2 b_i), b_i by bisection so that 2^entropy(p_.|i) = perplexity (eq. 1)
//   p_ij  = (p_j|i + p_i|j) / 2n,   q_ij ~ 1 / (1 + |y_i - y_j|^2)                              (eq. 4)
//   KL    = sum_ij p_ij log(p_ij / q_ij)
//   dKL/dy_i = 4 sum_j (p_ij - q_ij) (y_i - y_j) / (1 + |y_i - y_j|^2)                          (eq. 5)
//
// Descent with momentum and gains per coordinate (Jacobs 1988): p is multiplied by `exaggeration` for the first
// `exaggerated_steps` steps with momentum 0.5, then momentum is 0.8; a gain grows by 0.2 where gradient and last step
// agree to go on, else shrinks to 0.8 of itself, never below 0.01. Rate: n / exaggeration / 4, at least 50, unless set
// (Belkina et al. 2019). Start: two principal components, scaled to a standard deviation of 1e-4 of the first one.
// These are scikit-learn's defaults too, so that the same start gives the same path (tsne_test.cc).
//
// Exact because it is for maps that people look at: n is bounded, nothing is random, sums have a fixed order, so the
// same rows give the same map (up to the last bits of exp and log on another machine). Time: steps * n^2.
//
// Errors: kInvalidInput for fewer than 4 rows, more than kMaxTsneRows, a value that is not finite, settings out of
// range, 3 * perplexity of n - 1 or more, rows that are all equal; kInterrupted when `progress` returns false.
// Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "learning/features/latent/feature_matrix.h"

namespace hemafed::learning {

// Two n x n matrices of doubles: 64 MiB; a thousand steps take about half a minute.
inline constexpr std::size_t kMaxTsneRows = 2'000;
inline constexpr std::uint32_t kMaxTsneSteps = 100'000;

struct TsneSettings {
  double perplexity = 30;
  double exaggeration = 12;
  std::uint32_t exaggerated_steps = 250;
  std::uint32_t steps = 1'000;  // in all
  double rate = 0;              // 0: by the rule above
};

// Called after each step with steps done and steps in all, and with 0 steps done while affinities are computed; returns
// false to stop. May be empty.
using TsneProgress = std::function<bool(std::uint32_t done, std::uint32_t total)>;

struct TsneMap {
  std::vector<double> places;  // [n, 2] row-major
  double divergence = 0;       // KL at the end, without exaggeration
};

// `start`: [n, 2] places to begin from; empty: the rule above.
[[nodiscard]] TsneMap RunTsne(const FeatureMatrix& features, const TsneSettings& settings = {},
                              std::span<const double> start = {}, const TsneProgress& progress = {});

// The parts, for checks: p_ij [n, n] row-major with a zero diagonal, summing to 1.
// `stop` is asked for every row.
[[nodiscard]] std::vector<double> TsneAffinities(const FeatureMatrix& features, double perplexity,
                                                 const std::function<bool()>& stop = {});
// KL and, where asked for ([n, 2]), its gradient at these places.
[[nodiscard]] double TsneDivergence(std::span<const double> affinities, std::span<const double> places,
                                    std::vector<double>* gradient = nullptr);

}  // namespace hemafed::learning
