// learning/models/classifier.h
// SPDX-License-Identifier: Apache-2.0
//
// A classifier: a trunk that turns pictures into d features, dropout in the middle of it, and a linear head with one
// row per class known so far:
//
//     logits = W f + b,    f = After(mask * Before(x))        (mask: all ones in evaluation)
//
// Shapes: pictures [N, InputChannels(architecture), H, W] float32 (the model's own type after Clone) on the model's
// device, normalised as the weights expect; features [N, d]; logits [N, C], float32 at least.
//
// A model is either training (from BeginTraining to EndTraining) or not. With the normalisations batch and batch_local
// that decides what a forward pass normalises by, and every pass of a training model changes its running statistics:
// evaluate after EndTraining, or a copy. With the others it changes nothing but gradients.
//
// Reading and writing model files: model_file.h. Which tensors there are: architecture.h.
//
// Errors: Error(kInvalidInput) that names the tensor or the argument.
// Thread-safety: forward passes may run concurrently while the model is not training; everything else belongs to one
// thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "learning/models/architecture.h"
#include "learning/models/precision.h"
#include "learning/models/trunk.h"

namespace hemafed::learning {

struct NamedTensor {
  std::string name;
  at::Tensor value;
};

class Classifier {
 public:
  // Takes over the tensors (no copy) of TensorsOf(architecture, classes), in any order; names, shapes and a common
  // floating type and device are checked, the number of classes follows from the head. Without a normalisation:
  // NormalisationOf(architecture).
  Classifier(Architecture architecture, std::vector<NamedTensor> tensors, Normalisation normalisation);
  Classifier(Architecture architecture, std::vector<NamedTensor> tensors);

  // A model is large: copying it is always written down.
  Classifier(const Classifier&) = delete;
  Classifier& operator=(const Classifier&) = delete;
  Classifier(Classifier&&) noexcept = default;
  Classifier& operator=(Classifier&&) noexcept = default;

  // A copy with tensors of its own, not training, as float32 or (for checks of formulas) float64.
  [[nodiscard]] Classifier Clone(at::ScalarType type = at::kFloat) const;
  // The same on another device, in the model's own type.
  [[nodiscard]] Classifier To(at::Device device) const;
  // The same with another normalisation. Running statistics are kept, left out, or start at mean 0 and variance 1, as
  // the new one needs.
  [[nodiscard]] Classifier WithNormalisation(Normalisation normalisation) const;

  [[nodiscard]] Architecture architecture() const { return architecture_; }
  [[nodiscard]] Normalisation normalisation() const { return normalisation_; }
  [[nodiscard]] bool training() const { return phase_ == Phase::kTraining; }
  [[nodiscard]] at::Device device() const { return tensors_.front().value.device(); }
  [[nodiscard]] std::int64_t classes() const { return classes_; }
  [[nodiscard]] std::int64_t feature_width() const { return FeatureWidth(architecture_); }
  // In canonical order. The tensors are the model's own: change them in place, never replace them.
  [[nodiscard]] const std::vector<NamedTensor>& tensors() const& { return tensors_; }
  [[nodiscard]] std::vector<NamedTensor> tensors() && { return std::move(tensors_); }

  // How the trunk computes: float32 unless set otherwise. Copies inherit it. bfloat16 needs a float32 model.
  [[nodiscard]] Precision precision() const { return precision_; }
  void SetPrecision(Precision precision);

  // The trunk up to the place of dropout, and from there to the features.
  [[nodiscard]] at::Tensor TrunkBefore(const at::Tensor& pictures) const;
  [[nodiscard]] at::Tensor TrunkAfter(const at::Tensor& activations) const;
  [[nodiscard]] at::Tensor Features(const at::Tensor& pictures) const;
  // Needs at least one class.
  [[nodiscard]] at::Tensor Head(const at::Tensor& features) const;
  [[nodiscard]] at::Tensor Forward(const at::Tensor& pictures) const;

  // Marks the tensors that training may change (weights, head and, unless frozen, scales and shifts of the
  // normalisation; never running statistics) and returns them in canonical order.
  [[nodiscard]] std::vector<NamedTensor> BeginTraining(bool freeze_affine);
  // Unmarks them and forgets gradients.
  void EndTraining();

 private:
  void RequirePictures(const at::Tensor& pictures) const;

  [[nodiscard]] Classifier With(std::vector<NamedTensor> tensors, Normalisation normalisation) const;

  Architecture architecture_;
  Normalisation normalisation_;
  Phase phase_ = Phase::kEvaluation;
  Precision precision_ = Precision::kFloat32;
  std::int64_t classes_ = 0;
  std::vector<NamedTensor> tensors_;
  std::unique_ptr<const Trunk> trunk_;
  at::Tensor head_weight_;  // Undefined without classes.
  at::Tensor head_bias_;
};

// Number of trained values: everything but running statistics.
[[nodiscard]] std::int64_t ParameterCount(const Classifier& model);

}  // namespace hemafed::learning
