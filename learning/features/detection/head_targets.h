// learning/features/detection/head_targets.h
// SPDX-License-Identifier: Apache-2.0
//
// What the box head learns from one picture: which of its proposals are sampled, their classes, and the deltas that
// take the positives to their true boxes.
//
// Everything about boxes is asked of LastPixelCorners (detector.h): the published code overlaps and codes boxes of
// normalised coordinates, where x1 and y1 are one pixel less. A box of one pixel or less then has no extent there: it
// overlaps nothing, so it is never a positive and never a positive's true box, and log(0) cannot occur. True boxes like
// that do not join the proposals either, where they could only train as background.
//
// Shapes: boxes [n, 4] in the frame. Errors: those of target_matching.h and target_sampling.h.
// Thread-safety: free function.
#pragma once

#include <ATen/core/Tensor.h>

#include "common/random.h"
#include "learning/features/detection/detector.h"
#include "learning/features/detection/detector_training_settings.h"

namespace hemafed::learning {

struct HeadTargets {
  at::Tensor boxes;    // [S, 4]: sampled proposals, positives first
  at::Tensor classes;  // int64 [S], 0 for background
  at::Tensor owners;   // int64 [P]: the true box of each positive
  at::Tensor deltas;   // [P, 4]: targets of the positives, coded as HeadCoding says
};

// `proposals` without gradients, all finite; `truth` with one label for each.
[[nodiscard]] HeadTargets MakeHeadTargets(DetectorForm form, const at::Tensor& proposals, const at::Tensor& truth,
                                          const at::Tensor& labels, const TargetRules& rules, RandomStream random);

}  // namespace hemafed::learning
