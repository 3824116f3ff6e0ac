// learning/features/extractor/cell_describer.h
// SPDX-License-Identifier: Apache-2.0
//
// From a picture to what AE-CFE's autoencoder is given: the detector's best scored box and its 256 x 14 x 14 features
// there, raw (published-systems 3.1 and 3.2; learning/features/autoencoder/autoencoder_inputs.h scales them). What both
// latents (cell_latents.h) and the autoencoder's training (cell_cache.h) begin with.
//
// Always one picture at a time and by one thread: the bits must not depend on company or on a setting.
//
// Errors: kInvalidInput for a detector whose features are not what autoencoders take, and pictures of another form;
// those of LoadDetector. Thread-safety: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <opencv2/core/types.hpp>
#include <optional>
#include <vector>

#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed::learning {

struct DescribedCell {
  std::vector<float> features;  // 50,176 values [C, H, W]; may be unusable (WhyNotUsable)
  cv::Rect2f box;               // in pixels of the picture as given
};

class CellDescriber {
 public:
  virtual ~CellDescriber() = default;

  // Names the detector, and the side that pictures are handed over as.
  [[nodiscard]] virtual const Digest& digest() const = 0;
  // Side in pixels of the square pictures that it takes.
  [[nodiscard]] virtual std::uint32_t side() const = 0;
  // Of one RGB picture, CV_8UC3 of side() x side(): the cell with the best score, or nothing where none is found.
  [[nodiscard]] virtual std::optional<DescribedCell> BestCell(const cv::Mat& rgb) const = 0;
  // As if the whole picture were a cell.
  [[nodiscard]] virtual std::vector<float> WholePicture(const cv::Mat& rgb) const = 0;
};

// A detector's file as detection/detector_file.h writes it. `side` in pixels.
[[nodiscard]] std::unique_ptr<const CellDescriber> LoadCellDescriber(FileSystem& files, const Path& detector,
                                                                     std::uint32_t side);

}  // namespace hemafed::learning
