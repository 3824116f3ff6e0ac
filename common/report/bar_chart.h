// common/report/bar_chart.h
// SPDX-License-Identifier: Apache-2.0
//
// Grouped bars with error bars: forgetting by method, scores by class. Bars stand on zero, which is always on the axis.
//
// Shapes: g groups along x; each series has up to g values, one that was not measured is empty. A spread, where given,
// has as many entries as values. With at most kMaxLabelledBars bars each one carries its number.
//
// Errors: kInvalidInput, naming chart, series and group, as in line_chart.h. Thread-safety: as there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/report/drawing.h"

namespace hemafed::report {

inline constexpr std::size_t kMaxBarGroups = 100;
inline constexpr std::size_t kMaxLabelledBars = 30;

struct BarSeries {
  std::string name;
  std::vector<std::optional<double>> values;
  std::vector<double> spread;  // Half-length of the error bar, >= 0; empty: none.
};

struct BarChart {
  std::string title;
  std::string x_title;
  std::string y_title;
  std::vector<std::string> groups;
  std::vector<BarSeries> series;
  std::optional<double> y_high;  // The axis reaches at least so far.
  int digits = 2;                // Of the numbers on the bars, after the point.
};

[[nodiscard]] Drawing DrawBarChart(const BarChart& chart);

}  // namespace hemafed::report
