// learning/features/autoencoder/autoencoder_loss.h
// SPDX-License-Identifier: Apache-2.0
//
// The loss of one batch and its gradients (published-systems, 3.4), x the scaled features, p the target pictures:
//
//     z = encode(x),   x' = decode features(z),   p' = decode pictures(x')
//     loss = mean (x' - x)^2  +  (1 - SSIM(p', p))  +  beta * domain term(z)
//
// The thesis's table 3.1 also has columns with mean (p' - p)^2 in the place of 1 - SSIM.
//
// Memory: nearly all of it is the picture decoder's, 43 MB a cell with its gradients. Reconstruction of one cell does
// not depend on the others, so decoding runs `decode_cells` at a time and adds its gradients with respect to z; the
// encoder is then walked back once, with the domain term's gradient on top. Up to the order of sums that is the
// gradient of the whole batch.
//
// Errors: those of the parts. Thread-safety: one thread a model.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string_view>

#include "learning/features/autoencoder/alignment.h"
#include "learning/features/autoencoder/cell_autoencoder.h"
#include "learning/features/autoencoder/ssim.h"

namespace hemafed::learning {

// What a decoded picture is held to.
enum class PictureLossKind : std::uint8_t { kSsim, kSquaredError };
[[nodiscard]] std::string_view PictureLossName(PictureLossKind kind);  // "ssim", "mse"

struct PictureLoss {
  PictureLossKind kind = PictureLossKind::kSsim;
  SsimSettings ssim;  // of kSsim
};

struct BatchLosses {
  double features = 0.0;  // mean squared error
  double pictures = 0.0;  // 1 - SSIM, or mean squared error
  double domains = 0.0;   // without beta
  std::uint32_t terms = 0;
  std::uint32_t skipped = 0;
};

// A scalar of the latents, without beta; empty: none.
using DomainLoss = std::function<DomainTerm(const at::Tensor& latents)>;

// Adds the gradients to those of the model's tensors, which must be training. features [N, 256, 14, 14] in [-1, 1],
// pictures [N, 3, 128, 128] in [0, 1], N >= 1.
BatchLosses AddGradients(const CellAutoencoder& model, const at::Tensor& features, const at::Tensor& pictures,
                         const PictureLoss& picture_loss, std::uint32_t decode_cells, double beta,
                         const DomainLoss& domain_loss);

}  // namespace hemafed::learning
