// learning/features/detection/detector_finder.h
// SPDX-License-Identifier: Apache-2.0
//
// A trained detector as a CellFinder (cells/cell_finder.h): in a command or study it takes the classical segmenter's
// place. Masks are pasted without rounding (exact_masks.h), one at a time.
//
// Errors: Error(kInvalidInput) for a picture that is not 8-bit RGB, or so large and with so many cells that their masks
// would take more than kMaxMaskBytes (detector_settings.h). Thread-safety: one finder, one thread.
#pragma once

#include <string>
#include <vector>

#include "learning/features/cells/cell_finder.h"
#include "learning/features/detection/detector.h"

namespace hemafed::learning {

class DetectorFinder final : public CellFinder {
 public:
  // Keeps detections whose score is at least `min_score`; the detector's own threshold acts before. `name` says which
  // detector it is: its file's digest, for example.
  DetectorFinder(Detector detector, double min_score, std::string name);

  [[nodiscard]] std::vector<FoundCell> Find(const cv::Mat& rgb) override;
  [[nodiscard]] std::string Description() const override;
  [[nodiscard]] const Detector& detector() const { return detector_; }

 private:
  Detector detector_;
  double min_score_;
  std::string name_;
};

}  // namespace hemafed::learning
