// learning/features/autoencoder/adversary.h
// SPDX-License-Identifier: Apache-2.0
//
// The discriminator of the adversarial variant, AAE-DA (published-systems, 3.4): three linear layers with ReLU between
// them tell from a latent which hospital the cell is from; the encoder is trained so that they cannot (Ganin et al.,
// JMLR 2016).
//
//     discriminator minimises        beta NLL(D(z), domain)                   z taken as a constant
//     encoder adds to its loss       -beta NLL(D(z), domain)                  D taken as a constant    (kReversed)
//                               or   beta mean over domains of -log D(z)_d    cross-entropy to "any"   (kUniform)
//
// NLL is the mean over the batch of -log softmax(D(z))_domain. The thesis gives the layers, their linear output, the
// NLL, Adam 1e-3 twice and one beta for both terms, but neither widths nor which of the two forms the encoder's term
// has. kReversed is the plain reading of a minimax game, but has no lower bound; kUniform has one, ln(domains), where D
// knows nothing, and is the default.
//
// Shapes: latents [N, L] -> scores [N, domains]. Tensors: "0.weight" [h1, L], "0.bias", "1.weight" [h2, h1], "1.bias",
// "2.weight" [domains, h2], "2.bias"; initial values as PyTorch's linear layers (uniform_weights.h).
//
// Errors: Error(kInvalidInput) for widths or domains out of range or a state of another shape.
// Thread-safety: one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "learning/continual/tensor_map.h"

namespace hemafed::learning {

inline constexpr std::int64_t kMaxAdversaryWidth = 4'096;  // four times the widest latent

enum class AdversaryGoal : std::uint8_t { kUniform, kReversed };
[[nodiscard]] std::string_view AdversaryGoalName(AdversaryGoal goal);  // "uniform", "reversed"

struct AdversarySettings {
  std::array<std::int64_t, 2> widths = {128, 64};  // ours: nowhere stated
  double learning_rate = 1e-3;
  AdversaryGoal goal = AdversaryGoal::kUniform;
};

// Throws for widths out of range, a goal that does not exist or a learning rate that is not above 0.
void CheckSettings(const AdversarySettings& settings);

class Adversary {
 public:
  // `domains`: how many there are, at least 2; labels are 0 .. domains - 1.
  Adversary(std::int64_t latent_size, std::int64_t domains, const AdversarySettings& settings, std::uint64_t seed,
            at::Device device = at::kCPU);

  [[nodiscard]] at::Tensor Scores(const at::Tensor& latents) const;
  // What the discriminator minimises; differentiable in its own tensors alone.
  [[nodiscard]] at::Tensor OwnLoss(const at::Tensor& latents, std::span<const std::uint32_t> labels) const;
  // What the encoder adds, without beta; differentiable in `latents` alone.
  [[nodiscard]] at::Tensor EncoderTerm(const at::Tensor& latents, std::span<const std::uint32_t> labels) const;

  // In the order of their names; they want gradients.
  [[nodiscard]] const std::vector<at::Tensor>& trained() const { return tensors_; }
  [[nodiscard]] TensorMap State() const;
  void SetState(const TensorMap& state);

 private:
  [[nodiscard]] at::Tensor Run(const at::Tensor& latents, bool constant) const;

  std::int64_t domains_;
  AdversaryGoal goal_;
  std::vector<at::Tensor> tensors_;  // bias, weight of layer 0, of layer 1, of layer 2
};

}  // namespace hemafed::learning
