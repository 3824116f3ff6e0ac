// learning/metrics/confidence.h
// SPDX-License-Identifier: Apache-2.0
//
// How well a figure is known, in closed form. By resampling: bootstrap.h.
//
// Wilson interval of a share k / n (Wilson, JASA 1927), z the normal quantile of (1 + confidence) / 2:
//
//     (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
//
// It stays within 0..1 and keeps its width at k = 0 and k = n, where p +- z sqrt(p(1-p)/n) collapses to a point.
//
// Several runs: mean and sample standard deviation (divided by n - 1), which is what "mean +- sd over seeds" means in
// our tables. Some published tables divide by n (HistoTNet) or spread over steps (task_accuracies.h).
//
// Errors: kInvalidInput for an impossible share, a confidence outside 0..1, no runs. Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <span>

namespace hemafed::learning {

inline constexpr double kUsualConfidence = 0.95;

struct Interval {
  double estimate = 0.0;
  double low = 0.0;
  double high = 0.0;
  // Whether 0 lies outside: for a difference, whether its sign is settled.
  [[nodiscard]] bool ExcludesZero() const { return low > 0.0 || high < 0.0; }
};

[[nodiscard]] Interval WilsonInterval(std::uint64_t right, std::uint64_t pictures,
                                      double confidence = kUsualConfidence);

// x with P(Z <= x) = probability for a standard normal Z; 0 < probability < 1. Within 1e-12.
[[nodiscard]] double NormalQuantile(double probability);

struct OverRuns {
  double mean = 0.0;
  double deviation = 0.0;  // sample standard deviation; 0 for one run, which says nothing about spread
  std::size_t runs = 0;
};
[[nodiscard]] OverRuns DescribeRuns(std::span<const double> values);

// Linear interpolation between order statistics at (n - 1) q (type 7 of Hyndman and Fan, 1996; numpy's default).
// `sorted` ascends and is not empty; 0 <= q <= 1.
[[nodiscard]] double Quantile(std::span<const double> sorted, double q);

}  // namespace hemafed::learning
