// learning/continual/strategies/weight_alignment.h
// SPDX-License-Identifier: Apache-2.0
//
// Weight alignment, "WA" (Zhao et al., "Maintaining Discrimination and Fairness in Class Incremental Learning", CVPR
// 2020). Training mixes exemplars into the task's pictures:
//
//     loss = (1 - s) CE + s KD,    s = C_old / C,    KD as in softmax_distillation.h with T = 2
//
// and CE alone in the first task. After training the head's new rows are made as long as the old ones are:
//
//     w_new *= mean over old rows of |w| / mean over new rows of |w|
//
// Biases stay. A task without new classes changes no row. With wa_clip the head's weights are kept at or above 0 after
// every step, the paper's way to tie lengths to logits; off by default, because rows from imported trunks with ReLU6
// start symmetric around 0 and half of what they know would be lost.
//
// Thread-safety: one thread.
#pragma once

#include "learning/continual/softmax_distillation.h"
#include "learning/continual/strategy.h"

namespace hemafed::learning {

// Scales rows old_classes.. of weight [C, d] in place; returns the factor, 1 if there are no old or no new rows or a
// mean length is 0.
double AlignNewRows(at::Tensor weight, std::int64_t old_classes);

class WeightAlignment final : public Strategy {
 public:
  explicit WeightAlignment(const StrategySettings& settings) : settings_(settings) {}
  [[nodiscard]] StrategyNeeds needs() const override {
    return {.rehearsal = Rehearsal::kJoined, .teacher = true, .mix = ExemplarMix::kHerding};
  }
  [[nodiscard]] LossTerms Loss(const StepInput& input) override;
  void AfterStep(const TaskContext& context, std::uint32_t step) override;
  void AfterTraining(const TaskContext& context) override;

 private:
  StrategySettings settings_;
};

}  // namespace hemafed::learning
