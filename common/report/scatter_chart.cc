// SPDX-License-Identifier: Apache-2.0
#include "common/report/scatter_chart.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/report/chart_frame.h"
#include "common/report/markup.h"
#include "common/report/series_style.h"
#include "common/report/text_metrics.h"

namespace hemafed::report {

namespace {

constexpr double kSide = 480;  // Of the plot area, which is square.
constexpr double kMarkerRadius = 4;
constexpr double kHollow = 0.5;  // Of a marker's radius is white inside.
constexpr double kRoom = 0.04;   // Of the range is left free on each side.
constexpr double kRow = 18;
constexpr double kKey = 20;  // Width of a legend key.
constexpr std::size_t kFilledKinds = 7;
// The reader's machine picks the font, and some are wider than the one that widths are known for.
constexpr double kFontSlack = 1.15;

void Check(const ScatterChart& chart) {
  if (chart.points.empty()) FailChart(chart.title, "there are no points");
  if (chart.points.size() > kMaxScatterPoints)
    FailChart(chart.title, "more than " + std::to_string(kMaxScatterPoints) + " points; draw some of them");
  if (chart.origins.size() > kMaxScatterOrigins)
    FailChart(chart.title, "more than " + std::to_string(kMaxScatterOrigins) + " shapes cannot be told apart");
  if (chart.kinds.size() > kMaxScatterKinds)
    FailChart(chart.title, "more than " + std::to_string(kMaxScatterKinds) + " colours cannot be told apart");
  for (std::size_t i = 0; i < chart.points.size(); ++i) {
    const ScatterPoint& point = chart.points[i];
    const std::string where = "point " + std::to_string(i + 1);
    if (!std::isfinite(point.x) || !std::isfinite(point.y)) FailChart(chart.title, where + " is NaN or infinite");
    if (point.origin >= chart.origins.size() || point.kind >= chart.kinds.size())
      FailChart(chart.title, where + " has an origin or kind without a name");
  }
}

struct Range {
  double low = 0;
  double high = 0;
};

template <class Coordinate>
Range RangeOf(const std::vector<ScatterPoint>& points, Coordinate coordinate) {
  const auto [low, high] = std::minmax_element(
      points.begin(), points.end(), [&](const auto& a, const auto& b) { return coordinate(a) < coordinate(b); });
  return {coordinate(*low), coordinate(*high)};
}

// An axis of exactly this range, with ticks where they fall.
Axis ExactAxis(Range range) {
  Axis axis = NiceAxis(range.low, range.high);
  axis.low = range.low;
  axis.high = range.high;
  std::erase_if(axis.ticks, [&](const Tick& tick) { return tick.value < range.low || tick.value > range.high; });
  return axis;
}

Range Widened(Range range, double length) {
  const double middle = (range.low + range.high) / 2;
  return {middle - length / 2, middle + length / 2};
}

void AddPoint(Drawing& drawing, Point at, std::uint32_t origin, std::uint32_t kind) {
  SeriesStyle style = StyleOf(kind % kFilledKinds);
  style.marker = StyleOf(origin).marker;
  AddMarker(drawing, at, kMarkerRadius, style);
  if (kind < kFilledKinds) return;
  style.colour = kPaper;
  AddMarker(drawing, at, kMarkerRadius * kHollow, style);
}

// A head and one row for each name; returns where the next list may begin.
double AddLegend(Drawing& drawing, Point corner, const std::string& title, const std::vector<std::string>& names,
                 bool shapes) {
  double y = corner.y + kRow / 2;
  const double drop = kLabelSize * kCapHeight / 2;
  drawing.Add(Text{.at = {corner.x, y + drop},
                   .text = Shorten(title, kMaxLabelPoints),
                   .size = kLabelSize,
                   .bold = true,
                   .colour = kInk});
  for (std::size_t i = 0; i < names.size(); ++i) {
    y += kRow;
    const Point at{corner.x + kKey / 2, y};
    const auto number = static_cast<std::uint32_t>(i);
    if (shapes) {
      SeriesStyle style = StyleOf(i);
      style.colour = kFaintInk;
      AddMarker(drawing, at, kMarkerRadius + 1, style);
    } else {
      AddPoint(drawing, at, 0, number);
    }
    drawing.Add(Text{.at = {corner.x + kKey + 4, y + drop},
                     .text = Shorten(names[i], kMaxLabelPoints),
                     .size = kLabelSize,
                     .colour = kInk});
  }
  return y + kRow;
}

}  // namespace

Drawing DrawScatterChart(const ScatterChart& chart) {
  Check(chart);
  Range x = RangeOf(chart.points, [](const ScatterPoint& point) { return point.x; });
  Range y = RangeOf(chart.points, [](const ScatterPoint& point) { return point.y; });
  double length = std::max(x.high - x.low, y.high - y.low) * (1 + 2 * kRoom);
  if (!(length > 0)) length = 1;  // All points in one place.
  x = Widened(x, length);
  y = Widened(y, length);

  FrameSpec spec{.title = chart.title, .x_title = chart.x_title, .y_title = chart.y_title, .y = ExactAxis(y)};
  const Axis x_axis = ExactAxis(x);
  for (const Tick& tick : x_axis.ticks) spec.x_labels.push_back({x_axis.Part(tick.value), tick.label});
  spec.grid_at_x_labels = true;
  spec.plot_width = kSide;
  spec.plot_height = kSide;
  for (const auto* names : {&chart.origins, &chart.kinds}) {
    for (const std::string& name : *names)
      spec.side_width = std::max(spec.side_width, kKey + 4 + TextWidth(Shorten(name, kMaxLabelPoints), kLabelSize));
  }
  for (const std::string* title : {&chart.origin_title, &chart.kind_title})
    spec.side_width = std::max(spec.side_width, TextWidth(Shorten(*title, kMaxLabelPoints), kLabelSize, true));
  spec.side_width *= kFontSlack;
  spec.side_height = kRow * static_cast<double>(chart.origins.size() + chart.kinds.size() + 4);

  Frame frame = MakeFrame(spec);
  for (const ScatterPoint& point : chart.points)
    AddPoint(frame.drawing, {frame.X(x_axis.Part(point.x)), frame.Y(point.y)}, point.origin, point.kind);
  const double left = frame.corner.x + frame.width + 22;
  const double next = AddLegend(frame.drawing, {left, frame.corner.y}, chart.origin_title, chart.origins, true);
  (void)AddLegend(frame.drawing, {left, next + kRow / 2}, chart.kind_title, chart.kinds, false);
  return std::move(frame.drawing);
}

}  // namespace hemafed::report
