// learning/continual/training_step.h
// SPDX-License-Identifier: Apache-2.0
//
// One step of training, the same for a site's federated round (local_training.h) and for a whole study (learner.h):
//
//     for each of A parts:  batch -> loss;  backward of loss / A
//     clip, then the optimiser (optimiser.h)
//
// With A > 1 gradients are accumulated: A batches of B pictures give the gradient of one batch of A B pictures (the
// terms of all losses here are means over pictures), with the memory of B. Norms that look at a batch see B.
//
// Errors: Error(kInvalidInput) if a loss or the gradient is not finite; `where` names the step in the message. The
// optimiser then has not been applied: weights are those of the last good step.
// Thread-safety: one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "learning/continual/optimiser.h"
#include "learning/models/classifier.h"

namespace hemafed::learning {

// What a batch costs; scalars.
struct LossTerms {
  at::Tensor total;          // call backward() on it
  at::Tensor cross_entropy;  // on labels
  at::Tensor extra;          // the method's second term before its weight: distillation, penalty, ...; 0 if it has none
};

struct StepReport {
  double loss = 0.0;  // means over the parts, before the step changed the model
  double cross_entropy = 0.0;
  double extra = 0.0;
  double gradient_norm = 0.0;  // before clipping
};

// `loss_of(part)` computes the loss of one part, 0 .. parts-1.
StepReport TakeStep(Optimiser& optimiser, double learning_rate, std::uint32_t parts,
                    const std::function<LossTerms(std::uint32_t part)>& loss_of, const std::string& where);

// Logits [N, C] of a forward pass with dropout behind the trunk's first half; the mask of the picture in place k is a
// pure function of (seed, step, k) (dropout.h). Float32 whatever the precision of the pass (float64 for a float64
// model).
[[nodiscard]] at::Tensor LogitsWithDropout(const Classifier& model, const at::Tensor& pictures, double dropout,
                                           std::uint64_t seed, std::uint32_t step);

// Logits of a frozen model on the very tensor that the student sees, without gradients; nothing without a model.
[[nodiscard]] std::optional<at::Tensor> FrozenLogits(const Classifier* model, const at::Tensor& images);
// Loss terms of a cross-entropy alone.
[[nodiscard]] LossTerms Only(const at::Tensor& cross_entropy);

// Where a model's tensors are; pictures are moved there before a forward pass.
[[nodiscard]] at::Device DeviceOf(const Classifier& model);

// Marks a model's tensors for training and unmarks them however the training ends.
class TrainingScope {
 public:
  TrainingScope(Classifier& model, bool freeze_affine);
  ~TrainingScope();
  TrainingScope(const TrainingScope&) = delete;
  TrainingScope& operator=(const TrainingScope&) = delete;
  [[nodiscard]] const std::vector<at::Tensor>& trained() const { return trained_; }

 private:
  Classifier& model_;
  std::vector<at::Tensor> trained_;
};

}  // namespace hemafed::learning
