// learning/continual/sgd.h
// SPDX-License-Identifier: Apache-2.0
//
// Stochastic gradient descent, written out so that its meaning is ours to document and nobody's to change. For each
// trained tensor, with gradient g, learning rate lr, velocity v (none before the first step):
//
//     1.  norm = sqrt(sum of g^2 over all tensors);  if clip_norm > 0 and norm > clip_norm:  g *= clip_norm / norm
//     2.  g += weight_decay * theta
//     3.  v  = g in the first step, momentum * v + g afterwards          (momentum 0: v = g)
//     4.  theta -= lr * (g + momentum * v)  with Nesterov,  lr * v  without
//
// The same as torch.optim.SGD with dampening 0 after clip_grad_norm_, but for that function's 1e-6 in the divisor.
// Clipping looks at the gradient of the loss, before weight decay. A norm that is not finite changes nothing. A fresh
// object has no velocity: every federated round starts with one.
//
// Errors: Error(kInvalidInput) for settings out of range. Thread-safety: one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "learning/continual/optimiser.h"

namespace hemafed::learning {

struct SgdSettings {
  double momentum;      // 0 <= momentum < 1
  bool nesterov;        // needs momentum > 0
  double weight_decay;  // >= 0; acts on every trained tensor
  double clip_norm;     // 0: no clipping
};

class Sgd final : public Optimiser {
 public:
  // The tensors are changed in place; each must want a gradient.
  Sgd(std::vector<at::Tensor> trained, const SgdSettings& settings);

  // Applies and clears the gradients of the last backward pass. Returns their norm before clipping.
  double Step(double learning_rate) override;
  [[nodiscard]] TensorMap State() const override;
  void SetState(const TensorMap& state) override;

 private:
  std::vector<at::Tensor> trained_;
  std::vector<at::Tensor> velocity_;
  SgdSettings settings_;
};

}  // namespace hemafed::learning
