// learning/continual/strategies/finetuning.h
// SPDX-License-Identifier: Apache-2.0
//
// Fine-tuning: cross-entropy on the new task's pictures and nothing else. The lower bound of the published tables.
//
// Thread-safety: one thread.
#pragma once

#include "learning/continual/strategy.h"

namespace hemafed::learning {

class Finetuning final : public Strategy {
 public:
  explicit Finetuning(const StrategySettings&) {}
  [[nodiscard]] StrategyNeeds needs() const override { return {}; }
  [[nodiscard]] LossTerms Loss(const StepInput& input) override;
};

}  // namespace hemafed::learning
