// SPDX-License-Identifier: Apache-2.0
#include "common/report/drawing.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/error.h"
#include "common/report/markup.h"

namespace hemafed::report {

namespace {

bool IsFinite(Point point) { return std::isfinite(point.x) && std::isfinite(point.y); }

// A stroke that a shape may lack is fine.
bool IsSound(const std::optional<Stroke>& stroke) {
  if (!stroke) return true;
  return std::isfinite(stroke->width) && stroke->width > 0 && stroke->dash.size() % 2 == 0 &&
         std::all_of(stroke->dash.begin(), stroke->dash.end(),
                     [](double length) { return std::isfinite(length) && length > 0; });
}

bool IsBox(Point corner, double width, double height) {
  return IsFinite(corner) && std::isfinite(width) && std::isfinite(height) && width >= 0 && height >= 0;
}

struct SoundShape {
  bool operator()(const Polyline& line) const {
    return std::all_of(line.points.begin(), line.points.end(), IsFinite) && IsSound(line.stroke);
  }
  bool operator()(const Polygon& polygon) const {
    return std::all_of(polygon.points.begin(), polygon.points.end(), IsFinite) && IsSound(polygon.outline);
  }
  bool operator()(const Rectangle& box) const {
    return IsBox(box.corner, box.width, box.height) && IsSound(box.outline);
  }
  bool operator()(const Circle& circle) const {
    return IsBox(circle.centre, circle.radius, circle.radius) && IsSound(circle.outline);
  }
  bool operator()(const Text& text) const {
    return IsFinite(text.at) && std::isfinite(text.size) && text.size > 0 && std::isfinite(text.degrees);
  }
  bool operator()(const Image& image) const {
    return IsBox(image.corner, image.width, image.height) && PictureType(image.file).has_value();
  }
};

}  // namespace

Drawing::Drawing(double width, double height, std::string title)
    : width_(width), height_(height), title_(std::move(title)) {
  if (!(width >= 1 && width <= kMaxDrawingSide && height >= 1 && height <= kMaxDrawingSide)) {
    throw Error(ErrorCode::kInternal, "chart '" + Shorten(title_, 80) + "' would have a side outside 1 to " +
                                          std::to_string(static_cast<int>(kMaxDrawingSide)) + " pixels");
  }
}

void Drawing::Add(Shape shape) {
  if (!std::visit(SoundShape{}, shape)) {
    throw Error(ErrorCode::kInternal, "chart '" + Shorten(title_, 80) +
                                          "' holds a shape whose coordinates, stroke or picture are not usable");
  }
  shapes_.push_back(std::move(shape));
}

std::optional<std::string> PictureType(ByteView file) {
  const std::string_view bytes = AsText(file);
  if (bytes.starts_with("\x89PNG\r\n\x1A\n")) return "image/png";
  if (bytes.starts_with("\xFF\xD8\xFF")) return "image/jpeg";
  return std::nullopt;
}

}  // namespace hemafed::report
