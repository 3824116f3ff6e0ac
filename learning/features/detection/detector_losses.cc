// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/detector_losses.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "common/error.h"

namespace hemafed::learning {

namespace {

void Require(bool holds, const char* what) {
  if (!holds) throw Error(ErrorCode::kInvalidInput, what);
}

}  // namespace

at::Tensor DetectorLosses::Total() const { return objectness + proposal_boxes + classes + boxes + masks; }

at::Tensor SmoothL1(const at::Tensor& difference, double switch_at) {
  Require(switch_at > 0.0, "smooth-L1: the switch must be above 0");
  const at::Tensor size = difference.abs();
  return at::where(size < switch_at, difference * difference * (0.5 / switch_at), size - 0.5 * switch_at);
}

at::Tensor ObjectnessLoss(const at::Tensor& logits, const at::Tensor& positive) {
  Require(logits.dim() == 1 && positive.scalar_type() == at::kBool && logits.sizes() == positive.sizes(),
          "objectness loss: needs logits [S] and one flag for each");
  if (positive.size(0) == 0) return logits.sum();
  return at::binary_cross_entropy_with_logits(logits, positive.to(logits.scalar_type()));
}

at::Tensor ClassLoss(const at::Tensor& logits, const at::Tensor& classes) {
  Require(logits.dim() == 2 && classes.dim() == 1 && logits.size(0) == classes.size(0),
          "class loss: needs logits [S,K] and one class for each");
  if (classes.size(0) == 0) return logits.sum();
  return at::cross_entropy_loss(logits, classes);
}

at::Tensor BoxLoss(const at::Tensor& deltas, const at::Tensor& targets, std::int64_t sampled, const BoxLossRule& rule) {
  Require(deltas.dim() == 2 && deltas.size(1) == 4 && deltas.sizes() == targets.sizes() && sampled >= deltas.size(0),
          "box loss: needs deltas and targets [P,4] of at most as many as were sampled");
  const std::int64_t divisor = rule.over_all_sampled ? sampled : 4 * deltas.size(0);
  return SmoothL1(deltas - targets, rule.switch_at).sum() / std::max<std::int64_t>(divisor, 1);
}

at::Tensor MaskLoss(const at::Tensor& logits, const at::Tensor& classes, const at::Tensor& targets) {
  Require(logits.dim() == 4 && targets.dim() == 3 && logits.size(0) == targets.size(0) &&
              logits.size(2) == targets.size(1) && logits.size(3) == targets.size(2),
          "mask loss: needs logits [P,K,side,side] and targets [P,side,side]");
  if (logits.size(0) == 0) return logits.sum();
  return at::binary_cross_entropy_with_logits(OfTrueClass(logits, classes), targets.to(logits.scalar_type()));
}

at::Tensor OfTrueClass(const at::Tensor& values, const at::Tensor& classes) {
  Require(values.dim() >= 2 && classes.dim() == 1 && classes.size(0) == values.size(0) &&
              classes.scalar_type() == at::kLong,
          "needs values [P,K,...] and one class for each");
  return values.index({at::arange(classes.size(0), classes.options()), classes});
}

}  // namespace hemafed::learning
