// learning/data/synthetic/contact_sheet.h
// SPDX-License-Identifier: Apache-2.0
//
// One picture that shows what the generator draws: a row for each hospital, a column for each class, several samples in
// each cell, with names. Goes into the documentation (docs/images/synthetic_smears.png).
//
// Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>

#include "common/bytes.h"

namespace hemafed::learning::synthetic {

struct ContactSheetSettings {
  std::uint64_t seed = 0;
  std::uint32_t samples = 2;   // of each hospital and class, 1 to 8, side by side
  std::uint32_t tile_px = 96;  // side of a sample, 32 to 256
};

// RGB. Throws Error(kInvalidInput) outside the ranges above.
[[nodiscard]] cv::Mat DrawContactSheet(const ContactSheetSettings& settings);
// The same as a PNG file. Grey levels are rounded to multiples of 4, which halves the file and is not seen.
[[nodiscard]] Bytes EncodeContactSheet(const ContactSheetSettings& settings);

}  // namespace hemafed::learning::synthetic
