// learning/features/autoencoder/autoencoder_settings.h
// SPDX-License-Identifier: Apache-2.0
//
// What fixes a training run of the autoencoder, beside its first weights and its cells. The defaults are AE-CFE's
// (published-systems, 3.4 and 3.5); each named constructor is one row of the thesis's table 3.2.
//
// Errors: Error(kInvalidInput) that names the setting. Thread-safety: value types.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "learning/features/autoencoder/adversary.h"
#include "learning/features/autoencoder/alignment.h"
#include "learning/features/autoencoder/autoencoder_loss.h"

namespace hemafed::learning {

inline constexpr std::uint32_t kMaxAutoencoderEpochs = 100'000;
inline constexpr std::uint32_t kMaxAutoencoderBatch = 65'536;  // cells; as float32 features 13 GB

enum class DomainMethod : std::uint8_t {
  kNone,         // AE-RF: no domain term
  kAlignment,    // AE-CFE: moments of the source and each other domain
  kNormal,       // ND-AE-DA: moments of each domain and the standard normal distribution
  kAdversarial,  // AAE-DA: a discriminator of domains
};
[[nodiscard]] std::string_view DomainMethodName(DomainMethod method);  // "none", "alignment", "normal", "adversarial"

struct AutoencoderSettings {
  std::uint32_t epochs = 150;
  std::uint32_t batch = 1'500;
  // Cells decoded at a time: bounds memory (43 MB a cell), does not change what is computed beyond rounding.
  std::uint32_t decode_cells = 32;
  double learning_rate = 1e-3;  // Adam, beta 0.9 and 0.999, epsilon 1e-8
  PictureLoss picture_loss;     // SSIM, window 10
  DomainMethod method = DomainMethod::kAlignment;
  double beta = kPublishedAlignmentWeight;
  std::uint32_t source = 0;  // domain of the alignment's pairs: Matek-19 as published
  AdversarySettings adversary;
  std::uint64_t seed = 0;  // of batches and adversary
  int threads = 1;

  [[nodiscard]] static AutoencoderSettings AeCfe() { return {}; }
  [[nodiscard]] static AutoencoderSettings WithoutAlignment();
  [[nodiscard]] static AutoencoderSettings NormalVariant();
  [[nodiscard]] static AutoencoderSettings AdversarialVariant();
};

// All that the settings can say about themselves; whether the source domain has cells is seen where the cells are.
void CheckSettings(const AutoencoderSettings& settings);
// Every setting by name; equal settings give equal texts.
[[nodiscard]] nlohmann::json ToJson(const AutoencoderSettings& settings);

}  // namespace hemafed::learning
