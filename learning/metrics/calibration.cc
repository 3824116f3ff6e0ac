// SPDX-License-Identifier: Apache-2.0
#include "learning/metrics/calibration.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "common/error.h"

namespace hemafed::learning {

namespace {

void RequireProbability(double value) {
  if (!(value >= 0.0 && value <= 1.0)) {
    throw Error(ErrorCode::kInvalidInput, "a confidence of " + std::to_string(value) + " is no probability");
  }
}

void RequireFit(std::span<const double> probabilities, std::span<const std::uint32_t> labels, std::size_t classes) {
  const bool fits = classes > 0 && !labels.empty() && probabilities.size() == labels.size() * classes &&
                    std::all_of(labels.begin(), labels.end(), [&](std::uint32_t label) { return label < classes; });
  if (!fits) {
    throw Error(ErrorCode::kInvalidInput, std::to_string(probabilities.size()) + " probabilities do not belong to " +
                                              std::to_string(labels.size()) + " pictures of " +
                                              std::to_string(classes) + " classes");
  }
  for (const double value : probabilities) RequireProbability(value);
}

// The smallest m with c <= m / M, counted from 0. The product is only a first guess: it may round over a bin's edge.
std::size_t BinOf(double confidence, std::size_t bins) {
  const auto count = static_cast<double>(bins);
  auto bin = static_cast<std::size_t>(std::max(std::ceil(confidence * count) - 1.0, 0.0));
  while (bin > 0 && confidence <= static_cast<double>(bin) / count) --bin;
  while (bin + 1 < bins && confidence > static_cast<double>(bin + 1) / count) ++bin;
  return std::min(bin, bins - 1);
}

}  // namespace

Calibration MeasureCalibration(std::span<const double> confidence, std::span<const std::uint8_t> right,
                               std::size_t bins) {
  if (confidence.empty() || confidence.size() != right.size() || bins == 0) {
    throw Error(ErrorCode::kInvalidInput,
                "calibration needs one confidence for each picture and at least one bin; got " +
                    std::to_string(confidence.size()) + " for " + std::to_string(right.size()) + " pictures, " +
                    std::to_string(bins) + " bins");
  }
  Calibration result;
  result.bins.resize(bins);
  for (std::size_t i = 0; i < confidence.size(); ++i) {
    RequireProbability(confidence[i]);
    CalibrationBin& bin = result.bins[BinOf(confidence[i], bins)];
    ++bin.pictures;
    bin.confidence += confidence[i];
    bin.accuracy += right[i] != 0 ? 1.0 : 0.0;
  }
  for (CalibrationBin& bin : result.bins) {
    if (bin.pictures == 0) continue;
    const auto pictures = static_cast<double>(bin.pictures);
    bin.confidence /= pictures;
    bin.accuracy /= pictures;
    const double gap = std::abs(bin.accuracy - bin.confidence);
    result.expected_error += pictures / static_cast<double>(confidence.size()) * gap;
    result.maximum_error = std::max(result.maximum_error, gap);
  }
  return result;
}

double BrierScore(std::span<const double> probabilities, std::span<const std::uint32_t> labels, std::size_t classes) {
  RequireFit(probabilities, labels, classes);
  double sum = 0.0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    for (std::size_t c = 0; c < classes; ++c) {
      const double miss = probabilities[i * classes + c] - (labels[i] == c ? 1.0 : 0.0);
      sum += miss * miss;
    }
  }
  return sum / static_cast<double>(labels.size());
}

double NegativeLogLikelihood(std::span<const double> probabilities, std::span<const std::uint32_t> labels,
                             std::size_t classes) {
  RequireFit(probabilities, labels, classes);
  double sum = 0.0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    sum -= std::log(std::max(probabilities[i * classes + labels[i]], kLeastProbability));
  }
  return sum / static_cast<double>(labels.size());
}

}  // namespace hemafed::learning
