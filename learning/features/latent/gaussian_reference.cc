// SPDX-License-Identifier: Apache-2.0
#include "learning/features/latent/gaussian_reference.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <opencv2/core.hpp>
#include <string>

#include "codec/exact.h"
#include "common/error.h"
#include "common/random.h"

namespace hemafed::learning {

namespace {

[[noreturn]] void Fail(std::size_t component, const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, "published moments, component " + std::to_string(component) + ": " + problem);
}

bool AllFinite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

void Check(const GaussianComponent& component, std::size_t columns, std::size_t number) {
  if (columns == 0 || columns > kMaxGaussianColumns)
    Fail(number, "1 to " + std::to_string(kMaxGaussianColumns) + " features are possible");
  if (component.mean.size() != columns || component.covariance.size() != columns * columns)
    Fail(number, "mean and covariance do not have " + std::to_string(columns) + " features");
  if (component.rows == 0 || component.rows > kMaxFeatureRows) Fail(number, "the number of pictures is out of range");
  if (!AllFinite(component.mean) || !AllFinite(component.covariance)) Fail(number, "a value is NaN or infinite");
  for (std::size_t i = 0; i < columns; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (component.covariance[i * columns + j] != component.covariance[j * columns + i])
        Fail(number, "the covariance is not symmetric");
    }
  }
}

std::vector<double> SymmetricRoot(const GaussianComponent& component, std::size_t number) {
  const std::size_t d = component.mean.size();
  const int side = static_cast<int>(d);
  cv::Mat covariance(side, side, CV_64F);
  std::copy(component.covariance.begin(), component.covariance.end(), covariance.ptr<double>());
  cv::Mat values;
  cv::Mat vectors;  // One a row, by falling eigenvalue.
  cv::eigen(covariance, values, vectors);
  const double largest = values.at<double>(0);
  if (!(largest > 0)) Fail(number, "no feature varies; constant features tell nothing");
  if (values.at<double>(side - 1) < -kEigenvalueTolerance * largest)
    Fail(number, "the matrix is not a covariance (an eigenvalue is below 0)");
  std::vector<double> root(d * d);
  for (int k = 0; k < side && values.at<double>(k) > 0; ++k) {
    const double* vector = vectors.ptr<double>(k);
    const double scale = std::sqrt(values.at<double>(k));
    for (std::size_t i = 0; i < d; ++i) {
      const double part = scale * vector[i];
      for (std::size_t j = 0; j < d; ++j) root[i * d + j] += part * vector[j];
    }
  }
  return root;
}

// How many of `rows` each component gets.
std::vector<std::size_t> Shares(const std::vector<GaussianComponent>& components, std::size_t rows) {
  UInt128 all = 0;
  for (const GaussianComponent& component : components) all += component.rows;
  if (all == 0) throw Error(ErrorCode::kInternal, "published moments without pictures were not refused");
  std::vector<std::size_t> shares;
  std::vector<UInt128> rests;
  std::size_t given = 0;
  for (const GaussianComponent& component : components) {
    const UInt128 product = UInt128{component.rows} * rows;
    shares.push_back(static_cast<std::size_t>(product / all));
    rests.push_back(product % all);
    given += shares.back();
  }
  std::vector<std::size_t> order(components.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return rests[a] > rests[b]; });
  for (std::size_t i = 0; given < rows; ++i, ++given) ++shares[order[i]];
  return shares;
}

}  // namespace

GaussianComponent MomentsOf(const FeatureMatrix& features, std::span<const std::uint32_t> rows) {
  std::vector<std::uint32_t> all;
  if (rows.empty()) {
    all = DrawRows(features.rows, features.rows, 0);
    rows = all;
  }
  if (rows.size() < 2) throw Error(ErrorCode::kInvalidInput, "moments need at least two rows of features");
  const std::size_t d = features.columns;
  const auto n = static_cast<double>(rows.size());
  GaussianComponent moments{.mean = std::vector<double>(d), .covariance = std::vector<double>(d * d), .rows = 0};
  moments.rows = rows.size();
  for (const std::uint32_t row : rows) {
    const auto x = features.Row(row);
    for (std::size_t i = 0; i < d; ++i) moments.mean[i] += x[i];
  }
  for (double& value : moments.mean) value /= n;
  std::vector<double> centred(d);
  for (const std::uint32_t row : rows) {
    const auto x = features.Row(row);
    for (std::size_t i = 0; i < d; ++i) centred[i] = x[i] - moments.mean[i];
    for (std::size_t i = 0; i < d; ++i) {
      for (std::size_t j = 0; j <= i; ++j) moments.covariance[i * d + j] += centred[i] * centred[j];
    }
  }
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      moments.covariance[i * d + j] /= n - 1;
      moments.covariance[j * d + i] = moments.covariance[i * d + j];
    }
  }
  return moments;
}

GaussianReference::GaussianReference(std::vector<GaussianComponent> components) : components_(std::move(components)) {
  if (components_.empty() || components_.size() > kMaxGaussianComponents)
    throw Error(ErrorCode::kInvalidInput,
                "published moments: there must be 1 to " + std::to_string(kMaxGaussianComponents) + " components");
  // Before anything is computed; a width beyond the limit is named by Check.
  if (columns() <= kMaxGaussianColumns && components_.size() * columns() * columns() > kMaxGaussianEntries) {
    throw Error(ErrorCode::kInvalidInput,
                "published moments: " + std::to_string(components_.size()) + " components of " +
                    std::to_string(columns()) + " features are more than memory is set aside for (" +
                    std::to_string(kMaxGaussianEntries) +
                    " entries of covariances); take one component a hospital, or fewer features");
  }
  for (std::size_t c = 0; c < components_.size(); ++c) {
    Check(components_[c], columns(), c);
    roots_.push_back(SymmetricRoot(components_[c], c));
  }
}

std::uint64_t GaussianReference::pictures() const {
  std::uint64_t sum = 0;
  for (const GaussianComponent& component : components_) sum += component.rows;
  return sum;
}

FeatureMatrix GaussianReference::Sample(std::size_t rows, std::uint64_t seed) const {
  if (rows == 0 || rows > kMaxFeatureRows)
    throw Error(ErrorCode::kInvalidInput,
                "a sample of published moments has 1 to " + std::to_string(kMaxFeatureRows) + " rows");
  const std::size_t d = columns();
  const std::uint64_t stream_seed = DeriveSeed(seed, "drift reference 1");
  const std::vector<std::size_t> shares = Shares(components_, rows);
  FeatureMatrix sample(rows, d);
  std::vector<double> z(d);
  std::size_t row = 0;
  for (std::size_t c = 0; c < components_.size(); ++c) {
    for (std::size_t k = 0; k < shares[c]; ++k, ++row) {
      RandomStream random(stream_seed, row);
      for (double& value : z) value = random.NextNormal();
      const auto x = sample.Row(row);
      for (std::size_t i = 0; i < d; ++i) {
        double value = components_[c].mean[i];
        for (std::size_t j = 0; j < d; ++j) value += roots_[c][i * d + j] * z[j];
        x[i] = static_cast<float>(value);
      }
    }
  }
  return sample;
}

}  // namespace hemafed::learning
