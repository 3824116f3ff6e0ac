// SPDX-License-Identifier: Apache-2.0
#include "common/report/bar_chart.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/report/chart_frame.h"
#include "common/report/markup.h"
#include "common/report/number_text.h"

namespace hemafed::report {

namespace {

constexpr double kGroupFill = 0.82;       // Part of a group's place that its bars take.
constexpr double kMaxBarWidth = 64;       // Pixels; wider ones look like areas.
constexpr double kMinBarWidth = 7;        // Narrower ones cannot show a hatching: the chart grows instead.
constexpr double kMinLabelledWidth = 23;  // The same for bars that carry a number.
constexpr double kMaxPlotWidth = 2400;
constexpr double kValueSize = 10;  // Letters of the numbers on the bars.

void Check(const BarChart& chart) {
  if (chart.groups.empty()) FailChart(chart.title, "there is no group to draw");
  if (chart.groups.size() > kMaxBarGroups)
    FailChart(chart.title, "more than " + std::to_string(kMaxBarGroups) + " groups do not fit; draw several charts");
  if (chart.y_high && !std::isfinite(*chart.y_high)) FailChart(chart.title, "the limit of the y axis is not finite");
  if (chart.series.empty()) FailChart(chart.title, "there is no series to draw");
  if (chart.series.size() > kMaxChartSeries)
    FailChart(chart.title, "more than " + std::to_string(kMaxChartSeries) + " series cannot be told apart");
  for (const BarSeries& series : chart.series) {
    const std::string where = "series '" + Shorten(series.name, kMaxLabelPoints) + "'";
    if (series.values.size() > chart.groups.size())
      FailChart(chart.title, where + " has more values than there are groups");
    if (!series.spread.empty() && series.spread.size() != series.values.size()) {
      FailChart(chart.title, where + " has " + std::to_string(series.spread.size()) + " spreads for " +
                                 std::to_string(series.values.size()) + " values");
    }
    for (std::size_t i = 0; i < series.values.size(); ++i) {
      const std::string place = where + " in group '" + Shorten(chart.groups[i], kMaxLabelPoints) + "'";
      if (series.values[i] && !std::isfinite(*series.values[i]))
        FailChart(chart.title, place + ": the value is NaN or infinite");
      if (series.spread.empty()) continue;
      if (!std::isfinite(series.spread[i]) || series.spread[i] < 0)
        FailChart(chart.title, place + ": the spread is NaN, infinite or below zero");
    }
  }
}

// Both ends of the error bar, or the value twice.
std::pair<double, double> Reach(const BarSeries& series, std::size_t group) {
  const double room = series.spread.empty() ? 0 : series.spread[group];
  return {*series.values[group] - room, *series.values[group] + room};
}

Axis YAxis(const BarChart& chart) {
  double low = 0;
  double high = std::max(0.0, chart.y_high.value_or(0));
  for (const BarSeries& series : chart.series) {
    for (std::size_t g = 0; g < series.values.size(); ++g) {
      if (!series.values[g]) continue;
      const auto [from, to] = Reach(series, g);
      low = std::min(low, from);
      high = std::max(high, to);
    }
  }
  if (low == 0 && high == 0) high = 1;
  return NiceAxis(low, high);
}

void AddBar(Frame& frame, const BarSeries& series, std::size_t group, double left, double width,
            const SeriesStyle& style) {
  const double value = *series.values[group];
  const double zero = frame.Y(0);
  const double end = frame.Y(value);
  AddHatchedBox(frame.drawing, {left, std::min(zero, end)}, width, std::abs(end - zero), style);
  if (series.spread.empty() || series.spread[group] == 0) return;
  const auto [from, to] = Reach(series, group);
  const double middle = left + width / 2;
  const double half_cap = std::min(5.0, width / 3);
  const Stroke thin{.colour = kInk, .width = 1.3, .dash = {}};
  frame.drawing.Add(Polyline{.points = {{middle, frame.Y(from)}, {middle, frame.Y(to)}}, .stroke = thin});
  for (const double tip : {from, to}) {
    frame.drawing.Add(
        Polyline{.points = {{middle - half_cap, frame.Y(tip)}, {middle + half_cap, frame.Y(tip)}}, .stroke = thin});
  }
}

// Above the bar and its error bar; below them where the value is negative.
void AddValue(Frame& frame, const BarSeries& series, std::size_t group, double middle, int digits) {
  const auto [from, to] = Reach(series, group);
  const bool down = *series.values[group] < 0;
  frame.drawing.Add(Text{.at = {middle, down ? frame.Y(from) + kValueSize + 2 : frame.Y(to) - 4},
                         .text = FormatFixed(*series.values[group], digits),
                         .size = kValueSize,
                         .anchor = Anchor::kMiddle,
                         .colour = kInk});
}

}  // namespace

Drawing DrawBarChart(const BarChart& chart) {
  Check(chart);
  FrameSpec spec{.title = chart.title,
                 .x_title = chart.x_title,
                 .y_title = chart.y_title,
                 .y = YAxis(chart),
                 .key = LegendKey::kBox};
  const auto groups = static_cast<double>(chart.groups.size());
  const auto bars = static_cast<double>(chart.series.size());
  const bool labelled = chart.groups.size() * chart.series.size() <= kMaxLabelledBars;
  const double least = labelled ? kMinLabelledWidth : kMinBarWidth;
  spec.plot_width = std::clamp(groups * bars * least / kGroupFill, spec.plot_width, kMaxPlotWidth);
  for (std::size_t g = 0; g < chart.groups.size(); ++g)
    spec.x_labels.push_back({(static_cast<double>(g) + 0.5) / groups, chart.groups[g]});
  // A single series needs no key: the y axis says what it is.
  if (chart.series.size() > 1) {
    for (const BarSeries& series : chart.series) spec.legend.push_back(series.name);
  }
  Frame frame = MakeFrame(spec);

  const double slot = frame.width / groups;
  const double width = std::min(kMaxBarWidth, slot * kGroupFill / bars);
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    const BarSeries& series = chart.series[s];
    for (std::size_t g = 0; g < series.values.size(); ++g) {
      if (!series.values[g]) continue;
      const double start = frame.corner.x + slot * (static_cast<double>(g) + 0.5) - width * bars / 2;
      const double left = start + width * static_cast<double>(s);
      // A hair of paper between neighbours.
      AddBar(frame, series, g, left + width * 0.04, width * 0.92, StyleOf(s));
      if (labelled) AddValue(frame, series, g, left + width / 2, chart.digits);
    }
  }
  frame.drawing.Add(Polyline{.points = {{frame.corner.x, frame.Y(0)}, {frame.corner.x + frame.width, frame.Y(0)}},
                             .stroke = {.colour = kFaintInk, .width = 1.2, .dash = {}}});
  return std::move(frame.drawing);
}

}  // namespace hemafed::report
