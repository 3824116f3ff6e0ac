// SPDX-License-Identifier: Apache-2.0
#include "learning/features/latent/feature_matrix.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "common/error.h"
#include "common/random.h"

namespace hemafed::learning {

void RequireUsable(const FeatureMatrix& matrix, const std::string& what) {
  const auto fail = [&](const std::string& problem) {
    throw Error(ErrorCode::kInvalidInput, "features of " + what + ": " + problem);
  };
  if (matrix.rows == 0 || matrix.columns == 0) fail("there are none");
  if (matrix.rows > kMaxFeatureRows) fail("more than " + std::to_string(kMaxFeatureRows) + " rows");
  if (matrix.columns > kMaxFeatureColumns) fail("more than " + std::to_string(kMaxFeatureColumns) + " columns");
  if (matrix.rows * matrix.columns > kMaxFeatureValues)
    fail(std::to_string(matrix.rows) + " rows of " + std::to_string(matrix.columns) + " columns are too much");
  if (matrix.values.size() != matrix.rows * matrix.columns) fail("rows and columns do not fit the number of values");
  const auto bad = std::find_if(matrix.values.begin(), matrix.values.end(), [](float v) { return !std::isfinite(v); });
  if (bad == matrix.values.end()) return;
  const auto place = static_cast<std::size_t>(bad - matrix.values.begin());
  fail("row " + std::to_string(place / matrix.columns) + ", column " + std::to_string(place % matrix.columns) +
       " is NaN or infinite");
}

FeatureMatrix TakeRows(const FeatureMatrix& matrix, std::span<const std::uint32_t> rows) {
  FeatureMatrix taken(rows.size(), matrix.columns);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] >= matrix.rows) throw Error(ErrorCode::kInternal, "a row of features that does not exist");
    const auto from = matrix.Row(rows[i]);
    std::copy(from.begin(), from.end(), taken.Row(i).begin());
  }
  return taken;
}

std::vector<std::uint32_t> DrawRows(std::size_t count, std::size_t most, std::uint64_t seed, std::uint64_t stream) {
  std::vector<std::uint32_t> rows(count);
  std::iota(rows.begin(), rows.end(), 0u);
  if (count <= most) return rows;
  RandomStream random(DeriveSeed(seed, "feature rows 1"), stream);
  rows = Permutation(static_cast<std::uint32_t>(count), random);
  rows.resize(most);
  std::sort(rows.begin(), rows.end());
  return rows;
}

double SquaredDistance(std::span<const float> a, std::span<const float> b) {
  std::array<double, 4> sums{};
  std::size_t i = 0;
  for (; i + 4 <= a.size(); i += 4) {
    for (std::size_t lane = 0; lane < 4; ++lane) {
      const double difference = static_cast<double>(a[i + lane]) - static_cast<double>(b[i + lane]);
      sums[lane] += difference * difference;
    }
  }
  for (std::size_t lane = 0; i < a.size(); ++i, ++lane) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sums[lane] += difference * difference;
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace hemafed::learning
