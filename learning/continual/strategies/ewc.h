// learning/continual/strategies/ewc.h
// SPDX-License-Identifier: Apache-2.0
//
// Elastic weight consolidation (Kirkpatrick et al., PNAS 2017), with the weights of UACL's comparison (there lr 3e-4):
//
//     loss = (1 - lambda) CE + lambda * importance * sum over old tasks t, parameters i of F_ti (theta_i - theta*_ti)^2
//
// and CE alone in the first task; held_weights.h has the penalty, fisher_information.h has F, measured on task t's
// un-augmented pictures when the task ends.
//
// Different from the code that UACL grew from, which measures F on the new task's pictures, in training mode, and holds
// on to the last task only (that last choice is EwcAnchors::kLast).
//
// Thread-safety: one thread.
#pragma once

#include "learning/continual/fisher_information.h"
#include "learning/continual/held_weights.h"
#include "learning/continual/strategy.h"

namespace hemafed::learning {

class Ewc final : public Strategy {
 public:
  explicit Ewc(const StrategySettings& settings) : settings_(settings) {}
  [[nodiscard]] StrategyNeeds needs() const override { return {}; }
  [[nodiscard]] LossTerms Loss(const StepInput& input) override;
  void AfterTask(const TaskContext& context) override;
  [[nodiscard]] StrategyState State() const override;
  void SetState(const StrategyState& state, const Classifier& initial) override;

  // sum over old tasks of F (theta - theta*)^2, as a float64 scalar.
  [[nodiscard]] at::Tensor Penalty(const Classifier& model) const { return held_.Penalty(model); }

 private:
  StrategySettings settings_;
  HeldWeights held_;  // empty before the first task's end
};

}  // namespace hemafed::learning
