// SPDX-License-Identifier: Apache-2.0
#include "studies/report/raster.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <variant>

#include "common/error.h"
#include "common/report/markup.h"
#include "learning/data/picture.h"
#include "learning/data/picture_sheet.h"
#include "studies/report/raster_text.h"
#include "studies/report/report_names.h"

namespace hemafed::studies {

namespace {

constexpr double kEnlargement = 2;
constexpr int kShift = 4;  // OpenCV's fixed-point digits.

double DistanceBetween(Point a, Point b) { return std::hypot(b.x - a.x, b.y - a.y); }

Point Between(Point a, Point b, double part) { return {a.x + (b.x - a.x) * part, a.y + (b.y - a.y) * part}; }

// The drawn pieces of a dashed line.
std::vector<std::vector<Point>> Dashes(const std::vector<Point>& points, const std::vector<double>& dash) {
  if (dash.empty()) return {points};
  std::vector<std::vector<Point>> pieces;
  std::size_t phase = 0;
  double left = dash[0];
  for (std::size_t i = 0; i + 1 < points.size(); ++i) {
    const double length = DistanceBetween(points[i], points[i + 1]);
    for (double at = 0; at < length;) {
      const double step = std::min(left, length - at);
      if (phase % 2 == 0) {
        const Point from = Between(points[i], points[i + 1], at / length);
        // A dash goes on round a corner.
        if (pieces.empty() || at > 0 || i == 0 || left == dash[phase]) pieces.push_back({from});
        pieces.back().push_back(Between(points[i], points[i + 1], (at + step) / length));
      }
      at += step;
      left -= step;
      if (left <= 0) {
        phase = (phase + 1) % dash.size();
        left = dash[phase];
      }
    }
  }
  return pieces;
}

class Painter {
 public:
  Painter(const Drawing& drawing, double scale)
      : scale_(scale),
        canvas_(static_cast<int>(std::lround(drawing.height() * scale)),
                static_cast<int>(std::lround(drawing.width() * scale)), CV_8UC3, cv::Scalar::all(255)) {
    for (const Shape& shape : drawing.shapes()) std::visit(*this, shape);
  }

  [[nodiscard]] const cv::Mat& canvas() const { return canvas_; }

  void operator()(const Polyline& line) { Draw(line.points, line.stroke); }

  void operator()(const Polygon& polygon) {
    Fill(polygon.points, polygon.fill);
    Outline(polygon.points, polygon.outline);
  }

  void operator()(const Rectangle& box) {
    const double right = box.corner.x + box.width;
    const double bottom = box.corner.y + box.height;
    (*this)(Polygon{.points = {box.corner, {right, box.corner.y}, {right, bottom}, {box.corner.x, bottom}},
                    .fill = box.fill,
                    .outline = box.outline});
  }

  void operator()(const Circle& circle) {
    WithOpacity(circle.fill, [&](cv::Mat& target) {
      cv::circle(target, Fixed(circle.centre), Length(circle.radius), Ink(circle.fill), cv::FILLED, cv::LINE_AA,
                 kShift);
    });
    if (!circle.outline) return;
    WithOpacity(circle.outline->colour, [&](cv::Mat& target) {
      cv::circle(target, Fixed(circle.centre), Length(circle.radius), Ink(circle.outline->colour),
                 Thickness(circle.outline->width), cv::LINE_AA, kShift);
    });
  }

  void operator()(const Text& text) { DrawText(canvas_, text, scale_); }

  void operator()(const Image& image) {
    const auto decoded = learning::DecodePicture(image.file);
    if (!std::holds_alternative<cv::Mat>(decoded)) {
      throw Error(ErrorCode::kInvalidInput,
                  "a picture of a chart cannot be decoded (cut short, or a side below 16 pixels); make it again from "
                  "its source");
    }
    const cv::Rect place(Pixel(image.corner.x), Pixel(image.corner.y), std::max(1, Pixel(image.width)),
                         std::max(1, Pixel(image.height)));
    const cv::Rect seen = place & cv::Rect(0, 0, canvas_.cols, canvas_.rows);
    if (seen.empty()) return;
    const cv::Mat& picture = std::get<cv::Mat>(decoded);
    cv::Mat resized;
    cv::resize(picture, resized, place.size(), 0, 0, picture.cols > place.width ? cv::INTER_AREA : cv::INTER_CUBIC);
    resized(cv::Rect(seen.x - place.x, seen.y - place.y, seen.width, seen.height)).copyTo(canvas_(seen));
  }

 private:
  [[nodiscard]] int Pixel(double value) const { return static_cast<int>(std::lround(value * scale_)); }
  [[nodiscard]] int Length(double value) const { return static_cast<int>(std::lround(value * scale_ * (1 << kShift))); }
  [[nodiscard]] int Thickness(double width) const { return std::max(1, Pixel(width)); }
  // OpenCV counts from the middle of the first pixel, drawings from its corner.
  [[nodiscard]] cv::Point Fixed(Point point) const {
    return {Length(point.x - 0.5 / scale_), Length(point.y - 0.5 / scale_)};
  }
  [[nodiscard]] std::vector<cv::Point> FixedAll(const std::vector<Point>& points) const {
    std::vector<cv::Point> out;
    out.reserve(points.size());
    for (const Point point : points) out.push_back(Fixed(point));
    return out;
  }
  static cv::Scalar Ink(Colour colour) { return {double(colour.red), double(colour.green), double(colour.blue)}; }

  template <typename Paint>
  void WithOpacity(Colour colour, const Paint& paint) {
    if (colour.opacity <= 0) return;
    if (colour.opacity >= 1) return paint(canvas_);
    cv::Mat painted = canvas_.clone();
    paint(painted);
    cv::addWeighted(painted, colour.opacity, canvas_, 1 - colour.opacity, 0, canvas_);
  }

  void Fill(const std::vector<Point>& points, Colour fill) {
    if (points.size() < 3) return;
    WithOpacity(fill, [&](cv::Mat& target) {
      cv::fillPoly(target, std::vector<std::vector<cv::Point>>{FixedAll(points)}, Ink(fill), cv::LINE_AA, kShift);
    });
  }

  void Outline(std::vector<Point> points, const std::optional<Stroke>& outline) {
    if (!outline || points.empty()) return;
    points.push_back(points.front());
    Draw(points, *outline);
  }

  void Draw(const std::vector<Point>& points, const Stroke& stroke) {
    if (points.empty()) return;
    WithOpacity(stroke.colour, [&](cv::Mat& target) {
      for (const std::vector<Point>& piece : Dashes(points, stroke.dash)) {
        cv::polylines(target, FixedAll(piece), false, Ink(stroke.colour), Thickness(stroke.width), cv::LINE_AA, kShift);
      }
    });
  }

  double scale_;
  cv::Mat canvas_;
};

}  // namespace

cv::Mat RenderPixels(const Drawing& drawing, double scale) {
  if (!(scale >= 0.25 && scale <= kMaxScale)) {
    throw Error(ErrorCode::kInvalidInput, "a chart's scale must be 0.25 to 4 pixels for one unit");
  }
  const double enlarged = scale * kEnlargement;
  if (drawing.width() * drawing.height() * enlarged * enlarged > kMaxRasterPixels) {
    throw Error(ErrorCode::kInvalidInput, "chart '" + Shorten(drawing.title(), 80) +
                                              "' has too many pixels at this scale; use a smaller one or SVG");
  }
  try {
    const Painter painter(drawing, enlarged);
    cv::Mat pixels;
    cv::resize(painter.canvas(), pixels,
               cv::Size(std::max(1, static_cast<int>(std::lround(drawing.width() * scale))),
                        std::max(1, static_cast<int>(std::lround(drawing.height() * scale)))),
               0, 0, cv::INTER_AREA);
    return pixels;
  } catch (const cv::Exception& failure) {
    throw Error(ErrorCode::kInternal, "drawing chart '" + Shorten(drawing.title(), 80) + "' failed: " + failure.what());
  }
}

Bytes RenderPng(const Drawing& drawing, double scale) { return learning::EncodePng(RenderPixels(drawing, scale)); }

}  // namespace hemafed::studies
