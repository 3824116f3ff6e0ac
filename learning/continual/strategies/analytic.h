// learning/continual/strategies/analytic.h
// SPDX-License-Identifier: Apache-2.0
//
// The analytic head: no gradient steps at all. The trunk stays as it was given; features are lifted by fixed random
// weights, and the head is ridge regression on one-hot labels, solved in closed form from sums that add up over tasks
// (RanPAC, McDonnell et al., NeurIPS 2023, eqs. 5-7; ACIL, Zhuang et al., NeurIPS 2022):
//
//     phi(x) = ReLU(R psi(x)),   R [M, d] from the run's seed, of variance 1 / d (learning/continual/random_features.h)
//     G = sum phi phi^T,  Q = sum phi onehot(y)^T  over all pictures of all tasks;      W = (G + ridge I)^-1 Q
//
// Sums and solve are in float64, so the result is that of one ridge regression over all pictures, in whatever order
// the tasks came, up to rounding (published-systems and design 11.7: forgetting is measured, not assumed zero).
// Pictures are not augmented and seen once. Nothing of a single picture is kept; a withdrawn picture that can still be
// read is subtracted from both sums, exactly up to rounding.
//
// A federation rounds features and solves in its own arithmetic, so that everybody gets the same bytes
// (codec/feature_sums.h, codec/ridge_head.h); here one program does everything, and float64 without rounding is the
// plain formula.
//
// The authors pick the ridge on held-out pictures of the first task; ours is a setting. R's scale differs from theirs
// by 1 / sqrt(d), which multiplies G by 1 / d: a ridge of theirs divided by d is ours.
//
// Memory: M^2 + M C float64 (M = 2,048: 34 MB). Thread-safety: one thread.
#pragma once

#include "learning/continual/strategy.h"

namespace hemafed::learning {

class Analytic final : public Strategy {
 public:
  explicit Analytic(const StrategySettings& settings) : settings_(settings) {}
  [[nodiscard]] StrategyNeeds needs() const override { return {.trains = false}; }
  // Never asked for: there are no steps.
  [[nodiscard]] LossTerms Loss(const StepInput& input) override;
  void AfterTask(const TaskContext& context) override;
  // W phi(x): not probabilities, but the largest wins.
  [[nodiscard]] at::Tensor Scores(const Classifier& model, const at::Tensor& pictures) const override;
  void Withdraw(const Classifier& model, const Digest& digest, PictureView* picture) override;
  [[nodiscard]] StrategyState State() const override;
  void SetState(const StrategyState& state, const Classifier& initial) override;

  [[nodiscard]] const at::Tensor& weights() const { return weights_; }  // W [M, C], float64

 private:
  [[nodiscard]] at::Tensor Lifted(const Classifier& model, const at::Tensor& pictures) const;
  void Add(const Classifier& model, const Batch& batch, double sign);
  void Solve();

  StrategySettings settings_;
  at::Tensor projection_;  // R; undefined before the first task
  at::Tensor moments_;     // G
  at::Tensor targets_;     // Q
  at::Tensor weights_;     // W
};

}  // namespace hemafed::learning
