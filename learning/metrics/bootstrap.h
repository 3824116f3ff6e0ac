// learning/metrics/bootstrap.h
// SPDX-License-Identifier: Apache-2.0
//
// Bootstrap intervals over test pictures (Efron, Annals of Statistics 1979; percentile method: Efron and Tibshirani,
// "An Introduction to the Bootstrap", 1993, chapter 13).
//
// A sample has one value a picture, for example 1 where the model is right and 0 where not, or the mean of that over
// seeds. Optionally:
//
//   groups  pictures of one cell, field of view or patient share a name; they are drawn together, because they are not
//           independent (a picture with an empty name stands alone)
//   strata  the test set that each picture belongs to, any numbers; drawing happens within each, and the estimate is
//           the plain mean over test sets of their means, as in the average accuracy of task_accuracies.h
//
// One resample draws, in each stratum, as many units (groups, single pictures) with replacement as it has; the mean of
// the stratum is the sum of the drawn values by the number of drawn pictures. The interval lies between the quantiles
// (1 - confidence) / 2 and (1 + confidence) / 2 of the resamples' estimates (confidence.h, Quantile).
//
// Two methods on the same pictures: the values are paired, so their difference is resampled picture by picture. What
// both find easy or hard cancels, and the interval is far narrower than two separate ones suggest.
//
// Words: resample r draws from RandomStream(DeriveSeed(seed, "bootstrap 1"), r), stratum by stratum in ascending order
// of their numbers, NextBelow(units) for each unit; units stand in the order of their first pictures. So the interval
// is a function of values, settings and the order of pictures (ascending SHA-256 everywhere in this project).
//
// Not for tiny sets: below some 20 units the percentile interval is too narrow.
//
// Errors: kInvalidInput for sizes that do not fit, no picture, a value that is not finite, a group in two strata,
// settings out of range. Thread-safety: free functions without state; `statistic` is called from the calling thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "learning/metrics/confidence.h"

namespace hemafed::learning {

inline constexpr unsigned kMinResamples = 100;
inline constexpr unsigned kMaxResamples = 1'000'000;

struct BootstrapSettings {
  // Ends of a 95 % interval then rest on 250 resamples each.
  unsigned resamples = 10'000;
  double confidence = kUsualConfidence;
  std::uint64_t seed = 0;
};

// Views; each is empty or has one entry a picture.
struct SampleUnits {
  std::span<const std::string> groups;
  std::span<const std::uint32_t> strata;
};

[[nodiscard]] Interval BootstrapMean(std::span<const double> values, const SampleUnits& units = {},
                                     const BootstrapSettings& settings = {});

// estimate = mean of `ours` - mean of `theirs`.
[[nodiscard]] Interval BootstrapDifference(std::span<const double> ours, std::span<const double> theirs,
                                           const SampleUnits& units = {}, const BootstrapSettings& settings = {});

// Any statistic of drawn pictures (ROC-AUC, F1): receives their indices, a picture as often as it was drawn. NaN marks
// a resample without a value (a class that was not drawn); these are left out, and more than a tenth of them is an
// error (kConflict): the set is too small for this statistic.
using Statistic = std::function<double(std::span<const std::uint32_t> pictures)>;
[[nodiscard]] Interval BootstrapOf(const Statistic& statistic, std::size_t pictures, const SampleUnits& units = {},
                                   const BootstrapSettings& settings = {});

}  // namespace hemafed::learning
