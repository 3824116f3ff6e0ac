// learning/continual/strategies/replay.h
// SPDX-License-Identifier: Apache-2.0
//
// Plain rehearsal (experience replay; Chaudhry et al., "On Tiny Episodic Memories in Continual Learning", 2019,
// Algorithm 1): every batch of the task is joined by a batch of exemplars, and the loss is the cross-entropy over both:
// the mean over all their pictures.
//
// Thread-safety: one thread.
#pragma once

#include "learning/continual/strategy.h"

namespace hemafed::learning {

class Replay final : public Strategy {
 public:
  explicit Replay(const StrategySettings&) {}
  [[nodiscard]] StrategyNeeds needs() const override { return {.rehearsal = Rehearsal::kSeparate}; }
  [[nodiscard]] LossTerms Loss(const StepInput& input) override;
};

// The batch and, if there are exemplars, those of slot 1 behind it.
[[nodiscard]] Batch WithMemory(const StepInput& input);

}  // namespace hemafed::learning
