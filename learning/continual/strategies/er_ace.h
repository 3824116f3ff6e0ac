// learning/continual/strategies/er_ace.h
// SPDX-License-Identifier: Apache-2.0
//
// ER-ACE (Caccia et al., "New Insights on Reducing Abrupt Representation Change in Online Continual Learning", ICLR
// 2022): rehearsal with an asymmetric cross-entropy,
//
//     loss = CE(batch; C_curr) + CE(exemplars; all classes so far)
//
// The first term's softmax runs over C_curr only, so new pictures do not push old classes' features away. C_curr: the
// classes present in the batch (AceClasses::kBatch, the authors' code), or all of the task's (kTask). In the first task
// the softmax is over all classes and there is no second term.
//
// Thread-safety: one thread.
#pragma once

#include "learning/continual/strategy.h"

namespace hemafed::learning {

// Cross-entropy whose softmax runs over `rows` only; every label is one of them.
[[nodiscard]] at::Tensor CrossEntropyOver(const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& rows);

class ErAce final : public Strategy {
 public:
  explicit ErAce(const StrategySettings& settings) : settings_(settings) {}
  [[nodiscard]] StrategyNeeds needs() const override { return {.rehearsal = Rehearsal::kSeparate}; }
  [[nodiscard]] LossTerms Loss(const StepInput& input) override;

 private:
  StrategySettings settings_;
};

}  // namespace hemafed::learning
