// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/stain.h"

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

namespace hemafed::learning {

namespace {

// Median level of a plane (CV_8UC1) over the pixels where `where` is not 0; 255 if there are none.
int MedianLevel(const cv::Mat& plane, const cv::Mat& where) {
  std::array<int, 256> histogram{};
  int count = 0;
  for (int y = 0; y < plane.rows; ++y) {
    const auto* level = plane.ptr<std::uint8_t>(y);
    const auto* use = where.ptr<std::uint8_t>(y);
    for (int x = 0; x < plane.cols; ++x) {
      if (use[x] == 0) continue;
      ++histogram[level[x]];
      ++count;
    }
  }
  if (count == 0) return 255;
  int level = 0;
  for (int below = histogram[0]; 2 * below < count; below += histogram[static_cast<std::size_t>(level)]) ++level;
  return level;
}

}  // namespace

cv::Mat StainDensities(const cv::Mat& rgb) {
  std::vector<cv::Mat> planes;
  cv::split(rgb, planes);
  cv::Mat background;
  cv::threshold(planes[1], background, 0, 255, cv::THRESH_BINARY | cv::THRESH_OTSU);
  for (cv::Mat& plane : planes) {
    const int white = MedianLevel(plane, background);
    cv::Mat table(1, 256, CV_32FC1), density;
    for (int v = 0; v < 256; ++v) {
      table.at<float>(v) = static_cast<float>(std::clamp(std::log((white + 1.0) / (v + 1.0)), 0.0, kMaxDensity));
    }
    cv::LUT(plane, table, density);
    plane = density;
  }
  cv::Mat densities;
  cv::merge(planes, densities);
  return densities;
}

double OtsuDensity(const cv::Mat& density, const cv::Mat& where) {
  std::vector<std::uint8_t> levels;
  for (int y = 0; y < density.rows; ++y) {
    const auto* value = density.ptr<float>(y);
    const auto* use = where.ptr<std::uint8_t>(y);
    for (int x = 0; x < density.cols; ++x) {
      if (use[x] != 0) levels.push_back(cv::saturate_cast<std::uint8_t>(value[x] * (255.0 / kMaxDensity)));
    }
  }
  if (levels.empty()) return 0.0;
  cv::Mat ignored;
  const double level = cv::threshold(cv::Mat(levels), ignored, 0, 255, cv::THRESH_BINARY | cv::THRESH_OTSU);
  return level * kMaxDensity / 255.0;
}

std::optional<ColourModel> ColourModel::Fit(const cv::Mat& colours, const cv::Mat& where, int min_pixels,
                                            double spread) {
  std::vector<cv::Vec3f> values;
  for (int y = 0; y < colours.rows; ++y) {
    const auto* colour = colours.ptr<cv::Vec3f>(y);
    const auto* use = where.ptr<std::uint8_t>(y);
    for (int x = 0; x < colours.cols; ++x) {
      if (use[x] != 0) values.push_back(colour[x]);
    }
  }
  if (values.empty() || static_cast<int>(values.size()) < min_pixels) return std::nullopt;
  const double share = 1.0 / static_cast<double>(values.size());
  ColourModel model;
  for (const cv::Vec3f& value : values) model.mean_ += cv::Vec3d(value) * share;
  cv::Matx33d covariance = cv::Matx33d::eye() * (spread * spread);
  for (const cv::Vec3f& value : values) {
    const cv::Vec3d off = cv::Vec3d(value) - model.mean_;
    covariance += (off * off.t()) * share;
  }
  model.inverse_ = covariance.inv();
  model.log_scale_ = -0.5 * std::log(cv::determinant(covariance)) - 1.5 * std::log(2 * CV_PI);
  return model;
}

double ColourModel::HalfSquare(const cv::Vec3f& colour) const {
  const cv::Vec3d off = cv::Vec3d(colour) - mean_;
  return 0.5 * off.dot(inverse_ * off);
}

}  // namespace hemafed::learning
