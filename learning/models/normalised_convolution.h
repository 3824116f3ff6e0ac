// learning/models/normalised_convolution.h
// SPDX-License-Identifier: Apache-2.0
//
// A convolution without bias, one of the normalisations of architecture.h, and an activation: what every trunk is made
// of. With y = conv(x, w), channel c, scale gamma and shift beta:
//
//     batch norm    gamma_c (y - mean_c) / sqrt(var_c + eps) + beta_c
//     group norm    the same, mean and variance over the pixels of one picture in c's group of 8 channels
//
// Running statistics are folded into weight and shift (convolution.h): no pass over the activations; in reduced
// precision not where a layer has more weights than results. While training
// with batch or batch_local, mean_c and var_c are those of the batch (population variance over its n = N H W values)
// and
//
//     running_mean <- 0.9 running_mean + 0.1 mean_c,   running_var <- 0.9 running_var + 0.1 var_c n / (n - 1).
//
// Shapes: x [N, in, H, W]; the result [N, out, ceil(H / stride), ceil(W / stride)].
//
// Errors: Error(kInvalidInput) where a batch has only one value a channel, which has no variance.
// Thread-safety: Apply may run concurrently in Phase::kEvaluation.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>

#include "learning/models/architecture.h"
#include "learning/models/convolution.h"

namespace hemafed::learning {

using TensorsByName = std::map<std::string, at::Tensor>;

// Whether the pass belongs to a training step. Decides where batch and batch_local take their statistics from.
enum class Phase : std::uint8_t { kEvaluation, kTraining };

// Share of the newest batch in the running statistics: LibTorch's default.
inline constexpr double kRunningMomentum = 0.1;

// All layers of a trunk have these in common.
struct NormalisationSettings {
  Normalisation normalisation;
  double batch_epsilon;
};

enum class Padding : std::uint8_t { kSame, kSymmetric };

struct ConvolutionSettings {
  int stride;
  std::int64_t groups;
  Padding padding;
  Activation activation;
};

class NormalisedConvolution {
 public:
  // Shares the tensors "<convolution>.weight", "<norm>.weight", "<norm>.bias" and, with running statistics,
  // "<norm>.running_mean" and "<norm>.running_var". Throws std::out_of_range where one is missing.
  NormalisedConvolution(const TensorsByName& tensors, const std::string& convolution, const std::string& norm,
                        const NormalisationSettings& normalisation, const ConvolutionSettings& settings);

  [[nodiscard]] at::Tensor Apply(const at::Tensor& x, Phase phase) const;

 private:
  [[nodiscard]] at::Tensor Weight() const;
  [[nodiscard]] at::Tensor Convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                    Activation activation) const;
  [[nodiscard]] at::Tensor ByBatchStatistics(const at::Tensor& x) const;
  // Running statistics, applied to the convolution's results instead of its weights.
  [[nodiscard]] at::Tensor Unfolded(const at::Tensor& x) const;
  [[nodiscard]] bool FoldingCostsMore(const at::Tensor& x) const;

  std::string norm_;  // The place, for messages.
  NormalisationSettings normalisation_;
  ConvolutionSettings settings_;
  at::Tensor weight_;
  FrozenBatchNorm statistics_;  // Mean and variance are undefined without running statistics.
};

}  // namespace hemafed::learning
