// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/target_matching.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <tuple>

#include "common/error.h"
#include "learning/features/detection/boxes.h"

namespace hemafed::learning {

at::Tensor MatchBoxes(const at::Tensor& truth, const at::Tensor& candidates, const MatchRule& rule) {
  const at::NoGradGuard no_gradients;
  RequireBoxes(truth, "true boxes");
  RequireBoxes(candidates, "candidate boxes");
  if (!(rule.negative >= 0.0 && rule.negative <= rule.positive && rule.positive <= 1.0)) {
    throw Error(ErrorCode::kInvalidInput, "matching rule: needs 0 <= negative <= positive <= 1");
  }
  const auto places = at::TensorOptions().dtype(at::kLong).device(candidates.device());
  if (truth.size(0) == 0 || candidates.size(0) == 0) return at::full({candidates.size(0)}, kBackground, places);

  const at::Tensor overlaps = IouMatrix(truth, candidates);
  const at::Tensor best = std::get<0>(overlaps.max(0));
  // max() may name any of several equal ones; the first true box that reaches the maximum is a rule.
  const at::Tensor owner = (overlaps == best.unsqueeze(0)).to(at::kByte).argmax(0);
  at::Tensor matches = at::where(best >= rule.positive, owner, at::full_like(owner, kIgnored));
  matches = at::where(best < rule.negative, at::full_like(owner, kBackground), matches);
  if (rule.best_of_each_truth) {
    const at::Tensor of_truth = std::get<0>(overlaps.max(1, true));
    const at::Tensor kept = ((overlaps == of_truth) & (overlaps > 0)).any(0);
    matches = at::where(kept, owner, matches);
  }
  return matches;
}

}  // namespace hemafed::learning
