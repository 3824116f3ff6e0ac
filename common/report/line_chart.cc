// SPDX-License-Identifier: Apache-2.0
#include "common/report/line_chart.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "common/report/chart_frame.h"
#include "common/report/markup.h"

namespace hemafed::report {

namespace {

constexpr double kBandOpacity = 0.16;
constexpr double kMarkerRadius = 4;
// Markers of longer series would cover the line.
constexpr std::size_t kMaxMarkedPoints = 40;

std::size_t Positions(const LineChart& chart) { return std::max(chart.x_labels.size(), chart.x_values.size()); }

void CheckX(const LineChart& chart) {
  if (chart.x_labels.empty() == chart.x_values.empty()) {
    FailChart(chart.title, "give either labels or numbers for the x axis, and at least one of them");
  }
  if (Positions(chart) > kMaxLinePoints) {
    FailChart(chart.title, "more than " + std::to_string(kMaxLinePoints) + " positions on the x axis; thin them out");
  }
  for (const std::optional<double> limit : {chart.y_low, chart.y_high}) {
    if (limit && !std::isfinite(*limit)) FailChart(chart.title, "a limit of the y axis is not finite");
  }
  for (std::size_t i = 0; i < chart.x_values.size(); ++i) {
    if (!std::isfinite(chart.x_values[i])) FailChart(chart.title, "x " + std::to_string(i + 1) + " is not finite");
    if (i > 0 && chart.x_values[i] <= chart.x_values[i - 1])
      FailChart(chart.title, "x " + std::to_string(i + 1) + " does not lie above the one before");
  }
}

void CheckSeries(const LineChart& chart) {
  if (chart.series.empty()) FailChart(chart.title, "there is no series to draw");
  if (chart.series.size() > kMaxChartSeries) {
    FailChart(chart.title, "more than " + std::to_string(kMaxChartSeries) + " series cannot be told apart");
  }
  for (const LineSeries& series : chart.series) {
    const std::string where = "series '" + Shorten(series.name, kMaxLabelPoints) + "'";
    if (series.values.size() > Positions(chart))
      FailChart(chart.title, where + " has more values than the x axis positions");
    if (!series.spread.empty() && series.spread.size() != series.values.size()) {
      FailChart(chart.title, where + " has " + std::to_string(series.spread.size()) + " spreads for " +
                                 std::to_string(series.values.size()) + " values");
    }
    for (std::size_t i = 0; i < series.values.size(); ++i) {
      const bool value_ok = !series.values[i] || std::isfinite(*series.values[i]);
      if (!value_ok) FailChart(chart.title, where + ", value " + std::to_string(i + 1) + " is NaN or infinite");
      if (series.spread.empty()) continue;
      if (!std::isfinite(series.spread[i]) || series.spread[i] < 0)
        FailChart(chart.title, where + ", spread " + std::to_string(i + 1) + " is NaN, infinite or below zero");
    }
  }
}

Axis YAxis(const LineChart& chart) {
  double low = chart.y_low.value_or(std::numeric_limits<double>::infinity());
  double high = chart.y_high.value_or(-std::numeric_limits<double>::infinity());
  for (const LineSeries& series : chart.series) {
    for (std::size_t i = 0; i < series.values.size(); ++i) {
      if (!series.values[i]) continue;
      const double room = series.spread.empty() ? 0 : series.spread[i];
      low = std::min(low, *series.values[i] - room);
      high = std::max(high, *series.values[i] + room);
    }
  }
  if (!(low <= high)) {  // Nothing was measured: an empty unit axis, moved to what the caller asked for.
    low = std::isfinite(low) ? low : std::isfinite(high) ? high - 1 : 0;
    high = low + 1;
  }
  return NiceAxis(low, high);
}

// Where the positions lie between the left (0) and right (1) border, and their labels.
std::vector<double> PlaceX(const LineChart& chart, std::vector<XLabel>& labels) {
  std::vector<double> parts;
  if (!chart.x_values.empty()) {
    const Axis axis = NiceAxis(chart.x_values.front(), chart.x_values.back());
    for (const Tick& tick : axis.ticks) labels.push_back({axis.Part(tick.value), tick.label});
    for (const double x : chart.x_values) parts.push_back(axis.Part(x));
    return parts;
  }
  const auto count = static_cast<double>(chart.x_labels.size());
  for (std::size_t i = 0; i < chart.x_labels.size(); ++i) {
    parts.push_back((static_cast<double>(i) + 0.5) / count);
    labels.push_back({parts.back(), chart.x_labels[i]});
  }
  return parts;
}

// The stretches of a series between values that are missing, as index ranges [first, last).
std::vector<std::pair<std::size_t, std::size_t>> Stretches(const LineSeries& series) {
  std::vector<std::pair<std::size_t, std::size_t>> out;
  for (std::size_t i = 0; i < series.values.size(); ++i) {
    if (!series.values[i]) continue;
    if (out.empty() || out.back().second != i) out.emplace_back(i, i);
    out.back().second = i + 1;
  }
  return out;
}

}  // namespace

Drawing DrawLineChart(const LineChart& chart) {
  CheckX(chart);
  CheckSeries(chart);
  FrameSpec spec{.title = chart.title, .x_title = chart.x_title, .y_title = chart.y_title, .y = YAxis(chart)};
  const std::vector<double> parts = PlaceX(chart, spec.x_labels);
  spec.grid_at_x_labels = !chart.x_values.empty();
  for (const LineSeries& series : chart.series) spec.legend.push_back(series.name);
  Frame frame = MakeFrame(spec);

  // All bands first, so that none covers a line.
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    const LineSeries& series = chart.series[s];
    if (series.spread.empty()) continue;
    Colour fill = StyleOf(s).colour;
    fill.opacity = kBandOpacity;
    for (const auto& [first, last] : Stretches(series)) {
      std::vector<Point> border;
      for (std::size_t i = first; i < last; ++i)
        border.push_back({frame.X(parts[i]), frame.Y(*series.values[i] + series.spread[i])});
      for (std::size_t i = last; i-- > first;)
        border.push_back({frame.X(parts[i]), frame.Y(*series.values[i] - series.spread[i])});
      frame.drawing.Add(Polygon{.points = std::move(border), .fill = fill, .outline = {}});
    }
  }
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    const LineSeries& series = chart.series[s];
    const SeriesStyle style = StyleOf(s);
    for (const auto& [first, last] : Stretches(series)) {
      std::vector<Point> points;
      for (std::size_t i = first; i < last; ++i) points.push_back({frame.X(parts[i]), frame.Y(*series.values[i])});
      // A single value between gaps has no line, so it is always marked.
      const bool marked = series.values.size() <= kMaxMarkedPoints || points.size() == 1;
      if (points.size() > 1)
        frame.drawing.Add(
            Polyline{.points = points, .stroke = {.colour = style.colour, .width = 2, .dash = style.dash}});
      if (!marked) continue;
      for (const Point point : points) AddMarker(frame.drawing, point, kMarkerRadius, style);
    }
  }
  return std::move(frame.drawing);
}

}  // namespace hemafed::report
