// learning/features/cells/classical_segmenter.h
// SPDX-License-Identifier: Apache-2.0
//
// White blood cells by colour, Otsu thresholds, outlines and watershed: no training, no annotations. It is the baseline
// that a trained detector must beat, and what a lab without annotations uses.
//
// Works on the picture scaled to `working_side`; masks are scaled back. Steps:
//   1. Stain (stain.h): optical densities d relative to the background, alike for yellow and white light.
//   2. Nuclei: n = d_green + red_weight * d_red, since nuclei take both and red cells mostly green. Otsu once (stained
//   or
//      not), then again within the stained part (nucleus or not), never below min_nucleus_density. Parts closer than
//      lobe_gap are one nucleus; specks (platelets) go, and what takes too little red (red cells without any nucleus).
//   3. Evidence of each pixel for "cell": cell_log_density minus the log density under the picture's own background and
//      red cells, whichever is larger, cut to +-evidence_limit. Both are normal distributions of d: of what is hardly
//      stained, and of what is stained but farther than red_from from any nucleus.
//   4. Outline: from the middle of each nucleus, the star-shaped region (star_outline.h) that holds the nucleus, ends
//      within reach of it, and has most evidence inside and the steepest slope of d at its rim.
//   5. Lobes and neighbours: when an outline holds same_cell_share of another nucleus, both are taken as one nucleus (a
//      granulocyte's lobes), unless the common outline is not that of one cell: longer than max_elongation times its
//      width, or hollowed (below min_solidity of its convex hull). An outline like that around one nucleus is tried
//      again with the nucleus cut at its necks. Where outlines of different cells overlap, watershed from the nuclei
//      (cv::watershed; Meyer, 1992) divides the pixels.
//
// Score: 1 - exp(-(how much denser the nucleus is than the first Otsu threshold)), times the share of the outline that
// is not the picture's border; cells that are cut score less.
//
// Lengths whose name ends in _share are fractions of working_side; densities are natural logarithms.
//
// Deterministic: no random numbers, no dependence on threads. Errors: Error(kInvalidInput) for a picture that is empty
// or not CV_8UC3, and for settings out of range. Thread-safety: one object, one thread.
#pragma once

#include <string>
#include <vector>

#include "learning/features/cells/cell_finder.h"

namespace hemafed::learning {

// Chosen on training pictures of ../shared/data's domains by random search (docs/segment.md has the numbers).
struct ClassicalSettings {
  int working_side = 256;   // pixels of the longer side, 64 to 1024
  double blur_sigma = 0.6;  // pixels, before everything
  double red_weight = 0.6;  // step 2
  double min_nucleus_density = 0.4;
  double min_nucleus_red = 0.2;          // mean density of red in a nucleus; red cells take hardly any
  double min_nucleus_side_share = 0.05;  // side of the square with the smallest nucleus' area
  double lobe_gap_share = 0.054;
  double plain_density = 0.2;   // step 3: hardly stained is n below this share of the first Otsu threshold
  double plain_from = 0.79;     // and farther than this share of reach from any nucleus
  double red_density = 0.5;     // a red cell is n above this share of the first Otsu threshold
  double red_from = 1.13;       // and farther than this share of reach
  double red_nearness = 0.5;    // half squared distance, see ColourModel::HalfSquare
  double colour_spread = 0.02;  // density
  double cell_log_density = 3.1;
  double evidence_limit = 3.5;
  double reach_share = 0.2;  // step 4: how far cytoplasm reaches from its nucleus
  double slope_sigma = 2.2;  // pixels
  double slope_weight = 48.0;
  double same_cell_share = 0.08;  // step 5
  double max_elongation = 1.8;
  double min_solidity = 0.85;
  double min_cell_side_share = 0.1;  // side of the square with the smallest cell's area
};

class ClassicalSegmenter final : public CellFinder {
 public:
  explicit ClassicalSegmenter(const ClassicalSettings& settings = {});

  [[nodiscard]] std::vector<FoundCell> Find(const cv::Mat& rgb) override;
  // With a digest of all settings: cells that were found with others are not mixed with these.
  [[nodiscard]] std::string Description() const override;

 private:
  ClassicalSettings settings_;
};

}  // namespace hemafed::learning
