// common/report/series_style.h
// SPDX-License-Identifier: Apache-2.0
//
// How the n-th series of a chart looks. Colour never carries the meaning alone: dash and marker (lines) or hatching
// (bars) differ too, so that charts survive colour blindness and black-and-white print.
//
// Colours: Okabe and Ito, "Color Universal Design" (2008), without yellow, which vanishes on white. The cycles have 7
// colours, 8 markers and 4 dashes, so the first 56 series are all different.
//
// Thread-safety: free functions without state.
#pragma once

#include <cstddef>
#include <vector>

#include "common/report/drawing.h"

namespace hemafed::report {

inline constexpr std::size_t kDistinctStyles = 56;

enum class MarkerShape { kCircle, kSquare, kTriangle, kDiamond, kDownTriangle, kPentagon, kStar, kPlus };
enum class Hatch { kNone, kRising, kFalling, kHorizontal, kCrossed };

struct SeriesStyle {
  Colour colour;
  std::vector<double> dash;
  MarkerShape marker = MarkerShape::kCircle;
  Hatch hatch = Hatch::kNone;
};

[[nodiscard]] SeriesStyle StyleOf(std::size_t series);

// A marker about 2 · `radius` wide, with a thin white rim so that it stands out on crossing lines.
void AddMarker(Drawing& drawing, Point at, double radius, const SeriesStyle& style);

// A bar or legend key: the filled box with its hatching in white.
void AddHatchedBox(Drawing& drawing, Point corner, double width, double height, const SeriesStyle& style);

// Parts of the straight lines that hatch a box, clipped to it; each has two points.
[[nodiscard]] std::vector<std::vector<Point>> HatchLines(Point corner, double width, double height, Hatch hatch);

}  // namespace hemafed::report
