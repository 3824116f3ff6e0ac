// common/report/line_chart.h
// SPDX-License-Identifier: Apache-2.0
//
// Values over tasks, rounds or settings: one line a series, with markers and an optional band (mean ± sd over seeds).
//
// Shapes: x has n positions, either n labels at equal distances or n ascending numbers. A series has up to n values;
// one that was not measured is empty and breaks the line. A spread, where given, has as many entries as values.
//
// Errors: kInvalidInput, naming chart, series and position, for a value or spread that is NaN or infinite, a negative
// spread, more values than positions, both or none of the two kinds of x, x that do not ascend, no series, or too many.
// Thread-safety: value types and a free function without state.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/report/drawing.h"

namespace hemafed::report {

// Positions on the x axis. Pictures are read by people; longer runs are to be thinned out by the caller.
inline constexpr std::size_t kMaxLinePoints = 10'000;

struct LineSeries {
  std::string name;
  std::vector<std::optional<double>> values;
  std::vector<double> spread;  // Half-height of the band at each value, >= 0; empty: no band.
};

struct LineChart {
  std::string title;
  std::string x_title;
  std::string y_title;
  std::vector<std::string> x_labels;
  std::vector<double> x_values;
  std::vector<LineSeries> series;
  // The y axis holds at least this span (0 to 1 for accuracies, so that charts can be compared), and all of the data.
  std::optional<double> y_low;
  std::optional<double> y_high;
};

[[nodiscard]] Drawing DrawLineChart(const LineChart& chart);

}  // namespace hemafed::report
