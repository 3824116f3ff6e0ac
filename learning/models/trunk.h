// learning/models/trunk.h
// SPDX-License-Identifier: Apache-2.0
//
// A trunk turns pictures into features, in two halves with the place of dropout between them. What is before that place
// is computed once per picture when the uncertainty of a picture is measured with many dropout passes.
//
// Shapes: pictures [N, 3, H, W]; Before -> [N, C, H', W']; After -> [N, d]. Any H and W from 1 up.
//
// Thread-safety: a trunk is immutable and borrows nothing; concurrent forward passes are allowed.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>

#include "learning/models/architecture.h"

namespace hemafed::learning {

class Trunk {
 public:
  virtual ~Trunk() = default;
  [[nodiscard]] virtual at::Tensor Before(const at::Tensor& pictures) const = 0;
  [[nodiscard]] virtual at::Tensor After(const at::Tensor& activations) const = 0;
};

// A trunk over these tensors by name (shared, not copied: changing a tensor in place changes the trunk). Every tensor
// of TensorsOf(architecture, 0) must be there; the caller has checked shapes and types.
[[nodiscard]] std::unique_ptr<const Trunk> MakeTrunk(Architecture architecture,
                                                     const std::map<std::string, at::Tensor>& tensors);

}  // namespace hemafed::learning
