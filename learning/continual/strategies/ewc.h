// learning/continual/strategies/ewc.h
// SPDX-License-Identifier: Apache-2.0
//
// Elastic weight consolidation (Kirkpatrick et al., PNAS 2017), with the weights of UACL's comparison (there lr 3e-4):
//
//     loss = (1 - lambda) CE + lambda * importance * sum over old tasks t, parameters i of F_ti (theta_i - theta*_ti)^2
//
// and CE alone in the first task. There is no factor 1/2: the importance was chosen without it.
//
// theta*_t: the weights at the end of task t. F_t: the diagonal of the Fisher information there, the mean over pictures
// of the squared gradient of -log p(y^), one picture at a time, y^ being the model's own answer; measured on task t's
// un-augmented pictures when the task ends, without dropout, normalisation as in evaluation. Head rows that a later
// task adds are not held back. Running statistics are no parameters and not protected (published-systems 2.4).
//
// Different from the code that UACL grew from, which measures F on the new task's pictures, in training mode, and holds
// on to the last task only (that last choice is EwcAnchors::kLast).
//
// All old tasks together need the memory of one, exactly: with F = sum F_t and A = sum F_t theta*_t / F,
//
//     sum_t F_t (theta - theta*_t)^2 = F (theta - A)^2 + c,    c grows by F F_t / (F + F_t) (A - theta*_t)^2 a task.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "learning/continual/strategy.h"

namespace hemafed::learning {

// Diagonal Fisher information as above, one tensor for each of model.tensors(), undefined for running statistics.
// `pictures` 0: all of the source; else as many, drawn by `seed` without repetition. Zero everywhere for an empty
// source.
[[nodiscard]] std::vector<at::Tensor> FisherDiagonal(
    const Classifier& model, BatchSource& source, std::uint32_t pictures, std::uint64_t seed,
    const std::function<void(std::uint64_t, std::uint64_t)>& on_pictures);

class Ewc final : public Strategy {
 public:
  explicit Ewc(const StrategySettings& settings) : settings_(settings) {}
  [[nodiscard]] StrategyNeeds needs() const override { return {}; }
  [[nodiscard]] LossTerms Loss(const StepInput& input) override;
  void AfterTask(const TaskContext& context) override;
  [[nodiscard]] StrategyState State() const override;
  void SetState(const StrategyState& state, const Classifier& initial) override;

  // sum over old tasks of F (theta - theta*)^2, as a float64 scalar.
  [[nodiscard]] at::Tensor Penalty(const Classifier& model) const;

 private:
  struct Anchor {
    at::Tensor fisher;  // of as many head rows as the task had
    at::Tensor mean;
  };

  StrategySettings settings_;
  std::map<std::string, Anchor> anchors_;  // by tensor name; empty before the first task's end
  double constant_ = 0.0;
};

}  // namespace hemafed::learning
