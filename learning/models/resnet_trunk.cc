// SPDX-License-Identifier: Apache-2.0
#include "learning/models/resnet_trunk.h"

#include <ATen/ATen.h>

namespace hemafed::learning {

namespace {

constexpr double kBatchEpsilon = 1e-5;  // torchvision's.

NormalisedConvolution Make(const TensorsByName& tensors, Normalisation kind, const ResNetConvolution& plan,
                           Activation activation) {
  return {tensors,
          plan.convolution,
          plan.norm,
          {kind, kBatchEpsilon},
          {plan.stride, plan.groups, Padding::kSymmetric, activation}};
}

}  // namespace

ResNetTrunk::ResNetTrunk(Architecture architecture, Normalisation normalisation, const TensorsByName& tensors)
    : stem_(Make(tensors, normalisation, ResNetStem(), Activation::kRelu)) {
  for (const ResNetBlock& plan : ResNetBlocks(architecture)) {
    Block block;
    for (std::size_t i = 0; i < plan.branch.size(); ++i) {
      // The last one's ReLU comes after the shortcut is added.
      const bool last = i + 1 == plan.branch.size();
      block.branch.push_back(
          Make(tensors, normalisation, plan.branch[i], last ? Activation::kNone : Activation::kRelu));
    }
    for (const ResNetConvolution& shortcut : plan.shortcut) {
      block.shortcut.emplace(Make(tensors, normalisation, shortcut, Activation::kNone));
    }
    stages_[plan.stage].push_back(std::move(block));
  }
}

at::Tensor ResNetTrunk::Stem(const at::Tensor& pictures, Phase phase) const {
  const at::Tensor x = stem_.Apply(pictures.contiguous(at::MemoryFormat::ChannelsLast), phase);
  return at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1});
}

at::Tensor ResNetTrunk::Stage(std::size_t stage, const at::Tensor& x, Phase phase) const {
  at::Tensor input = x;
  for (const Block& block : stages_.at(stage)) {
    at::Tensor y = input;
    for (const NormalisedConvolution& convolution : block.branch) y = convolution.Apply(y, phase);
    y.add_(block.shortcut ? block.shortcut->Apply(input, phase) : input);
    input = Activate(std::move(y), Activation::kRelu);
  }
  return input;
}

at::Tensor ResNetTrunk::Before(const at::Tensor& pictures, Phase phase) const {
  at::Tensor x = Stem(pictures, phase);
  for (std::size_t stage = 0; stage < kResNetStagesBeforeDropout; ++stage) x = Stage(stage, x, phase);
  return x;
}

at::Tensor ResNetTrunk::After(const at::Tensor& activations, Phase phase) const {
  at::Tensor x = activations;
  for (std::size_t stage = kResNetStagesBeforeDropout; stage < kResNetStages; ++stage) x = Stage(stage, x, phase);
  return MeanOverPlaces(x);
}

}  // namespace hemafed::learning
