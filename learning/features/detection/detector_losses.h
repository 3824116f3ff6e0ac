// learning/features/detection/detector_losses.h
// SPDX-License-Identifier: Apache-2.0
//
// The five losses of Mask R-CNN (K. He et al., ICCV 2017, with S. Ren et al., Faster R-CNN, NIPS 2015), all with weight
// 1. Over the sampled anchors or proposals (target_sampling.h) of all pictures of a batch:
//
//     objectness   mean binary cross-entropy of "is there a cell" (a softmax over two logits is the same, of their
//                  difference)
//     class        mean cross-entropy over the classes, background included
//     boxes        over positives: sum of smooth-L1 of the four delta differences, divided by a number (below)
//     mask         mean binary cross-entropy over the positives' pixels, of the true class's mask only
//
//     smooth-L1(d) = d^2 / (2 b) where |d| < b,   |d| - b / 2 elsewhere         (R. Girshick, Fast R-CNN, 2015, eq. 3)
//
//     torchvision  b = 1/9, divided by the number of sampled, negatives included
//     published    b = 1 (0.5 gives 0.125, 1 gives 0.5, 2 gives 1.5), divided by 4 times the number of positives
//
// Without a positive a box or mask loss is 0 and its gradients are 0.
//
// Errors: Error(kInvalidInput) for tensors of another form. Thread-safety: free functions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hemafed::learning {

struct BoxLossRule {
  double switch_at = 1.0 / 9.0;  // b
  bool over_all_sampled = true;  // divisor: the sampled; otherwise 4 * positives

  [[nodiscard]] static BoxLossRule Torchvision() { return {}; }
  [[nodiscard]] static BoxLossRule Published() { return {1.0, false}; }
};

// Scalars with gradients; not averaged over anything further.
struct DetectorLosses {
  at::Tensor objectness, proposal_boxes, classes, boxes, masks;

  [[nodiscard]] at::Tensor Total() const;
};

// Element by element.
[[nodiscard]] at::Tensor SmoothL1(const at::Tensor& difference, double switch_at);

// `logits` [S]; `positive` bool [S].
[[nodiscard]] at::Tensor ObjectnessLoss(const at::Tensor& logits, const at::Tensor& positive);

// `logits` [S,K]; `classes` int64 [S], 0 for background.
[[nodiscard]] at::Tensor ClassLoss(const at::Tensor& logits, const at::Tensor& classes);

// Deltas and targets of the positives [P,4]; `sampled` counts negatives too.
[[nodiscard]] at::Tensor BoxLoss(const at::Tensor& deltas, const at::Tensor& targets, std::int64_t sampled,
                                 const BoxLossRule& rule);

// `logits` [P,K,side,side]; `classes` int64 [P]; `targets` [P,side,side] in 0..1.
[[nodiscard]] at::Tensor MaskLoss(const at::Tensor& logits, const at::Tensor& classes, const at::Tensor& targets);

// [P,...] of values [P,K,...]: for each row the entry of its class.
[[nodiscard]] at::Tensor OfTrueClass(const at::Tensor& values, const at::Tensor& classes);

}  // namespace hemafed::learning
