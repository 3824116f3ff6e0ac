// learning/features/cells/finder_score.h
// SPDX-License-Identifier: Apache-2.0
//
// How well a finder agrees with annotated pictures: what docs/results.md says per domain.
//
// Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "learning/features/cells/annotated_picture.h"
#include "learning/features/cells/cell_finder.h"
#include "learning/metrics/average_precision.h"

namespace hemafed::learning {

struct FinderScore {
  std::uint64_t pictures = 0;
  std::uint64_t with_none = 0, with_one = 0, with_several = 0;  // pictures by number of found cells
  std::uint64_t annotated = 0;                                  // cells
  std::uint64_t found = 0;    // annotated cells with a found cell of box IoU >= kFoundIou (overlap.h)
  std::uint64_t extra = 0;    // found cells that are no annotated one
  double box_iou_sum = 0.0;   // over annotated cells, 0 for those not found
  std::uint64_t masked = 0;   // annotated cells with masks
  double mask_iou_sum = 0.0;  // over those, 0 for those not found
  AveragePrecision boxes;     // COCO's, over all annotated cells
  AveragePrecision masks;     // over pictures with masks

  [[nodiscard]] double FoundShare() const {
    return annotated == 0 ? 0.0 : static_cast<double>(found) / static_cast<double>(annotated);
  }
  [[nodiscard]] double MeanBoxIou() const {
    return annotated == 0 ? 0.0 : box_iou_sum / static_cast<double>(annotated);
  }
  [[nodiscard]] double MeanMaskIou() const { return masked == 0 ? 0.0 : mask_iou_sum / static_cast<double>(masked); }
};

// Called with pictures done and in all; returns false to stop, which throws Error(kInterrupted).
using ScoreProgress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

// Adds up what was found in one picture after another. Holds numbers of each picture, no pixels.
class FinderTally {
 public:
  void Add(const AnnotatedPicture& picture, const std::vector<FoundCell>& found);
  [[nodiscard]] FinderScore Score() const;

 private:
  FinderScore score_;  // without average precisions
  std::vector<PictureOverlaps> boxes_, masks_;
};

// Finds the cells of one picture after another, in the order of the domain, and hands both over: masks of one picture
// are held at a time.
using FoundInPicture = std::function<void(const AnnotatedPicture& picture, std::vector<FoundCell> found)>;
void FindInDomain(CellFinder& finder, const AnnotatedDomain& domain, Split split, const FoundInPicture& take,
                  const ScoreProgress& progress = {});

[[nodiscard]] FinderScore ScoreFinder(CellFinder& finder, const AnnotatedDomain& domain, Split split,
                                      const ScoreProgress& progress = {});

}  // namespace hemafed::learning
