// SPDX-License-Identifier: Apache-2.0
#include "learning/models/trunk.h"

#include <ATen/ATen.h>

#include <optional>
#include <vector>

#include "learning/models/convolution.h"

namespace hemafed::learning {

namespace {

using Tensors = std::map<std::string, at::Tensor>;

// TensorFlow's EfficientNet uses 1e-3, and so do the imported statistics.
constexpr double kBatchNormEpsilon = 1e-3;
constexpr double kGroupNormEpsilon = 1e-5;

// Convolution, frozen batch norm and, where asked, ReLU6.
class Lite0Convolution {
 public:
  Lite0Convolution(const Tensors& tensors, const std::string& place, int stride, std::int64_t groups,
                   Activation activation)
      : weight_(tensors.at(place + ".conv.weight")),
        norm_{tensors.at(place + ".norm.weight"), tensors.at(place + ".norm.bias"),
              tensors.at(place + ".norm.running_mean"), tensors.at(place + ".norm.running_var")},
        stride_(stride),
        groups_(groups),
        activation_(activation) {}

  [[nodiscard]] at::Tensor Apply(const at::Tensor& x) const {
    const FoldedConvolution folded = FoldBatchNorm(weight_, norm_, kBatchNormEpsilon);
    return ConvolveSame(x, folded.weight, folded.bias, stride_, groups_, activation_);
  }

 private:
  at::Tensor weight_;
  FrozenBatchNorm norm_;
  int stride_;
  std::int64_t groups_;
  Activation activation_;
};

// Inverted residual block: 1x1 expand, depthwise k x k, 1x1 project without activation; the input is added where
// neither size nor channels change.
class InvertedResidual {
 public:
  InvertedResidual(const Tensors& tensors, const std::string& name, const Lite0Block& block)
      : depthwise_(tensors, name + ".depthwise", block.stride, std::int64_t{block.in_channels} * block.expansion,
                   Activation::kRelu6),
        project_(tensors, name + ".project", 1, 1, Activation::kNone),
        adds_input_(block.stride == 1 && block.in_channels == block.out_channels) {
    if (block.expansion != 1) expand_.emplace(tensors, name + ".expand", 1, 1, Activation::kRelu6);
  }

  [[nodiscard]] at::Tensor Apply(const at::Tensor& x) const {
    at::Tensor y = project_.Apply(depthwise_.Apply(expand_ ? expand_->Apply(x) : x));
    return adds_input_ ? y.add_(x) : y;
  }

 private:
  std::optional<Lite0Convolution> expand_;
  Lite0Convolution depthwise_;
  Lite0Convolution project_;
  bool adds_input_;
};

class Lite0Trunk final : public Trunk {
 public:
  explicit Lite0Trunk(const Tensors& tensors)
      : stem_(tensors, "stem", 2, 1, Activation::kRelu6), last_(tensors, "last", 1, 1, Activation::kRelu6) {
    for (std::size_t i = 0; i < Lite0Blocks().size(); ++i) {
      blocks_.emplace_back(tensors, Lite0BlockName(i), Lite0Blocks()[i]);
    }
  }

  [[nodiscard]] at::Tensor Before(const at::Tensor& pictures) const override {
    at::Tensor x = stem_.Apply(pictures.contiguous(at::MemoryFormat::ChannelsLast));
    for (std::size_t i = 0; i < kLite0BlocksBeforeDropout; ++i) x = blocks_[i].Apply(x);
    return x;
  }

  [[nodiscard]] at::Tensor After(const at::Tensor& activations) const override {
    at::Tensor x = activations;
    for (std::size_t i = kLite0BlocksBeforeDropout; i < blocks_.size(); ++i) x = blocks_[i].Apply(x);
    return last_.Apply(x).mean({2, 3});
  }

 private:
  Lite0Convolution stem_;
  std::vector<InvertedResidual> blocks_;
  Lite0Convolution last_;
};

// 3x3 convolution with standardised weights and one zero on each side, group norm, ReLU.
class SmallCnnStageModule {
 public:
  SmallCnnStageModule(const Tensors& tensors, const std::string& place, const SmallCnnStage& stage)
      : weight_(tensors.at(place + ".conv.weight")),
        gamma_(tensors.at(place + ".norm.weight")),
        beta_(tensors.at(place + ".norm.bias")),
        stride_(stage.stride),
        groups_(stage.out_channels / kChannelsPerGroup) {}

  [[nodiscard]] at::Tensor Apply(const at::Tensor& x) const {
    constexpr std::int64_t kPadding = kSmallCnnKernel / 2;
    const at::Tensor y = at::conv2d(x, StandardiseWeight(weight_), {}, {stride_, stride_}, {kPadding, kPadding});
    at::Tensor normalised = at::group_norm(y, groups_, gamma_, beta_, kGroupNormEpsilon);
    return at::relu_(normalised);
  }

 private:
  at::Tensor weight_;
  at::Tensor gamma_;
  at::Tensor beta_;
  std::int64_t stride_;
  std::int64_t groups_;
};

class SmallCnnTrunk final : public Trunk {
 public:
  explicit SmallCnnTrunk(const Tensors& tensors) {
    for (std::size_t i = 0; i < SmallCnnStages().size(); ++i) {
      stages_.emplace_back(tensors, SmallCnnStageName(i), SmallCnnStages()[i]);
    }
  }

  [[nodiscard]] at::Tensor Before(const at::Tensor& pictures) const override {
    at::Tensor x = pictures.contiguous(at::MemoryFormat::ChannelsLast);
    for (std::size_t i = 0; i < kSmallCnnStagesBeforeDropout; ++i) x = stages_[i].Apply(x);
    return x;
  }

  [[nodiscard]] at::Tensor After(const at::Tensor& activations) const override {
    at::Tensor x = activations;
    for (std::size_t i = kSmallCnnStagesBeforeDropout; i < stages_.size(); ++i) x = stages_[i].Apply(x);
    return x.mean({2, 3});
  }

 private:
  std::vector<SmallCnnStageModule> stages_;
};

}  // namespace

std::unique_ptr<const Trunk> MakeTrunk(Architecture architecture, const Tensors& tensors) {
  if (architecture == Architecture::kEfficientNetLite0) return std::make_unique<Lite0Trunk>(tensors);
  return std::make_unique<SmallCnnTrunk>(tensors);
}

}  // namespace hemafed::learning
