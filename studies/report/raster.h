// studies/report/raster.h
// SPDX-License-Identifier: Apache-2.0
//
// A drawing as pixels, through OpenCV's lines, polygons and stroke letters: no font or graphics library is needed.
// Everything is drawn at twice the wanted size and averaged down, which smooths what OpenCV's own smoothing leaves.
//
// Letters are Hershey's (OpenCV's "simplex"), scaled to Helvetica's widths so that the layout agrees with the SVG. They
// cover ASCII; plus-minus, dashes, the multiplication sign, the middle dot and the ellipsis are drawn, other characters
// appear as "?".
//
// Errors: kInvalidInput for a scale out of range and for a picture that does not decode; kInternal if OpenCV fails.
// Thread-safety: free functions without state.
#pragma once

#include <opencv2/core/mat.hpp>

#include "common/bytes.h"
#include "common/report/drawing.h"
#include "studies/report/report_names.h"

namespace hemafed::studies {

// Pixels for one unit of the drawing. Two are sharp on high-density screens and in print at half width.
inline constexpr double kDefaultScale = 2;
inline constexpr double kMaxScale = 4;
// Pixels of the enlarged picture: 300 MB at three bytes each.
inline constexpr double kMaxRasterPixels = 1e8;

// 8-bit RGB.
[[nodiscard]] cv::Mat RenderPixels(const Drawing& drawing, double scale = kDefaultScale);
// The same as a PNG file.
[[nodiscard]] Bytes RenderPng(const Drawing& drawing, double scale = kDefaultScale);

}  // namespace hemafed::studies
