// learning/features/detection/frozen_convolution.h
// SPDX-License-Identifier: Apache-2.0
//
// A convolution with or without bias, with or without a batch norm of fixed statistics, and an activation: what a
// detector is made of. The norm is folded into weight and bias (learning/models/convolution.h), so it costs no pass
// over the activations; with bias b the norm sees mean - b instead of mean.
//
// Shapes: x [N, in, H, W]; the result [N, out, ceil(H / stride), ceil(W / stride)].
// Thread-safety: Apply may run concurrently.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "learning/models/normalised_convolution.h"

namespace hemafed::learning {

class FrozenConvolution {
 public:
  // Shares "<name>.weight" and, where there is one, "<name>.bias". Throws std::out_of_range where one is missing.
  FrozenConvolution(const TensorsByName& tensors, const std::string& name, const ConvolutionSettings& settings);
  // The same with the batch norm "<norm>".
  FrozenConvolution(const TensorsByName& tensors, const std::string& name, const std::string& norm, double epsilon,
                    const ConvolutionSettings& settings);

  [[nodiscard]] at::Tensor Apply(const at::Tensor& x) const;

 private:
  ConvolutionSettings settings_;
  at::Tensor weight_;
  at::Tensor bias_;       // Undefined without bias.
  FrozenBatchNorm norm_;  // gamma undefined without norm.
  double epsilon_ = 0;
};

}  // namespace hemafed::learning
