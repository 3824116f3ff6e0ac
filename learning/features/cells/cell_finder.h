// learning/features/cells/cell_finder.h
// SPDX-License-Identifier: Apache-2.0
//
// Whatever finds cells in a picture: the classical segmenter (classical_segmenter.h) or a trained detector. Commands
// and studies take a CellFinder and do not care which.
//
// Thread-safety: one finder belongs to one thread.
#pragma once

#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "learning/features/cells/found_cell.h"

namespace hemafed::learning {

class CellFinder {
 public:
  virtual ~CellFinder() = default;

  // Cells of one picture (RGB, CV_8UC3, not empty), best score first; none is an answer, not an error.
  [[nodiscard]] virtual std::vector<FoundCell> Find(const cv::Mat& rgb) = 0;
  // What found them, with everything that changes the result, in one line without line ends. Results that were kept
  // under another description are not mixed with new ones.
  [[nodiscard]] virtual std::string Description() const = 0;
};

}  // namespace hemafed::learning
