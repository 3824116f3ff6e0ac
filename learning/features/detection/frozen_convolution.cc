// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/frozen_convolution.h"

#include <ATen/ATen.h>

namespace hemafed::learning {

namespace {

at::Tensor FindOrNone(const TensorsByName& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  return found == tensors.end() ? at::Tensor() : found->second;
}

}  // namespace

FrozenConvolution::FrozenConvolution(const TensorsByName& tensors, const std::string& name,
                                     const ConvolutionSettings& settings)
    : settings_(settings), weight_(tensors.at(name + ".weight")), bias_(FindOrNone(tensors, name + ".bias")) {}

FrozenConvolution::FrozenConvolution(const TensorsByName& tensors, const std::string& name, const std::string& norm,
                                     double epsilon, const ConvolutionSettings& settings)
    : FrozenConvolution(tensors, name, settings) {
  norm_ = {.gamma = tensors.at(norm + ".weight"),
           .beta = tensors.at(norm + ".bias"),
           .mean = tensors.at(norm + ".running_mean"),
           .variance = tensors.at(norm + ".running_var")};
  epsilon_ = epsilon;
}

at::Tensor FrozenConvolution::Apply(const at::Tensor& x) const {
  const auto convolve = settings_.padding == Padding::kSame ? ConvolveSame : ConvolveSymmetric;
  const at::Tensor weight = weight_.contiguous(at::MemoryFormat::ChannelsLast);
  if (!norm_.gamma.defined())
    return convolve(x, weight, bias_, settings_.stride, settings_.groups, settings_.activation);
  FrozenBatchNorm norm = norm_;
  if (bias_.defined()) norm.mean = norm.mean - bias_;
  const FoldedConvolution folded = FoldBatchNorm(weight, norm, epsilon_);
  return convolve(x, folded.weight, folded.bias, settings_.stride, settings_.groups, settings_.activation);
}

}  // namespace hemafed::learning
