// learning/features/autoencoder/latent_scale.h
// SPDX-License-Identifier: Apache-2.0
//
// How an extractor spreads an autoencoder's latents for whoever learns from them. Alignment draws hospitals together by
// making all latents nearly equal: on the sample pictures numbers of about 0.36 differ by 0.003 from cell to cell, and
// a network that sees them so sees one picture. With mean m and standard deviation s of each number over the cells that
// the autoencoder was trained on,
//
//     z' = clamp((z - m) / (8 s), -1, 1)
//
// Eight standard deviations keep nearly all cells off the ends, and the range is that of the encoder's tanh, so that
// moments of z' (codec/latent_moments.h) can be sent too. Forests do not need it: no order changes.
//
// Kept in the autoencoder's file as two further tensors, "latent.mean" and "latent.deviation" [L]: a plan that names
// the file by digest names its scale. Autoencoders that are still to be trained have none.
//
// Errors: kInvalidInput for moments of fewer than two cells. Thread-safety: value type, free function.
#pragma once

#include <span>
#include <vector>

#include "codec/latent_moments.h"

namespace hemafed::learning {

inline constexpr float kLatentSpread = 8.0F;  // Standard deviations to each end.
// A number that never changes becomes 0: one step of the grid that moments are counted on.
inline constexpr float kLeastLatentDeviation = 1.0F / kMaxLatentSteps;

struct LatentScale {
  std::vector<float> mean;       // [L] in [-1, 1]
  std::vector<float> deviation;  // [L] at least kLeastLatentDeviation

  void Apply(std::span<float> latent) const;
};

[[nodiscard]] LatentScale ScaleOf(const LatentMoments& moments);

}  // namespace hemafed::learning
