// learning/continual/strategies/uacl.h
// SPDX-License-Identifier: Apache-2.0
//
// UACL (Sadafi, Salehi et al., "A Continual Learning Approach for Cross-Domain White Blood Cell Classification", 2023):
// the loss of uacl_loss.h over the task's pictures and the exemplars alike, the teacher being the model from before the
// task; exemplars are chosen half by herding and half by uncertainty (exemplar_store.h). No distillation in the first
// task. Prediction by softmax over all classes so far; the paper does not say (Prediction offers the others).
//
// Thread-safety: one thread.
#pragma once

#include "learning/continual/strategy.h"

namespace hemafed::learning {

class Uacl final : public Strategy {
 public:
  explicit Uacl(const StrategySettings& settings) : gamma_(settings.gamma) {}
  [[nodiscard]] StrategyNeeds needs() const override {
    return {.rehearsal = Rehearsal::kJoined, .teacher = true, .mix = ExemplarMix::kBoth};
  }
  [[nodiscard]] LossTerms Loss(const StepInput& input) override;

 private:
  double gamma_;
};

}  // namespace hemafed::learning
