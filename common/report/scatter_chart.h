// common/report/scatter_chart.h
// SPDX-License-Identifier: Apache-2.0
//
// Points in a plane, told apart by two things at once: where they come from (shape) and what they are (colour), for
// maps of cells by hospital and class. Both axes have one scale, so distances can be compared in all directions.
//
// The first seven kinds are filled in the colours of series_style.h, the next seven are hollow in the same colours: all
// survive colour blindness side by side with their shapes, and kinds 1 and 8 differ in black-and-white print too.
// Later points lie on top of earlier ones; points of one origin after another would hide each other, so mix them.
//
// Errors: kInvalidInput, naming chart and point, for a coordinate that is NaN or infinite, an origin or kind without a
// name, more of them than can be told apart, no points or more than kMaxScatterPoints.
// Thread-safety: value types and a free function without state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/report/drawing.h"

namespace hemafed::report {

inline constexpr std::size_t kMaxScatterPoints = 20'000;  // Some 2 MB of SVG.
inline constexpr std::size_t kMaxScatterOrigins = 8;      // Shapes.
inline constexpr std::size_t kMaxScatterKinds = 14;       // Seven colours, filled and hollow.

struct ScatterPoint {
  double x = 0;
  double y = 0;
  std::uint32_t origin = 0;  // position in `origins`
  std::uint32_t kind = 0;    // position in `kinds`
};

struct ScatterChart {
  std::string title;
  std::string x_title;
  std::string y_title;
  std::string origin_title;  // heads of the two legends, "hospital" and "class"
  std::string kind_title;
  std::vector<std::string> origins;
  std::vector<std::string> kinds;
  std::vector<ScatterPoint> points;
};

[[nodiscard]] Drawing DrawScatterChart(const ScatterChart& chart);

}  // namespace hemafed::report
