// SPDX-License-Identifier: Apache-2.0
#include "learning/models/normalised_convolution.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include "common/error.h"

namespace hemafed::learning {

namespace {

constexpr double kGroupNormEpsilon = 1e-5;

void RequireVariance(const at::Tensor& y, const std::string& place) {
  if (y.size(0) * y.size(2) * y.size(3) > 1) return;
  throw Error(
      ErrorCode::kInvalidInput,
      "batch norm at '" + place +
          "' has one value a channel (one picture of one pixel there), which has no variance to train with; take "
          "two or more pictures a batch, larger pictures, or another normalisation");
}

}  // namespace

NormalisedConvolution::NormalisedConvolution(const TensorsByName& tensors, const std::string& convolution,
                                             const std::string& norm, const NormalisationSettings& normalisation,
                                             const ConvolutionSettings& settings)
    : norm_(norm),
      normalisation_(normalisation),
      settings_(settings),
      weight_(tensors.at(convolution + ".weight")),
      statistics_{
          .gamma = tensors.at(norm + ".weight"), .beta = tensors.at(norm + ".bias"), .mean = {}, .variance = {}} {
  if (!HasRunningStatistics(normalisation.normalisation)) return;
  statistics_.mean = tensors.at(norm + ".running_mean");
  statistics_.variance = tensors.at(norm + ".running_var");
}

// The format of the pictures: what is computed from a weight then keeps it, forwards and backwards, where mixed formats
// would cost ResNet-18 a tenth of a training step. The stored tensors keep the order of model files.
at::Tensor NormalisedConvolution::Weight() const { return weight_.contiguous(at::MemoryFormat::ChannelsLast); }

at::Tensor NormalisedConvolution::Convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                           Activation activation) const {
  const auto convolve = settings_.padding == Padding::kSame ? ConvolveSame : ConvolveSymmetric;
  return convolve(x, weight, bias, settings_.stride, settings_.groups, activation);
}

at::Tensor NormalisedConvolution::ByBatchStatistics(const at::Tensor& x) const {
  const at::Tensor y = Convolve(x, Weight(), {}, Activation::kNone);
  RequireVariance(y, norm_);
  return at::batch_norm(y, statistics_.gamma, statistics_.beta, statistics_.mean, statistics_.variance,
                        /*training=*/true, kRunningMomentum, normalisation_.batch_epsilon, /*cudnn_enabled=*/true);
}

// In reduced precision a folded weight is made in float32 and rounded at every step. Where the layer has more weights
// than results, scaling the results is less work. In float32 there is nothing to round, and every layer is folded.
bool NormalisedConvolution::FoldingCostsMore(const at::Tensor& x) const {
  if (!at::autocast::is_autocast_enabled(x.device().type())) return false;
  const std::int64_t pixels = (x.size(2) / settings_.stride) * (x.size(3) / settings_.stride);
  return weight_.numel() > x.size(0) * weight_.size(0) * pixels;
}

at::Tensor NormalisedConvolution::Unfolded(const at::Tensor& x) const {
  const at::Tensor y = Convolve(x, Weight(), {}, Activation::kNone);
  const at::Tensor scale = statistics_.gamma / (statistics_.variance + normalisation_.batch_epsilon).sqrt();
  const at::Tensor shift = statistics_.beta - statistics_.mean * scale;
  const auto by_channel = [&](const at::Tensor& values) { return values.to(y.scalar_type()).view({1, -1, 1, 1}); };
  return at::addcmul(by_channel(shift), y, by_channel(scale));
}

at::Tensor NormalisedConvolution::Apply(const at::Tensor& x, Phase phase) const {
  const Normalisation kind = normalisation_.normalisation;
  if (UsesBatchStatistics(kind) && phase == Phase::kTraining) {
    return Activate(ByBatchStatistics(x), settings_.activation);
  }
  if (HasRunningStatistics(kind)) {
    if (FoldingCostsMore(x)) return Activate(Unfolded(x), settings_.activation);
    const FoldedConvolution folded = FoldBatchNorm(Weight(), statistics_, normalisation_.batch_epsilon);
    return Convolve(x, folded.weight, folded.bias, settings_.activation);
  }
  const at::Tensor weight = kind == Normalisation::kGroupWs ? StandardiseWeight(Weight()) : Weight();
  const at::Tensor y = Convolve(x, weight, {}, Activation::kNone);
  return Activate(
      at::group_norm(y, y.size(1) / kChannelsPerGroup, statistics_.gamma, statistics_.beta, kGroupNormEpsilon),
      settings_.activation);
}

}  // namespace hemafed::learning
