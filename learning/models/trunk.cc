// SPDX-License-Identifier: Apache-2.0
#include "learning/models/trunk.h"

#include <ATen/ATen.h>

#include <optional>
#include <string>
#include <vector>

#include "learning/models/resnet_trunk.h"

namespace hemafed::learning {

namespace {

// TensorFlow's EfficientNet uses 1e-3, and so do the imported statistics.
constexpr double kLite0BatchEpsilon = 1e-3;
constexpr double kSmallCnnBatchEpsilon = 1e-5;

NormalisedConvolution At(const TensorsByName& tensors, const std::string& place, const NormalisationSettings& norm,
                         const ConvolutionSettings& settings) {
  return {tensors, place + ".conv", place + ".norm", norm, settings};
}

// 'Same' padding everywhere.
NormalisedConvolution Lite0Convolution(const TensorsByName& tensors, const std::string& place, Normalisation kind,
                                       int stride, std::int64_t groups, Activation activation) {
  return At(tensors, place, {kind, kLite0BatchEpsilon}, {stride, groups, Padding::kSame, activation});
}

// Inverted residual block: 1x1 expand, depthwise k x k, 1x1 project without activation; the input is added where
// neither size nor channels change.
class InvertedResidual {
 public:
  InvertedResidual(const TensorsByName& tensors, const std::string& name, Normalisation kind, const Lite0Block& block)
      : depthwise_(Lite0Convolution(tensors, name + ".depthwise", kind, block.stride,
                                    std::int64_t{block.in_channels} * block.expansion, Activation::kRelu6)),
        project_(Lite0Convolution(tensors, name + ".project", kind, 1, 1, Activation::kNone)),
        adds_input_(block.stride == 1 && block.in_channels == block.out_channels) {
    if (block.expansion != 1) {
      expand_.emplace(Lite0Convolution(tensors, name + ".expand", kind, 1, 1, Activation::kRelu6));
    }
  }

  [[nodiscard]] at::Tensor Apply(const at::Tensor& x, Phase phase) const {
    at::Tensor y = project_.Apply(depthwise_.Apply(expand_ ? expand_->Apply(x, phase) : x, phase), phase);
    return adds_input_ ? y.add_(x) : y;
  }

 private:
  std::optional<NormalisedConvolution> expand_;
  NormalisedConvolution depthwise_;
  NormalisedConvolution project_;
  bool adds_input_;
};

class Lite0Trunk final : public Trunk {
 public:
  Lite0Trunk(const TensorsByName& tensors, Normalisation kind)
      : stem_(Lite0Convolution(tensors, "stem", kind, 2, 1, Activation::kRelu6)),
        last_(Lite0Convolution(tensors, "last", kind, 1, 1, Activation::kRelu6)) {
    for (std::size_t i = 0; i < Lite0Blocks().size(); ++i) {
      blocks_.emplace_back(tensors, Lite0BlockName(i), kind, Lite0Blocks()[i]);
    }
  }

  [[nodiscard]] at::Tensor Before(const at::Tensor& pictures, Phase phase) const override {
    at::Tensor x = stem_.Apply(pictures.contiguous(at::MemoryFormat::ChannelsLast), phase);
    for (std::size_t i = 0; i < kLite0BlocksBeforeDropout; ++i) x = blocks_[i].Apply(x, phase);
    return x;
  }

  [[nodiscard]] at::Tensor After(const at::Tensor& activations, Phase phase) const override {
    at::Tensor x = activations;
    for (std::size_t i = kLite0BlocksBeforeDropout; i < blocks_.size(); ++i) x = blocks_[i].Apply(x, phase);
    return MeanOverPlaces(last_.Apply(x, phase));
  }

 private:
  NormalisedConvolution stem_;
  std::vector<InvertedResidual> blocks_;
  NormalisedConvolution last_;
};

// 3x3 convolutions with one zero on each side, norm and ReLU.
class SmallCnnTrunk final : public Trunk {
 public:
  SmallCnnTrunk(const TensorsByName& tensors, Normalisation kind) {
    for (std::size_t i = 0; i < SmallCnnStages().size(); ++i) {
      stages_.push_back(At(tensors, SmallCnnStageName(i), {kind, kSmallCnnBatchEpsilon},
                           {SmallCnnStages()[i].stride, 1, Padding::kSymmetric, Activation::kRelu}));
    }
  }

  [[nodiscard]] at::Tensor Before(const at::Tensor& pictures, Phase phase) const override {
    at::Tensor x = pictures.contiguous(at::MemoryFormat::ChannelsLast);
    for (std::size_t i = 0; i < kSmallCnnStagesBeforeDropout; ++i) x = stages_[i].Apply(x, phase);
    return x;
  }

  [[nodiscard]] at::Tensor After(const at::Tensor& activations, Phase phase) const override {
    at::Tensor x = activations;
    for (std::size_t i = kSmallCnnStagesBeforeDropout; i < stages_.size(); ++i) x = stages_[i].Apply(x, phase);
    return MeanOverPlaces(x);
  }

 private:
  std::vector<NormalisedConvolution> stages_;
};

// A perceptron over latents, as convolutions over one place.
class AeCfeTrunk final : public Trunk {
 public:
  AeCfeTrunk(const TensorsByName& tensors, Normalisation kind)
      : first_(Layer(tensors, "layer1", kind)), second_(Layer(tensors, "layer2", kind)) {}

  [[nodiscard]] at::Tensor Before(const at::Tensor& pictures, Phase phase) const override {
    return first_.Apply(pictures, phase);
  }
  [[nodiscard]] at::Tensor After(const at::Tensor& activations, Phase phase) const override {
    return MeanOverPlaces(second_.Apply(activations, phase));
  }

 private:
  static NormalisedConvolution Layer(const TensorsByName& tensors, const std::string& place, Normalisation kind) {
    return At(tensors, place, {kind, kSmallCnnBatchEpsilon}, {1, 1, Padding::kSymmetric, Activation::kRelu});
  }

  NormalisedConvolution first_, second_;
};

}  // namespace

at::Tensor MeanOverPlaces(const at::Tensor& x) {
  // Features of reduced precision would be rounded once more for nothing.
  const bool reduced = x.scalar_type() != at::kFloat && x.scalar_type() != at::kDouble;
  return reduced ? x.mean({2, 3}, /*keepdim=*/false, at::kFloat) : x.mean({2, 3});
}

std::unique_ptr<const Trunk> MakeTrunk(Architecture architecture, Normalisation normalisation,
                                       const TensorsByName& tensors) {
  if (architecture == Architecture::kEfficientNetLite0) return std::make_unique<Lite0Trunk>(tensors, normalisation);
  if (architecture == Architecture::kSmallCnn) return std::make_unique<SmallCnnTrunk>(tensors, normalisation);
  if (architecture == Architecture::kAeCfe) return std::make_unique<AeCfeTrunk>(tensors, normalisation);
  return std::make_unique<ResNetTrunk>(architecture, normalisation, tensors);
}

}  // namespace hemafed::learning
