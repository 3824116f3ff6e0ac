// tests/bench/eager_networks.h
// SPDX-License-Identifier: Apache-2.0
//
// The peer of networks_bench: the same networks the way PyTorch runs them eagerly, layer by layer: padding,
// convolution, batch norm and activation each an operation of its own, gradients by autograd, nothing folded and no
// kernel of ours. The operations are those that torchvision's and efficientnet-lite-pytorch's modules call; only Python
// is left out.
//
// Thread-safety: one thread.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <string>
#include <vector>

#include "learning/models/classifier.h"
#include "learning/models/convolution.h"
#include "learning/models/resnet_plan.h"

namespace hemafed::learning::testing_support {

class EagerNetwork {
 public:
  // Copies the tensors of a model with one of the batch normalisations; 4-d tensors in `format`.
  EagerNetwork(const Classifier& model, at::MemoryFormat format)
      : architecture_(model.architecture()),
        batch_statistics_(UsesBatchStatistics(model.normalisation())),
        format_(format) {
    for (const NamedTensor& tensor : model.tensors()) {
      at::Tensor copy = tensor.value.detach().clone();
      if (copy.dim() == 4) copy = copy.contiguous(format);
      const bool buffer = tensor.name.ends_with(".running_mean") || tensor.name.ends_with(".running_var");
      if (!buffer) parameters_.push_back(copy);
      tensors_.emplace(tensor.name, std::move(copy));
    }
  }

  [[nodiscard]] const std::vector<at::Tensor>& parameters() const { return parameters_; }
  void SetTraining(bool training) {
    training_ = training;
    for (at::Tensor& parameter : parameters_) parameter.requires_grad_(training);
  }

  [[nodiscard]] at::Tensor Forward(const at::Tensor& pictures) const {
    const at::Tensor x = pictures.contiguous(format_);
    const at::Tensor features = architecture_ == Architecture::kEfficientNetLite0 ? Lite0(x) : ResNet(x);
    return at::linear(features, tensors_.at("head.weight"), tensors_.at("head.bias"));
  }

 private:
  [[nodiscard]] at::Tensor Norm(const at::Tensor& x, const std::string& name, double epsilon) const {
    return at::batch_norm(x, tensors_.at(name + ".weight"), tensors_.at(name + ".bias"),
                          tensors_.at(name + ".running_mean"), tensors_.at(name + ".running_var"),
                          training_ && batch_statistics_, 0.1, epsilon, true);
  }

  [[nodiscard]] at::Tensor ResNetLayer(const at::Tensor& x, const ResNetConvolution& plan) const {
    const std::int64_t padding = plan.kernel / 2;
    return Norm(at::conv2d(x, tensors_.at(plan.convolution + ".weight"), {}, {plan.stride, plan.stride},
                           {padding, padding}, {1, 1}, plan.groups),
                plan.norm, 1e-5);
  }

  [[nodiscard]] at::Tensor ResNet(const at::Tensor& pictures) const {
    at::Tensor stem = ResNetLayer(pictures, ResNetStem());
    at::Tensor x = at::max_pool2d(at::relu_(stem), {3, 3}, {2, 2}, {1, 1});
    for (const ResNetBlock& block : blocks_) {
      at::Tensor y = x;
      for (std::size_t i = 0; i < block.branch.size(); ++i) {
        y = ResNetLayer(y, block.branch[i]);
        if (i + 1 < block.branch.size()) at::relu_(y);
      }
      y.add_(block.shortcut.empty() ? x : ResNetLayer(x, block.shortcut[0]));
      x = at::relu_(y);
    }
    return at::adaptive_avg_pool2d(x, {1, 1}).flatten(1);
  }

  [[nodiscard]] at::Tensor Lite0Layer(const at::Tensor& x, const std::string& place, int stride, std::int64_t groups,
                                      bool relu6) const {
    const at::Tensor& weight = tensors_.at(place + ".conv.weight");
    const auto kernel = static_cast<int>(weight.size(2));
    const SamePadding rows = SamePaddingOf(x.size(2), kernel, stride);
    const SamePadding columns = SamePaddingOf(x.size(3), kernel, stride);
    const bool even = rows.before == rows.after && columns.before == columns.after;
    const at::Tensor padded =
        even ? x : at::constant_pad_nd(x, {columns.before, columns.after, rows.before, rows.after}, 0);
    const std::vector<std::int64_t> padding = {even ? rows.before : 0, even ? columns.before : 0};
    at::Tensor y =
        Norm(at::conv2d(padded, weight, {}, {stride, stride}, padding, {1, 1}, groups), place + ".norm", 1e-3);
    return relu6 ? at::hardtanh_(y, 0, 6) : y;
  }

  [[nodiscard]] at::Tensor Lite0(const at::Tensor& pictures) const {
    at::Tensor x = Lite0Layer(pictures, "stem", 2, 1, true);
    for (std::size_t i = 0; i < Lite0Blocks().size(); ++i) {
      const Lite0Block& block = Lite0Blocks()[i];
      const std::string name = Lite0BlockName(i);
      at::Tensor y = block.expansion != 1 ? Lite0Layer(x, name + ".expand", 1, 1, true) : x;
      y = Lite0Layer(y, name + ".depthwise", block.stride, y.size(1), true);
      y = Lite0Layer(y, name + ".project", 1, 1, false);
      x = block.stride == 1 && block.in_channels == block.out_channels ? y + x : y;
    }
    return at::adaptive_avg_pool2d(Lite0Layer(x, "last", 1, 1, true), {1, 1}).flatten(1);
  }

  Architecture architecture_;
  bool batch_statistics_;
  at::MemoryFormat format_;
  bool training_ = false;
  std::map<std::string, at::Tensor> tensors_;
  std::vector<at::Tensor> parameters_;
  std::vector<ResNetBlock> blocks_ =
      architecture_ == Architecture::kEfficientNetLite0 ? std::vector<ResNetBlock>{} : ResNetBlocks(architecture_);
};

}  // namespace hemafed::learning::testing_support
