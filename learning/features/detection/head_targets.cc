// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/head_targets.h"

#include <ATen/ATen.h>

#include "learning/features/detection/boxes.h"

namespace hemafed::learning {

namespace {

at::Tensor WithExtent(DetectorForm form, const at::Tensor& boxes) {
  const at::Tensor corners = LastPixelCorners(form, boxes);
  const at::Tensor sides = corners.slice(1, 2, 4) - corners.slice(1, 0, 2);
  return boxes.index_select(0, at::nonzero((sides > 0).all(1)).squeeze(1));
}

}  // namespace

HeadTargets MakeHeadTargets(DetectorForm form, const at::Tensor& proposals, const at::Tensor& truth,
                            const at::Tensor& labels, const TargetRules& rules, RandomStream random) {
  const at::Tensor candidates = rules.truth_joins_proposals ? at::cat({proposals, WithExtent(form, truth)}) : proposals;
  const at::Tensor corners = LastPixelCorners(form, candidates), true_corners = LastPixelCorners(form, truth);
  const at::Tensor matches = MatchBoxes(true_corners, corners, rules.head_match);
  const SampledTargets sampled = SampleTargets(matches, rules.head_sample, random);
  const at::Tensor owners = matches.index_select(0, sampled.positive);
  return {.boxes = candidates.index_select(0, sampled.All()),
          .classes = at::cat({labels.index_select(0, owners), at::zeros_like(sampled.negative)}),
          .owners = owners,
          .deltas = EncodeBoxes(true_corners.index_select(0, owners), corners.index_select(0, sampled.positive),
                                HeadCoding(form))};
}

}  // namespace hemafed::learning
