// common/report/drawing.h
// SPDX-License-Identifier: Apache-2.0
//
// A chart as a list of shapes, between what makes charts (line_chart.h ...) and what writes them (svg.h, raster.h):
// both outputs show the same thing because they read the same list, and a test can look at it.
//
// Units: pixels of a screen at 96 dpi. The origin is the upper left corner, y grows downwards, angles are degrees
// counter-clockwise. Later shapes lie on top of earlier ones.
//
// Errors: Drawing throws kInternal for a coordinate that is not finite and for a side out of range, because charts
// check their data first and name the series. Thread-safety: value types.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/bytes.h"

namespace hemafed::report {

// Longest side in pixels. A 64 × 64 confusion matrix needs about 3,300; a PNG at twice the size is 40 MB in memory
// then.
inline constexpr double kMaxDrawingSide = 4096;

struct Point {
  double x = 0;
  double y = 0;
};

struct Colour {
  std::uint8_t red = 0;
  std::uint8_t green = 0;
  std::uint8_t blue = 0;
  double opacity = 1;  // 0 (nothing) to 1.
  bool operator==(const Colour&) const = default;
};

struct Stroke {
  Colour colour;
  double width = 1;
  std::vector<double> dash;  // Lengths drawn and left out in turn, an even number; empty: solid.
};

struct Polyline {
  std::vector<Point> points;
  Stroke stroke;
};

struct Polygon {
  std::vector<Point> points;
  Colour fill;
  std::optional<Stroke> outline;
};

struct Rectangle {
  Point corner;  // Upper left.
  double width = 0;
  double height = 0;
  Colour fill;
  std::optional<Stroke> outline;
};

struct Circle {
  Point centre;
  double radius = 0;
  Colour fill;
  std::optional<Stroke> outline;
};

enum class Anchor { kStart, kMiddle, kEnd };

struct Text {
  Point at;  // On the base line, at the start, middle or end of the text.
  std::string text;
  double size = 12;
  Anchor anchor = Anchor::kStart;
  bool bold = false;
  double degrees = 0;  // Turned about `at`.
  Colour colour{0x22, 0x22, 0x22};
};

// A picture file, PNG or JPEG, stretched over the rectangle.
struct Image {
  Point corner;
  double width = 0;
  double height = 0;
  Bytes file;
};

using Shape = std::variant<Polyline, Polygon, Rectangle, Circle, Text, Image>;

class Drawing {
 public:
  // `title` names the drawing for people who do not see it; it is not drawn.
  Drawing(double width, double height, std::string title);

  void Add(Shape shape);

  [[nodiscard]] double width() const { return width_; }
  [[nodiscard]] double height() const { return height_; }
  [[nodiscard]] const std::string& title() const { return title_; }
  [[nodiscard]] const std::vector<Shape>& shapes() const { return shapes_; }

 private:
  double width_;
  double height_;
  std::string title_;
  std::vector<Shape> shapes_;
};

// "image/png" or "image/jpeg" by the first bytes, or nothing.
[[nodiscard]] std::optional<std::string> PictureType(ByteView file);

}  // namespace hemafed::report
