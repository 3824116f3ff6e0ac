// learning/continual/strategies/icarl.h
// SPDX-License-Identifier: Apache-2.0
//
// iCaRL (Rebuffi et al., CVPR 2017) as UACL's lineage runs it: the same loss as uacl.h (cross-entropy on labels, binary
// cross-entropy against the teacher's sigmoids on old classes; the original has sigmoids for both), all exemplars by
// herding with normalised features, prediction by the nearest mean of exemplars.
//
// Thread-safety: one thread.
#pragma once

#include "learning/continual/strategy.h"

namespace hemafed::learning {

class Icarl final : public Strategy {
 public:
  explicit Icarl(const StrategySettings& settings) : gamma_(settings.gamma) {}
  [[nodiscard]] StrategyNeeds needs() const override {
    return {.rehearsal = Rehearsal::kJoined,
            .teacher = true,
            .mix = ExemplarMix::kHerding,
            .prediction = Prediction::kNearestMean};
  }
  [[nodiscard]] LossTerms Loss(const StepInput& input) override;

 private:
  double gamma_;
};

}  // namespace hemafed::learning
