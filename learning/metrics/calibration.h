// learning/metrics/calibration.h
// SPDX-License-Identifier: Apache-2.0
//
// Whether a model is right as often as it says. Each picture has a confidence, the probability of the class that was
// predicted, and is right or not. Confidences are binned at equal width (Guo et al., ICML 2017, section 2): bin m of M,
// m = 1..M, holds confidences in ((m-1)/M, m/M], the first bin 0 as well.
//
//     ECE = sum_m (n_m / n) |acc_m - conf_m|          MCE = max over filled bins of |acc_m - conf_m|
//
// acc_m and conf_m are means over the n_m pictures of a bin. 15 bins are that paper's choice; another number gives
// another error, so a table names it.
//
// Also the Brier score over all classes, (1/n) sum_i sum_c (p_ic - [y_i = c])^2 (Brier, 1950; 0 to 2), and the mean
// negative log likelihood, where probabilities below 1e-15 count as 1e-15.
//
// Errors: kInvalidInput for sizes that do not fit, no picture, or a value outside 0..1. Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hemafed::learning {

inline constexpr std::size_t kCalibrationBins = 15;
// Smallest probability that the log likelihood takes at its word.
inline constexpr double kLeastProbability = 1e-15;

struct CalibrationBin {
  std::uint64_t pictures = 0;
  double confidence = 0.0;  // mean; 0 in an empty bin
  double accuracy = 0.0;    // mean; 0 in an empty bin
};

struct Calibration {
  std::vector<CalibrationBin> bins;  // for the reliability diagram
  double expected_error = 0.0;
  double maximum_error = 0.0;
};

// `right[i]` is not 0 where picture i was predicted right.
[[nodiscard]] Calibration MeasureCalibration(std::span<const double> confidence, std::span<const std::uint8_t> right,
                                             std::size_t bins = kCalibrationBins);

// probabilities: [pictures x classes], row by row.
[[nodiscard]] double BrierScore(std::span<const double> probabilities, std::span<const std::uint32_t> labels,
                                std::size_t classes);
[[nodiscard]] double NegativeLogLikelihood(std::span<const double> probabilities, std::span<const std::uint32_t> labels,
                                           std::size_t classes);

}  // namespace hemafed::learning
