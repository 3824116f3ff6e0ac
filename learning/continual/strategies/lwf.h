// learning/continual/strategies/lwf.h
// SPDX-License-Identifier: Apache-2.0
//
// Learning without forgetting (Li, Hoiem, ECCV 2016), with one head for all classes:
//
//     loss = CE + lwf_weight * KD,    KD = mean over pictures of  - sum over old classes j of q_j log p_j,
//     q = softmax(z'_old / T),  p = softmax(z_old / T)
//
// z': logits of the model from before the task on the very same pictures; T = 2; no exemplars. As printed there is no
// factor T^2 (Hinton et al. have one). Where the paper has a head for each task, ours shares one: CE runs over all
// classes so far, q and p over the old ones. The loss has a floor, the entropy of q.
//
// Errors: Error(kInvalidInput) if shapes do not fit. Thread-safety: one thread.
#pragma once

#include "learning/continual/softmax_distillation.h"
#include "learning/continual/strategy.h"

namespace hemafed::learning {

class Lwf final : public Strategy {
 public:
  explicit Lwf(const StrategySettings& settings) : settings_(settings) {}
  [[nodiscard]] StrategyNeeds needs() const override { return {.teacher = true}; }
  [[nodiscard]] LossTerms Loss(const StepInput& input) override;

 private:
  StrategySettings settings_;
};

}  // namespace hemafed::learning
