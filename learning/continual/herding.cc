// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/herding.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "common/error.h"

namespace hemafed::learning {

namespace {

using Vector = std::vector<double>;

// A zero vector has no direction; it stays as it is.
void ScaleToLengthOne(std::span<double> vector) {
  double squares = 0.0;
  for (const double value : vector) squares += value * value;
  if (squares == 0.0) return;
  const double length = std::sqrt(squares);
  for (double& value : vector) value /= length;
}

void CheckFeatures(const FeatureMatrix& features) {
  if (features.width == 0 || features.values.size() / features.width != features.rows ||
      features.values.size() % features.width != 0) {
    throw Error(ErrorCode::kInvalidInput, "herding: the feature matrix does not hold rows times width values");
  }
  if (!std::all_of(features.values.begin(), features.values.end(), [](float value) { return std::isfinite(value); })) {
    throw Error(ErrorCode::kInvalidInput, "herding: a feature is not a finite number; the model is broken");
  }
}

}  // namespace

std::vector<HerdingChoice> Herd(const FeatureMatrix& features, std::size_t count, HerdingVariant variant) {
  CheckFeatures(features);
  const bool normalised = variant == HerdingVariant::kNormalised;
  const std::size_t width = features.width;
  Vector psi(features.values.begin(), features.values.end());
  const auto row_of = [&](std::size_t row) { return std::span<double>(psi).subspan(row * width, width); };

  Vector mean(width, 0.0);
  for (std::size_t row = 0; row < features.rows; ++row) {
    if (normalised) ScaleToLengthOne(row_of(row));
    for (std::size_t j = 0; j < width; ++j) mean[j] += row_of(row)[j];
  }
  for (double& value : mean) value /= static_cast<double>(std::max<std::size_t>(features.rows, 1));
  if (normalised) ScaleToLengthOne(mean);

  std::vector<HerdingChoice> choices;
  std::vector<bool> chosen(features.rows, false);
  Vector sum(width, 0.0);
  Vector candidate(width, 0.0);
  for (std::size_t k = 1; k <= std::min(count, features.rows); ++k) {
    HerdingChoice best{features.rows, std::numeric_limits<double>::infinity()};
    for (std::size_t row = 0; row < features.rows; ++row) {
      if (chosen[row]) continue;
      const std::span<const double> values = row_of(row);
      for (std::size_t j = 0; j < width; ++j) candidate[j] = (values[j] + sum[j]) / static_cast<double>(k);
      if (normalised) ScaleToLengthOne(candidate);
      double squares = 0.0;
      for (std::size_t j = 0; j < width; ++j) squares += (mean[j] - candidate[j]) * (mean[j] - candidate[j]);
      if (const double distance = std::sqrt(squares); distance < best.distance) best = {row, distance};
    }
    chosen[best.row] = true;
    for (std::size_t j = 0; j < width; ++j) sum[j] += row_of(best.row)[j];
    choices.push_back(best);
  }
  return choices;
}

}  // namespace hemafed::learning
