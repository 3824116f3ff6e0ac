// learning/data/picture_sheet.h
// SPDX-License-Identifier: Apache-2.0
//
// Many pictures on one sheet, in rows and columns, with names: what a person looks at to see whether a step did what it
// should. And PNG files of pictures.
//
// Errors: Error(kInvalidInput) for sizes out of range or pictures that are not 8-bit RGB; kInternal if OpenCV fails.
// Thread-safety: free functions without state.
#pragma once

#include <opencv2/core/mat.hpp>
#include <opencv2/core/types.hpp>
#include <string>
#include <vector>

#include "common/bytes.h"

namespace hemafed::learning {

// Pixels of one sheet: 64 Mi take 192 MiB as RGB; viewers choke on more.
inline constexpr std::uint64_t kMaxSheetPixels = 64u << 20;

struct SheetTile {
  cv::Mat picture;      // CV_8UC3, RGB; scaled to the layout's tile
  std::string caption;  // below it, if the layout has captions; shortened in front to fit
};

struct SheetLayout {
  cv::Size tile;  // pixels of each tile
  int columns = 1;
  std::vector<std::string> headers;  // above the columns: none, or one for each
  std::vector<std::string> labels;   // left of the rows, written upwards: none, or one for each
  bool captions = false;
};

// RGB, white behind. Tiles are placed row by row; the last row may be short.
[[nodiscard]] cv::Mat DrawSheet(const SheetLayout& layout, const std::vector<SheetTile>& tiles);

// A PNG file of an RGB picture; level 1 is quick, 9 small: a third less for a chart. Where PNG files are made of
// pixels, they are made here.
[[nodiscard]] Bytes EncodePng(const cv::Mat& rgb, int level = 9);

}  // namespace hemafed::learning
