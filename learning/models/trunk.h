// learning/models/trunk.h
// SPDX-License-Identifier: Apache-2.0
//
// A trunk turns pictures into features, in two halves with the place of dropout between them. What is before that place
// is computed once per picture when the uncertainty of a picture is measured with many dropout passes.
//
// Shapes: pictures [N, InputChannels(architecture), H, W]; Before -> [N, C, H', W']; After -> [N, d], the mean over
// height and width in float32 at least. Any H and W from 1 up. Activations are kept channels-last.
//
// Errors: those of NormalisedConvolution::Apply.
// Thread-safety: a trunk is immutable and borrows nothing; concurrent forward passes are allowed in Phase::kEvaluation.
// In Phase::kTraining a pass may change running statistics.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "learning/models/architecture.h"
#include "learning/models/normalised_convolution.h"

namespace hemafed::learning {

class Trunk {
 public:
  virtual ~Trunk() = default;
  [[nodiscard]] virtual at::Tensor Before(const at::Tensor& pictures, Phase phase) const = 0;
  [[nodiscard]] virtual at::Tensor After(const at::Tensor& activations, Phase phase) const = 0;
};

// [N, C, H, W] -> [N, C]: the mean over height and width, of reduced precision as float32.
[[nodiscard]] at::Tensor MeanOverPlaces(const at::Tensor& x);

// A trunk over these tensors by name (shared, not copied: changing a tensor in place changes the trunk). Every tensor
// of TensorsOf(architecture, 0, normalisation) must be there; the caller has checked shapes and types.
[[nodiscard]] std::unique_ptr<const Trunk> MakeTrunk(Architecture architecture, Normalisation normalisation,
                                                     const TensorsByName& tensors);

}  // namespace hemafed::learning
