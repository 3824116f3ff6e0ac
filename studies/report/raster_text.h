// studies/report/raster_text.h
// SPDX-License-Identifier: Apache-2.0
//
// The letters of raster.h: one line of text as a coverage mask, turned and blended onto a picture.
//
// Thread-safety: free functions without state.
#pragma once

#include <opencv2/core/mat.hpp>

#include "common/report/drawing.h"
#include "studies/report/report_names.h"

namespace hemafed::studies {

// `canvas`: 8-bit RGB with `scale` pixels for one unit of the drawing.
void DrawText(cv::Mat& canvas, const Text& text, double scale);

}  // namespace hemafed::studies
