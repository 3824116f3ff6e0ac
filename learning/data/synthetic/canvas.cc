// SPDX-License-Identifier: Apache-2.0
#include "learning/data/synthetic/canvas.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <opencv2/imgproc.hpp>

namespace hemafed::learning::synthetic {

namespace {

// OpenCV's anti-aliased primitives take coordinates with this many fractional bits.
constexpr int kFractionBits = 4;
constexpr double kFractionOne = 1 << kFractionBits;

void Blur(const cv::Mat& in, cv::Mat& out, double sigma_px) {
  // Below a sixth of a pixel the kernel is a single tap.
  if (sigma_px < 0.17) {
    in.copyTo(out);
    return;
  }
  const int reach = std::max(1, static_cast<int>(std::ceil(2.5 * sigma_px)));
  cv::GaussianBlur(in, out, cv::Size(2 * reach + 1, 2 * reach + 1), sigma_px, sigma_px, cv::BORDER_REPLICATE);
}

}  // namespace

Canvas::Canvas(int side_px, double field_um)
    : px_per_um_(side_px / field_um), dyes_(side_px, side_px, DyeAmounts::all(0.0f)) {}

cv::Rect Canvas::PlaceOf(cv::Point2d low, cv::Point2d high, double margin_um) const {
  const auto down = [&](double um) { return static_cast<int>(std::floor((um - margin_um) * px_per_um_)) - 1; };
  const auto up = [&](double um) { return static_cast<int>(std::ceil((um + margin_um) * px_per_um_)) + 2; };
  const cv::Rect wanted(cv::Point(down(low.x), down(low.y)), cv::Point(up(high.x), up(high.y)));
  return wanted & cv::Rect(0, 0, dyes_.cols, dyes_.rows);
}

cv::Point Canvas::ToFixed(cv::Point2d at, const cv::Rect& place) const {
  // A pixel's centre has integer coordinates in OpenCV's drawing functions.
  return {static_cast<int>(std::lround((at.x * px_per_um_ - 0.5 - place.x) * kFractionOne)),
          static_cast<int>(std::lround((at.y * px_per_um_ - 0.5 - place.y) * kFractionOne))};
}

Layer Canvas::Soften(const cv::Rect& place, const cv::Mat_<std::uint8_t>& mask, double softness_um) const {
  Layer layer{place, {}};
  mask.convertTo(layer.covered, CV_32F, 1.0 / 255.0);
  Blur(layer.covered, layer.covered, 0.5 * softness_um * px_per_um_);
  return layer;
}

Layer Canvas::Outline(const std::vector<cv::Point2d>& points, double softness_um) const {
  cv::Point2d low = points.front();
  cv::Point2d high = points.front();
  for (const cv::Point2d& at : points) {
    low = {std::min(low.x, at.x), std::min(low.y, at.y)};
    high = {std::max(high.x, at.x), std::max(high.y, at.y)};
  }
  const cv::Rect place = PlaceOf(low, high, softness_um);
  if (place.empty()) return {};
  cv::Mat_<std::uint8_t> mask(place.size(), std::uint8_t{0});
  std::vector<cv::Point> fixed;
  fixed.reserve(points.size());
  for (const cv::Point2d& at : points) fixed.push_back(ToFixed(at, place));
  cv::fillPoly(mask, std::vector<std::vector<cv::Point>>{fixed}, cv::Scalar(255), cv::LINE_AA, kFractionBits);
  return Soften(place, mask, softness_um);
}

Layer Canvas::Sweep(const std::vector<Disc>& discs, double softness_um) const {
  cv::Point2d low = discs.front().centre;
  cv::Point2d high = low;
  for (const Disc& disc : discs) {
    low = {std::min(low.x, disc.centre.x - disc.radius), std::min(low.y, disc.centre.y - disc.radius)};
    high = {std::max(high.x, disc.centre.x + disc.radius), std::max(high.y, disc.centre.y + disc.radius)};
  }
  const cv::Rect place = PlaceOf(low, high, softness_um);
  if (place.empty()) return {};
  cv::Mat_<std::uint8_t> mask(place.size(), std::uint8_t{0});
  for (std::size_t i = 0; i < discs.size(); ++i) {
    const int radius = static_cast<int>(std::lround(discs[i].radius * px_per_um_ * kFractionOne));
    cv::circle(mask, ToFixed(discs[i].centre, place), radius, cv::Scalar(255), cv::FILLED, cv::LINE_AA, kFractionBits);
    if (i == 0) continue;
    const double width = 2.0 * std::min(discs[i - 1].radius, discs[i].radius) * px_per_um_;
    cv::line(mask, ToFixed(discs[i - 1].centre, place), ToFixed(discs[i].centre, place), cv::Scalar(255),
             std::max(1, static_cast<int>(std::lround(width))), cv::LINE_AA, kFractionBits);
  }
  return Soften(place, mask, softness_um);
}

Layer Canvas::Granules(const std::vector<Disc>& discs, const std::vector<double>& cover) const {
  Layer layer{cv::Rect(0, 0, dyes_.cols, dyes_.rows), {}};
  cv::Mat_<std::uint8_t> mask(dyes_.size(), std::uint8_t{0});
  for (std::size_t i = 0; i < discs.size(); ++i) {
    const double radius = discs[i].radius * px_per_um_ * kFractionOne;
    const cv::Point centre = ToFixed(discs[i].centre, layer.place);
    cv::circle(mask, centre, static_cast<int>(std::lround(radius * 1.25)), cv::Scalar(127.0 * cover[i]), cv::FILLED,
               cv::LINE_AA, kFractionBits);
    cv::circle(mask, centre, static_cast<int>(std::lround(radius * 0.9)), cv::Scalar(255.0 * cover[i]), cv::FILLED,
               cv::LINE_AA, kFractionBits);
  }
  mask.convertTo(layer.covered, CV_32F, 1.0 / 255.0);
  return layer;
}

void Canvas::Paint(const Layer& layer, const DyeAmounts& amounts, double opacity, const cv::Mat_<float>& texture,
                   double depth) {
  const auto strength = static_cast<float>(depth);
  for (int y = 0; y < layer.place.height; ++y) {
    DyeAmounts* out = dyes_[layer.place.y + y] + layer.place.x;
    const float* covered = layer.covered[y];
    const float* grain = texture.empty() ? nullptr : texture[layer.place.y + y] + layer.place.x;
    for (int x = 0; x < layer.place.width; ++x) {
      const float c = covered[x] * static_cast<float>(opacity);
      if (c <= 0.0f) continue;
      const float scale = c * (grain == nullptr ? 1.0f : std::max(0.0f, 1.0f + strength * grain[x]));
      for (int dye = 0; dye < static_cast<int>(kDyes); ++dye) {
        out[x][dye] = out[x][dye] * (1.0f - c) + amounts[dye] * scale;
      }
    }
  }
}

void Canvas::Add(const Layer& layer, const DyeAmounts& amounts) {
  for (int y = 0; y < layer.place.height; ++y) {
    DyeAmounts* out = dyes_[layer.place.y + y] + layer.place.x;
    const float* covered = layer.covered[y];
    for (int x = 0; x < layer.place.width; ++x) {
      for (int dye = 0; dye < static_cast<int>(kDyes); ++dye) out[x][dye] += amounts[dye] * covered[x];
    }
  }
}

cv::Mat_<float> Canvas::Noise(double feature_um, RandomStream& random) const {
  // White noise on a lattice three times finer than the features, smoothed, so that no lattice shows in the result.
  constexpr double kSigma = 1.5;  // lattice steps
  constexpr int kMargin = 4;      // lattice steps that smoothing makes unlike the rest
  const double step_px = std::max(1.0, feature_um * px_per_um_ / 3.0);
  const int inner = static_cast<int>(std::ceil(dyes_.cols / step_px));
  const int grid = inner + 2 * kMargin;
  cv::Mat_<float> knots(grid, grid);
  for (float& knot : knots) knot = static_cast<float>(random.NextBetween(-1.0, 1.0));
  Blur(knots, knots, kSigma);
  const cv::Mat_<float> middle = knots(cv::Rect(kMargin, kMargin, inner, inner));
  cv::Mat_<float> full;
  const int full_px = std::max(dyes_.cols, static_cast<int>(std::lround(inner * step_px)));
  cv::resize(middle, full, cv::Size(full_px, full_px), 0, 0, cv::INTER_LINEAR);
  // Uniform knots have a deviation of 1 / sqrt 3; a Gaussian of this sigma leaves 1 / (2 sigma sqrt pi) of it.
  const double gain = std::sqrt(3.0) * 2.0 * kSigma * std::sqrt(std::numbers::pi);
  return cv::Mat_<float>(full(cv::Rect(0, 0, dyes_.cols, dyes_.rows)) * gain);
}

Layer Rim(const Layer& layer, double width_um, double px_per_um) {
  Layer rim{layer.place, {}};
  if (layer.place.empty()) return rim;
  Blur(layer.covered, rim.covered, width_um * px_per_um);
  for (int y = 0; y < rim.covered.rows; ++y) {
    for (int x = 0; x < rim.covered.cols; ++x) {
      const float c = layer.covered(y, x);
      rim.covered(y, x) = std::clamp(2.0f * c * (c - rim.covered(y, x)), 0.0f, 1.0f);
    }
  }
  return rim;
}

namespace {

template <typename Combine>
Layer Combined(const Layer& layer, const Layer& other, Combine combine) {
  Layer out{layer.place, layer.covered.clone()};
  for (int y = 0; y < out.covered.rows; ++y) {
    for (int x = 0; x < out.covered.cols; ++x) {
      const cv::Point at(layer.place.x + x - other.place.x, layer.place.y + y - other.place.y);
      const bool inside = at.x >= 0 && at.y >= 0 && at.x < other.place.width && at.y < other.place.height;
      out.covered(y, x) *= combine(inside ? other.covered(at.y, at.x) : 0.0f);
    }
  }
  return out;
}

}  // namespace

Layer Within(const Layer& layer, const Layer& other) {
  return Combined(layer, other, [](float c) { return c; });
}

Layer Outside(const Layer& layer, const Layer& other) {
  return Combined(layer, other, [](float c) { return 1.0f - c; });
}

double CoverAt(const Layer& layer, cv::Point2d at_um, double px_per_um) {
  const int x = static_cast<int>(std::floor(at_um.x * px_per_um)) - layer.place.x;
  const int y = static_cast<int>(std::floor(at_um.y * px_per_um)) - layer.place.y;
  if (x < 0 || y < 0 || x >= layer.place.width || y >= layer.place.height) return 0.0;
  return layer.covered(y, x);
}

}  // namespace hemafed::learning::synthetic
