// SPDX-License-Identifier: Apache-2.0
#include "learning/metrics/confidence.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "common/error.h"

namespace hemafed::learning {

Interval WilsonInterval(std::uint64_t right, std::uint64_t pictures, double confidence) {
  if (pictures == 0 || right > pictures) {
    throw Error(ErrorCode::kInvalidInput,
                std::to_string(right) + " of " + std::to_string(pictures) + " pictures is no share");
  }
  if (!(confidence > 0.0 && confidence < 1.0)) {
    throw Error(ErrorCode::kInvalidInput, "a confidence of " + std::to_string(confidence) + " is not between 0 and 1");
  }
  const double z = NormalQuantile((1.0 + confidence) / 2.0);
  const auto n = static_cast<double>(pictures);
  const double p = static_cast<double>(right) / n;
  const double middle = p + z * z / (2.0 * n);
  const double reach = z * std::sqrt(p * (1.0 - p) / n + z * z / (4.0 * n * n));
  const double scale = 1.0 + z * z / n;
  // The ends at 0 and n are exact; rounding could put them a hair outside.
  const double low = right == 0 ? 0.0 : (middle - reach) / scale;
  const double high = right == pictures ? 1.0 : (middle + reach) / scale;
  return {p, low, high};
}

double NormalQuantile(double probability) {
  if (!(probability > 0.0 && probability < 1.0)) {
    throw Error(ErrorCode::kInvalidInput,
                "a probability of " + std::to_string(probability) + " has no finite normal quantile");
  }
  // The upper half mirrors the lower one, where erfc keeps its relative precision.
  if (probability > 0.5) return -NormalQuantile(1.0 - probability);
  double low = -40.0;  // erfc underflows before.
  double high = 0.0;
  while (true) {
    const double middle = 0.5 * (low + high);
    if (middle <= low || middle >= high) return middle;
    (0.5 * std::erfc(-middle / std::numbers::sqrt2) < probability ? low : high) = middle;
  }
}

OverRuns DescribeRuns(std::span<const double> values) {
  if (values.empty()) throw Error(ErrorCode::kInvalidInput, "there is no run to describe");
  OverRuns result;
  result.runs = values.size();
  for (const double value : values) result.mean += value;
  result.mean /= static_cast<double>(values.size());
  if (values.size() == 1) return result;
  double squares = 0.0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  result.deviation = std::sqrt(squares / static_cast<double>(values.size() - 1));
  return result;
}

double Quantile(std::span<const double> sorted, double q) {
  if (sorted.empty() || !(q >= 0.0 && q <= 1.0)) {
    throw Error(ErrorCode::kInvalidInput,
                "quantile " + std::to_string(q) + " of " + std::to_string(sorted.size()) + " values does not exist");
  }
  const double place = static_cast<double>(sorted.size() - 1) * q;
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace hemafed::learning
