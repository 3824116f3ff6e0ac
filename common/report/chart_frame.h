// common/report/chart_frame.h
// SPDX-License-Identifier: Apache-2.0
//
// What line and bar charts share: background, title, axes with grid and labels, legend. The caller draws its data into
// the plot area of the returned frame.
//
// Long texts are shortened with an ellipsis; labels that would collide are turned, and thinned out when even that is
// not enough. Thread-safety: value types and free functions without state.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/report/axis.h"
#include "common/report/drawing.h"
#include "common/report/series_style.h"

namespace hemafed::report {

// More series could not be told apart (series_style.h).
inline constexpr std::size_t kMaxChartSeries = kDistinctStyles;
// Characters of a label or series name; the longest common class name has 20.
inline constexpr std::size_t kMaxLabelPoints = 32;

inline constexpr Colour kInk{0x22, 0x22, 0x22};
inline constexpr Colour kFaintInk{0x60, 0x60, 0x60};
inline constexpr Colour kGrid{0xDD, 0xDD, 0xDD};
inline constexpr Colour kPaper{0xFF, 0xFF, 0xFF};
inline constexpr Colour kNoFill{0, 0, 0, 0};
inline constexpr double kLabelSize = 12;
inline constexpr double kTitleSize = 16;

enum class LegendKey { kLine, kBox };

struct XLabel {
  double part = 0;  // 0 at the left border of the plot area, 1 at the right.
  std::string text;
};

struct FrameSpec {
  std::string title;
  std::string x_title;
  std::string y_title;
  Axis y;
  std::vector<XLabel> x_labels;     // Ascending by part.
  bool grid_at_x_labels = false;    // Vertical lines, for numeric axes.
  std::vector<std::string> legend;  // One name for each series, in the order of StyleOf; empty: no legend.
  LegendKey key = LegendKey::kLine;
  double plot_width = 560;  // Pixels, like all lengths here.
  double plot_height = 320;
  // Room to the right of the plot area for a legend that the caller draws; taken in place of `legend`.
  double side_width = 0;
  double side_height = 0;
};

struct Frame {
  Drawing drawing;
  Point corner;  // Upper left of the plot area.
  double width = 0;
  double height = 0;
  Axis y;

  [[nodiscard]] double X(double part) const { return corner.x + part * width; }
  [[nodiscard]] double Y(double value) const { return corner.y + (1 - y.Part(value)) * height; }
};

[[nodiscard]] Frame MakeFrame(const FrameSpec& spec);

// kInvalidInput: "chart '<title>': <problem>".
[[noreturn]] void FailChart(std::string_view title, const std::string& problem);

}  // namespace hemafed::report
