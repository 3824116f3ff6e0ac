// learning/continual/strategies/cls_er.h
// SPDX-License-Identifier: Apache-2.0
//
// CLS-ER (Arani, Sarfraz, Zonooz, "Learning Fast, Learning Slow: A General Continual Learning Method based on
// Complementary Learning Systems", ICLR 2022): beside the working model W two slow ones, plastic P and stable S, each a
// running mean of W that is brought forward now and then. After step t = 0, 1, ... of the whole run, for each of P
// and S with its decay a and rate r, with probability r:
//
//     a_t = min(1 - 1/(t + 1), a);      theta_slow = a_t theta_slow + (1 - a_t) theta_W          (every tensor)
//
// The loss pulls W towards the slow model that knows an exemplar better (higher softmax probability of its label):
//
//     loss = CE(batch and exemplars) + weight * mean over exemplars and classes of (z_W - z_slow)^2
//
// Predictions are S's. The choice whether a step updates is word 0 (P) or 1 (S) of Philox(DeriveSeed(task seed,
// "cls_er"), step of the task) below rate 2^32. Running statistics follow like weights.
//
// A head that grows gives both slow models W's new rows. The last exemplar batch is measured on the working model with
// its dropout, on the slow ones without.
//
// Thread-safety: one thread.
#pragma once

#include <optional>

#include "learning/continual/strategy.h"

namespace hemafed::learning {

// Moves `slow` towards `fast` as in the formula; `decay` is a_t.
void MoveTowards(Classifier& slow, const Classifier& fast, double decay);
// Row n of the result is the row of `plastic` or `stable` that gives label n the higher softmax probability; stable if
// equal.
[[nodiscard]] at::Tensor BetterAnswers(const at::Tensor& plastic, const at::Tensor& stable, const at::Tensor& labels);

class ClsEr final : public Strategy {
 public:
  explicit ClsEr(const StrategySettings& settings) : settings_(settings) {}
  [[nodiscard]] StrategyNeeds needs() const override { return {.rehearsal = Rehearsal::kSeparate}; }
  void BeforeTask(const TaskContext& context) override;
  [[nodiscard]] LossTerms Loss(const StepInput& input) override;
  void AfterStep(const TaskContext& context, std::uint32_t step) override;
  [[nodiscard]] at::Tensor Scores(const Classifier& model, const at::Tensor& pictures) const override;
  [[nodiscard]] StrategyState State() const override;
  void SetState(const StrategyState& state, const Classifier& initial) override;

  [[nodiscard]] const std::optional<Classifier>& stable() const { return stable_; }
  [[nodiscard]] const std::optional<Classifier>& plastic() const { return plastic_; }

 private:
  StrategySettings settings_;
  std::optional<Classifier> plastic_;
  std::optional<Classifier> stable_;
  std::int64_t steps_ = 0;  // of the whole run
};

}  // namespace hemafed::learning
