// learning/continual/optimiser.h
// SPDX-License-Identifier: Apache-2.0
//
// What every optimiser offers, so that one training step serves all of them: apply the gradients of the last backward
// pass, and hand over what it remembers, so that a run that was killed goes on with the same bits.
//
// Gradients are clipped first, the same way for all: norm = sqrt(sum of g^2 over all tensors, summed in float64); if
// clip_norm > 0 and norm > clip_norm then every g is multiplied by clip_norm / norm. A norm that is not finite changes
// nothing: the caller is told and the model stays as it was.
//
// Kinds: sgd (sgd.h), adam and adamw (adam.h).
//
// Errors: Error(kInvalidInput) for settings out of range, or a state that does not fit the tensors.
// Thread-safety: one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "learning/continual/tensor_map.h"

namespace hemafed::learning {

class Optimiser {
 public:
  virtual ~Optimiser() = default;

  // Applies and clears the gradients of the last backward pass. Returns their norm before clipping.
  virtual double Step(double learning_rate) = 0;
  // What it remembers; empty before the first step. The tensors are its own: copy them to keep them.
  [[nodiscard]] virtual TensorMap State() const = 0;
  // Takes back what State() gave, for the same tensors in the same order.
  virtual void SetState(const TensorMap& state) = 0;
};

enum class OptimiserKind : std::uint8_t { kSgd, kAdam, kAdamW };
[[nodiscard]] std::string_view OptimiserName(OptimiserKind kind);
// Throws Error(kInvalidInput) that lists the known names.
[[nodiscard]] OptimiserKind OptimiserFromName(std::string_view name);

struct OptimiserSettings {
  OptimiserKind kind = OptimiserKind::kSgd;
  double learning_rate = 5e-4;  // UACL's
  double momentum = 0.9;        // sgd
  bool nesterov = true;         // sgd
  double beta1 = 0.9;           // adam, adamw
  double beta2 = 0.999;         // adam, adamw
  double epsilon = 1e-8;        // adam, adamw
  double weight_decay = 0.0;
  double clip_norm = 0.0;  // 0: no clipping
};

// The tensors are changed in place; each must want a gradient.
[[nodiscard]] std::unique_ptr<Optimiser> MakeOptimiser(std::vector<at::Tensor> trained,
                                                       const OptimiserSettings& settings);

// Clips as described above; returns the norm before.
double ClipGradients(const std::vector<at::Tensor>& trained, double clip_norm);
void ClearGradients(std::vector<at::Tensor>& trained);

// "velocity.0007": the state of the tensor with this place among the trained ones.
[[nodiscard]] std::string StateName(std::string_view kind, std::size_t place);
// The tensor with this name, copied, after a check that it looks like `like`. Throws Error(kInvalidInput).
[[nodiscard]] at::Tensor RequireState(const TensorMap& state, const std::string& name, const at::Tensor& like);

}  // namespace hemafed::learning
