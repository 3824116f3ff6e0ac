// SPDX-License-Identifier: Apache-2.0
#include "learning/features/latent/principal_components.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/core.hpp>
#include <string>

#include "common/error.h"

namespace hemafed::learning {

namespace {

// Below this part of the total a variance is rounding, and its direction means nothing.
constexpr double kRankTolerance = 1e-12;

[[noreturn]] void Fail(const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, "principal components: " + problem);
}

double Dot(const double* a, const double* b, std::size_t count) {
  std::array<double, 4> sums{};  // Lanes in a fixed order let the compiler use vectors.
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    for (std::size_t lane = 0; lane < 4; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  for (std::size_t lane = 0; i < count; ++i, ++lane) sums[lane] += a[i] * b[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// Rows are those of `matrix`, each of `length`: the inner products of all pairs, by n - 1.
cv::Mat Products(const std::vector<double>& matrix, std::size_t rows, std::size_t length, double divisor) {
  const int side = static_cast<int>(rows);
  cv::Mat products(side, side, CV_64F);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      const double value = Dot(matrix.data() + i * length, matrix.data() + j * length, length) / divisor;
      products.at<double>(static_cast<int>(i), static_cast<int>(j)) = value;
      products.at<double>(static_cast<int>(j), static_cast<int>(i)) = value;
    }
  }
  return products;
}

void FixSign(std::vector<double>& direction) {
  const auto largest = std::max_element(direction.begin(), direction.end(),
                                        [](double a, double b) { return std::abs(a) < std::abs(b); });
  if (*largest < 0)
    for (double& value : direction) value = -value;
}

}  // namespace

PrincipalComponents FindPrincipalComponents(const FeatureMatrix& features, std::size_t components) {
  RequireUsable(features, "the principal components");
  const std::size_t n = features.rows;
  const std::size_t d = features.columns;
  if (n < 2) Fail("needs at least two rows");
  if (components < 1 || components > d) Fail("there are " + std::to_string(d) + " at most");
  const bool by_rows = d > n;
  if (by_rows ? n > kMaxComponentRows : d > kMaxComponentColumns)
    Fail(std::to_string(n) + " rows of " + std::to_string(d) + " features are too many; draw fewer rows");

  PrincipalComponents found;
  found.mean.resize(d);
  for (std::size_t row = 0; row < n; ++row)
    for (std::size_t i = 0; i < d; ++i) found.mean[i] += features.Row(row)[i];
  for (double& value : found.mean) value /= static_cast<double>(n);
  std::vector<double> centred(n * d);  // By rows [n, d], or turned [d, n].
  for (std::size_t row = 0; row < n; ++row) {
    for (std::size_t i = 0; i < d; ++i)
      centred[by_rows ? row * d + i : i * n + row] = features.Row(row)[i] - found.mean[i];
  }
  const auto divisor = static_cast<double>(n - 1);
  const cv::Mat products = by_rows ? Products(centred, n, d, divisor) : Products(centred, d, n, divisor);
  for (int i = 0; i < products.rows; ++i) found.total_variance += products.at<double>(i, i);
  cv::Mat values;
  cv::Mat vectors;
  cv::eigen(products, values, vectors);

  for (std::size_t c = 0; c < components; ++c) {
    std::vector<double> direction(d);
    const auto number = static_cast<int>(c);
    const double variance = number < values.rows ? values.at<double>(number) : 0.0;
    if (!(variance > kRankTolerance * found.total_variance)) {
      found.directions.push_back(std::move(direction));
      found.variances.push_back(0);
      continue;
    }
    const double* vector = vectors.ptr<double>(number);
    if (by_rows) {
      for (std::size_t row = 0; row < n; ++row)
        for (std::size_t i = 0; i < d; ++i) direction[i] += vector[row] * centred[row * d + i];
    } else {
      std::copy(vector, vector + d, direction.begin());
    }
    const double length = std::sqrt(Dot(direction.data(), direction.data(), d));
    for (double& value : direction) value /= length;
    FixSign(direction);
    found.directions.push_back(std::move(direction));
    found.variances.push_back(variance);
  }
  return found;
}

std::vector<double> PrincipalComponents::Project(const FeatureMatrix& features) const {
  RequireUsable(features, "the rows to project");
  if (features.columns != mean.size()) Fail("rows of another width than those that the components were found for");
  std::vector<double> coordinates;
  coordinates.reserve(features.rows * directions.size());
  std::vector<double> centred(mean.size());
  for (std::size_t row = 0; row < features.rows; ++row) {
    for (std::size_t i = 0; i < mean.size(); ++i) centred[i] = features.Row(row)[i] - mean[i];
    for (const std::vector<double>& direction : directions)
      coordinates.push_back(Dot(centred.data(), direction.data(), mean.size()));
  }
  return coordinates;
}

}  // namespace hemafed::learning
