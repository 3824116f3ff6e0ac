// learning/continual/strategies/derpp.h
// SPDX-License-Identifier: Apache-2.0
//
// DER++ (Buzzega et al., "Dark Experience for General Continual Learning", NeurIPS 2020, eq. 6): rehearsal of the
// model's own earlier answers and of labels, each on exemplars of its own draw:
//
//     loss = CE(batch) + alpha * D(exemplars') + beta * CE(exemplars'')
//
// D (stored_logits.h): squared distance between the logits now and the stored ones, over the classes that were known
// when they were stored: the mean over pictures and classes as in the authors' code, or with der_sum_over_classes the
// sum over classes as printed. Exemplars' logits within one batch may know different numbers of classes; each picture
// then averages over its own.
//
// Which pictures are kept is the study's choice as for every method here (quotas of exemplar_store.h); the paper
// samples its buffer from the stream and stores logits while training, we store the logits of un-augmented exemplars
// when their task ends.
//
// Thread-safety: one thread.
#pragma once

#include <map>
#include <vector>

#include "learning/continual/stored_logits.h"
#include "learning/continual/strategy.h"

namespace hemafed::learning {

class DerPp final : public Strategy {
 public:
  explicit DerPp(const StrategySettings& settings) : settings_(settings) {}
  [[nodiscard]] StrategyNeeds needs() const override { return {.rehearsal = Rehearsal::kSeparate, .memory_draws = 2}; }
  [[nodiscard]] LossTerms Loss(const StepInput& input) override;
  void AfterTask(const TaskContext& context) override;
  void Withdraw(const Classifier& model, const Digest& digest, PictureView* picture) override;
  [[nodiscard]] StrategyState State() const override;
  void SetState(const StrategyState& state, const Classifier& initial) override;

  [[nodiscard]] const std::map<ExemplarKey, std::vector<float>>& logits() const { return logits_; }

 private:
  StrategySettings settings_;
  std::map<ExemplarKey, std::vector<float>> logits_;
};

}  // namespace hemafed::learning
