// learning/continual/adam.h
// SPDX-License-Identifier: Apache-2.0
//
// Adam (Kingma, Ba, ICLR 2015, Algorithm 1) and AdamW (Loshchilov, Hutter, ICLR 2019, Algorithm 2), written out like
// sgd.h. For each trained tensor theta with gradient g (after clipping, optimiser.h), in step t = 1, 2, ...:
//
//     adam:   g += weight_decay * theta              adamw:   theta *= 1 - lr * weight_decay
//     m = beta1 m + (1 - beta1) g;      v = beta2 v + (1 - beta2) g^2          (both 0 before the first step)
//     theta -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
//
// The same as torch.optim.Adam and AdamW without amsgrad.
//
// Errors: Error(kInvalidInput) for settings out of range. Thread-safety: one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "learning/continual/optimiser.h"

namespace hemafed::learning {

struct AdamSettings {
  double beta1;         // 0 <= beta1 < 1
  double beta2;         // 0 <= beta2 < 1
  double epsilon;       // > 0
  double weight_decay;  // >= 0
  bool decoupled;       // AdamW
  double clip_norm;     // 0: no clipping
};

class Adam final : public Optimiser {
 public:
  Adam(std::vector<at::Tensor> trained, const AdamSettings& settings);

  double Step(double learning_rate) override;
  [[nodiscard]] TensorMap State() const override;
  void SetState(const TensorMap& state) override;

 private:
  std::vector<at::Tensor> trained_;
  std::vector<at::Tensor> first_;   // m
  std::vector<at::Tensor> second_;  // v
  std::int64_t steps_ = 0;
  AdamSettings settings_;
};

}  // namespace hemafed::learning
