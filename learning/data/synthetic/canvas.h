// learning/data/synthetic/canvas.h
// SPDX-License-Identifier: Apache-2.0
//
// Where a smear is drawn: not in colours but in amounts of dye, so that stain and camera can be applied to the finished
// scene (optics.h). Lengths are micrometres from the upper left corner; the canvas is finer than the picture, which is
// made from it by averaging.
//
// A Layer is a soft-edged shape: how much of each pixel it covers, 0..1, within a rectangle of the canvas.
//
// Thread-safety: a Canvas belongs to one thread.
#pragma once

#include <array>
#include <opencv2/core.hpp>
#include <vector>

#include "common/random.h"
#include "learning/data/synthetic/hospital_profile.h"

namespace hemafed::learning::synthetic {

using DyeAmounts = cv::Vec<float, kDyes>;  // indexed by Dye

// A disc of the given radius at a point; lengths in micrometres.
struct Disc {
  cv::Point2d centre;
  double radius = 0.0;
};

struct Layer {
  cv::Rect place;           // canvas pixels
  cv::Mat_<float> covered;  // size of `place`
};

class Canvas {
 public:
  // side_px x side_px pixels that show field_um x field_um.
  Canvas(int side_px, double field_um);

  [[nodiscard]] int side_px() const { return dyes_.cols; }
  [[nodiscard]] double px_per_um() const { return px_per_um_; }
  [[nodiscard]] cv::Mat_<DyeAmounts>& dyes() { return dyes_; }
  [[nodiscard]] const cv::Mat_<DyeAmounts>& dyes() const { return dyes_; }

  // A closed outline through the points; edges fall from 1 to 0 over about `softness_um`.
  [[nodiscard]] Layer Outline(const std::vector<cv::Point2d>& points, double softness_um) const;
  // The union of discs and of the bands between consecutive ones, as wide as the thinner of the two.
  [[nodiscard]] Layer Sweep(const std::vector<Disc>& discs, double softness_um) const;
  // Separate discs, later ones over earlier ones; each covers what `cover` says at the same place (0..1), with a rim of
  // half that, so that discs that touch stay distinguishable.
  [[nodiscard]] Layer Granules(const std::vector<Disc>& discs, const std::vector<double>& cover) const;

  // Replaces what lies below: dyes = dyes * (1 - c) + amounts * c with c = opacity * covered. With `texture` (values of
  // the whole canvas around 0) the amounts become amounts * max(0, 1 + depth * texture).
  void Paint(const Layer& layer, const DyeAmounts& amounts, double opacity, const cv::Mat_<float>& texture = {},
             double depth = 0.0);
  // Lies above what is there: dyes += amounts * covered.
  void Add(const Layer& layer, const DyeAmounts& amounts);

  // Smooth noise over the canvas with mean 0 and a standard deviation near 1, whose features are about feature_um wide.
  [[nodiscard]] cv::Mat_<float> Noise(double feature_um, RandomStream& random) const;

 private:
  [[nodiscard]] cv::Rect PlaceOf(cv::Point2d low, cv::Point2d high, double margin_um) const;
  [[nodiscard]] cv::Point ToFixed(cv::Point2d at, const cv::Rect& place) const;
  [[nodiscard]] Layer Soften(const cv::Rect& place, const cv::Mat_<std::uint8_t>& mask, double softness_um) const;

  double px_per_um_;
  cv::Mat_<DyeAmounts> dyes_;
};

// The part of a layer near its edge: covered * (1 - smoothed) where smoothing spreads over `width_um`.
[[nodiscard]] Layer Rim(const Layer& layer, double width_um, double px_per_um);
// The part of `layer` that `other` covers, or leaves free.
[[nodiscard]] Layer Within(const Layer& layer, const Layer& other);
[[nodiscard]] Layer Outside(const Layer& layer, const Layer& other);
// The coverage of a layer at a point, 0 outside its rectangle.
[[nodiscard]] double CoverAt(const Layer& layer, cv::Point2d at_um, double px_per_um);

}  // namespace hemafed::learning::synthetic
