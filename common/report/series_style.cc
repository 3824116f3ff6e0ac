// SPDX-License-Identifier: Apache-2.0
#include "common/report/series_style.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

namespace hemafed::report {

namespace {

constexpr std::array<Colour, 7> kColours = {{{0x00, 0x72, 0xB2},    // blue
                                             {0xD5, 0x5E, 0x00},    // vermilion
                                             {0x00, 0x9E, 0x73},    // bluish green
                                             {0xCC, 0x79, 0xA7},    // reddish purple
                                             {0xE6, 0x9F, 0x00},    // orange
                                             {0x56, 0xB4, 0xE9},    // sky blue
                                             {0x33, 0x33, 0x33}}};  // near black
constexpr Colour kWhite{0xFF, 0xFF, 0xFF};
constexpr std::size_t kMarkers = 8;
constexpr std::size_t kHatches = 5;
constexpr double kHatchSpacing = 6;  // Pixels between hatch lines.

std::vector<double> DashOf(std::size_t series) {
  switch (series % 4) {
    case 1: return {7, 3};
    case 2: return {2, 3};
    case 3: return {9, 3, 2, 3};
    default: return {};
  }
}

// Corners on a circle, the first at `degrees` counter-clockwise from the right; every second one at `inner` of the
// radius.
std::vector<Point> Corners(Point at, double radius, int count, double degrees, double inner = 1) {
  std::vector<Point> points;
  for (int i = 0; i < count; ++i) {
    const double angle = (degrees + 360.0 * i / count) * std::numbers::pi / 180;
    const double reach = i % 2 == 0 ? radius : radius * inner;
    points.push_back({at.x + reach * std::cos(angle), at.y - reach * std::sin(angle)});
  }
  return points;
}

std::vector<Point> PlusCorners(Point at, double radius) {
  const double thin = radius * 0.38;
  std::vector<Point> points;
  for (const auto& [x, y] : {std::pair{-thin, -radius},
                             {thin, -radius},
                             {thin, -thin},
                             {radius, -thin},
                             {radius, thin},
                             {thin, thin},
                             {thin, radius},
                             {-thin, radius},
                             {-thin, thin},
                             {-radius, thin},
                             {-radius, -thin},
                             {-thin, -thin}}) {
    points.push_back({at.x + x, at.y + y});
  }
  return points;
}

// The part of the line through `point` with slope `slope` that lies inside the box, if any.
void AppendClipped(Point corner, double width, double height, double offset, double slope,
                   std::vector<std::vector<Point>>& lines) {
  // y = offset + slope * x in the box's own coordinates, slope being 1, -1 or 0.
  double from = 0;
  double to = width;
  if (slope == 0) {
    if (offset <= 0 || offset >= height) return;
  } else {
    const double a = (0 - offset) / slope;
    const double b = (height - offset) / slope;
    from = std::max(from, std::min(a, b));
    to = std::min(to, std::max(a, b));
  }
  if (to - from < 0.5) return;
  lines.push_back(
      {{corner.x + from, corner.y + offset + slope * from}, {corner.x + to, corner.y + offset + slope * to}});
}

}  // namespace

SeriesStyle StyleOf(std::size_t series) {
  return {.colour = kColours[series % kColours.size()],
          .dash = DashOf(series),
          .marker = static_cast<MarkerShape>(series % kMarkers),
          .hatch = static_cast<Hatch>(series % kHatches)};
}

void AddMarker(Drawing& drawing, Point at, double radius, const SeriesStyle& style) {
  const Stroke rim{.colour = kWhite, .width = 1, .dash = {}};
  const auto polygon = [&](std::vector<Point> points) {
    drawing.Add(Polygon{.points = std::move(points), .fill = style.colour, .outline = rim});
  };
  switch (style.marker) {
    case MarkerShape::kCircle:
      return drawing.Add(Circle{.centre = at, .radius = radius, .fill = style.colour, .outline = rim});
    case MarkerShape::kSquare: return polygon(Corners(at, radius * 1.25, 4, 45));
    case MarkerShape::kTriangle: return polygon(Corners(at, radius * 1.35, 3, 90));
    case MarkerShape::kDiamond: return polygon(Corners(at, radius * 1.35, 4, 0));
    case MarkerShape::kDownTriangle: return polygon(Corners(at, radius * 1.35, 3, -90));
    case MarkerShape::kPentagon: return polygon(Corners(at, radius * 1.2, 5, 90));
    case MarkerShape::kStar: return polygon(Corners(at, radius * 1.5, 10, 90, 0.45));
    case MarkerShape::kPlus: return polygon(PlusCorners(at, radius * 1.25));
  }
}

std::vector<std::vector<Point>> HatchLines(Point corner, double width, double height, Hatch hatch) {
  std::vector<std::vector<Point>> lines;
  const double diagonal = kHatchSpacing * std::numbers::sqrt2;
  // Offsets grow from the box's upper left corner for rising lines, from its lower left one for the others.
  const auto count = [](double length, double spacing) { return static_cast<int>(std::ceil(length / spacing)) - 1; };
  if (hatch == Hatch::kRising || hatch == Hatch::kCrossed) {
    for (int i = 1; i <= count(width + height, diagonal); ++i)
      AppendClipped(corner, width, height, i * diagonal, -1, lines);
  }
  if (hatch == Hatch::kFalling || hatch == Hatch::kCrossed) {
    for (int i = 1; i <= count(width + height, diagonal); ++i)
      AppendClipped(corner, width, height, height - i * diagonal, 1, lines);
  }
  if (hatch == Hatch::kHorizontal) {
    for (int i = 1; i <= count(height, kHatchSpacing); ++i)
      AppendClipped(corner, width, height, height - i * kHatchSpacing, 0, lines);
  }
  return lines;
}

void AddHatchedBox(Drawing& drawing, Point corner, double width, double height, const SeriesStyle& style) {
  drawing.Add(Rectangle{.corner = corner, .width = width, .height = height, .fill = style.colour, .outline = {}});
  for (std::vector<Point>& line : HatchLines(corner, width, height, style.hatch)) {
    drawing.Add(Polyline{.points = std::move(line), .stroke = {.colour = kWhite, .width = 1.2, .dash = {}}});
  }
  // The rim keeps the bar's end visible where a hatch line meets it. It lies inside: the box is the value.
  if (width < 2 || height < 2) return;
  drawing.Add(Rectangle{.corner = {corner.x + 0.5, corner.y + 0.5},
                        .width = width - 1,
                        .height = height - 1,
                        .fill = {0, 0, 0, 0},
                        .outline = Stroke{.colour = style.colour, .width = 1, .dash = {}}});
}

}  // namespace hemafed::report
