// learning/features/cells/stain.h
// SPDX-License-Identifier: Apache-2.0
//
// How much stain there is in each pixel, whatever the colour of the light; and simple models of colours.
//
// Optical density of channel c (Beer-Lambert law): d_c = ln((b_c + 1) / (v_c + 1)), cut to 0..kMaxDensity, where v is
// the pixel's level and b the median level of the background. Background are the pixels above Otsu's threshold (Otsu,
// IEEE Trans. SMC 9:62-66, 1979) on green, which everything that is stained absorbs.
//
// Thread-safety: free functions and value types.
#pragma once

#include <array>
#include <opencv2/core/mat.hpp>
#include <opencv2/core/matx.hpp>
#include <optional>

namespace hemafed::learning {

// e^-4 of the light is 4 levels of 255: below what a camera tells from black.
inline constexpr double kMaxDensity = 4.0;

// rgb: CV_8UC3. Densities of red, green, blue: CV_32FC3 in that order.
[[nodiscard]] cv::Mat StainDensities(const cv::Mat& rgb);

// Otsu's threshold over the pixels of `density` (CV_32FC1, 0..kMaxDensity) where `where` is not 0, on 256 steps; 0 if
// there are none.
[[nodiscard]] double OtsuDensity(const cv::Mat& density, const cv::Mat& where);

// A normal distribution of three densities.
class ColourModel {
 public:
  // Mean and covariance of `colours` (CV_32FC3) where `where` is not 0, plus spread^2 on the diagonal (a flat
  // background would be infinitely sure of itself). Nothing from fewer than min_pixels.
  [[nodiscard]] static std::optional<ColourModel> Fit(const cv::Mat& colours, const cv::Mat& where, int min_pixels,
                                                      double spread);

  // Half the squared Mahalanobis distance from the mean: 0 in the middle, below 3.9 for 95 % of the colours.
  [[nodiscard]] double HalfSquare(const cv::Vec3f& colour) const;
  [[nodiscard]] double LogDensity(const cv::Vec3f& colour) const { return log_scale_ - HalfSquare(colour); }

 private:
  cv::Vec3d mean_;
  cv::Matx33d inverse_;
  double log_scale_ = 0.0;
};

}  // namespace hemafed::learning
