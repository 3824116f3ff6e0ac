// learning/continual/strategies/joint.h
// SPDX-License-Identifier: Apache-2.0
//
// The upper bound: for every task the model starts again from the first weights and is trained with cross-entropy on
// all pictures of all tasks so far. Its epochs are epochs over all of them.
//
// Thread-safety: one thread.
#pragma once

#include "learning/continual/strategy.h"

namespace hemafed::learning {

class Joint final : public Strategy {
 public:
  explicit Joint(const StrategySettings&) {}
  [[nodiscard]] StrategyNeeds needs() const override { return {.rehearsal = Rehearsal::kAll, .restarts = true}; }
  [[nodiscard]] LossTerms Loss(const StepInput& input) override;
};

}  // namespace hemafed::learning
