// learning/continual/held_weights.h
// SPDX-License-Identifier: Apache-2.0
//
// The weights that elastic weight consolidation holds on to (Kirkpatrick et al., PNAS 2017):
//
//     penalty = sum over held tasks t, values i of F_ti (theta_i - theta*_ti)^2
//     loss    = (1 - lambda) CE + lambda importance penalty
//
// theta*_t: the trained values of the model that task t ended with; F_t: their Fisher information there
// (fisher_information.h). Head rows that a later task adds are not held back. There is no factor 1/2: published
// importances of this form were chosen without it.
//
// All held tasks together need the memory of one, exactly: with F = sum F_t and A = sum F_t theta*_t / F,
//
//     sum_t F_t (theta - theta*_t)^2 = F (theta - A)^2 + c,    c grows by F F_t / (F + F_t) (A - theta*_t)^2 a task.
//
// Errors: Error(kInvalidInput) for a model that lacks a held tensor or has it in another shape, and for a state that is
// not one. Thread-safety: one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "learning/continual/tensor_map.h"
#include "learning/continual/training_step.h"
#include "learning/models/classifier.h"

namespace hemafed::learning {

class HeldWeights {
 public:
  // Holds on to one more task: `fisher[i]` belongs to tensor i of its model; undefined ones are not held. Later models
  // may have more head rows.
  void Hold(const Classifier& model, const std::vector<at::Tensor>& fisher);
  void Clear();
  // Throws unless the model has everything that is held, of at least as many rows.
  void RequireFits(const Classifier& model) const;
  [[nodiscard]] bool empty() const { return anchors_.empty(); }

  // As a float64 scalar.
  [[nodiscard]] at::Tensor Penalty(const Classifier& model) const;

  [[nodiscard]] TensorMap State() const;
  // Replaces what is held; the tensors come to where `like` is.
  void SetState(const TensorMap& state, const Classifier& like);

 private:
  struct Anchor {
    at::Tensor fisher;  // F, of as many head rows as the task had
    at::Tensor mean;    // A
  };

  std::map<std::string, Anchor> anchors_;  // by tensor name
  double constant_ = 0.0;                  // c
};

// Loss terms of the formula above; `share` is lambda.
[[nodiscard]] LossTerms HeldTerms(const at::Tensor& cross_entropy, const at::Tensor& penalty, double share,
                                  double importance);

}  // namespace hemafed::learning
