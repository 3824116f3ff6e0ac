// studies/report/gallery_chart.h
// SPDX-License-Identifier: Apache-2.0
//
// Rows of small pictures with captions: which exemplars were picked for each class, and why; which cells were mistaken.
//
// A row has a name at its left (domain and class, say) and up to kMaxGalleryColumns pictures; each picture is a PNG or
// JPEG file of at least 16 × 16 pixels (thumbnail.h makes them), shown in a square of `tile` pixels, with up to two
// caption lines beneath.
//
// Errors: kInvalidInput, naming row and picture, for a file that is neither PNG nor JPEG, no rows, or too many rows or
// pictures. Thread-safety: value types and a free function without state.
#pragma once

#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/report/drawing.h"
#include "studies/report/report_names.h"

namespace hemafed::studies {

// With the largest tiles and the widest captions a drawing stays below kMaxDrawingSide. More rows need several
// galleries.
inline constexpr std::size_t kMaxGalleryRows = 24;
inline constexpr std::size_t kMaxGalleryColumns = 20;

struct GalleryPicture {
  Bytes file;
  std::string caption;  // "herding 3"
  std::string detail;   // "distance 0.412"
};

struct GalleryRow {
  std::string name;
  std::string detail;  // "raabin, 20 of 94"
  std::vector<GalleryPicture> pictures;
};

struct GalleryChart {
  std::string title;
  std::vector<GalleryRow> rows;
  double tile = 72;  // Pixels, 32 to 128. Columns are wider where captions need it.
};

[[nodiscard]] Drawing DrawGallery(const GalleryChart& gallery);

}  // namespace hemafed::studies
