// learning/features/autoencoder/autoencoder_round.h
// SPDX-License-Identifier: Apache-2.0
//
// One site's share of one federated round of training an autoencoder: S steps from the round's base on the cells of its
// own pictures, with a fresh Adam, the loss of autoencoder_loss.h, and the domain term against what the consortium
// published (alignment.h) where latents are aligned.
//
// Which cells are in a batch follows from the settings' seed and the step's place among all of the site's steps in the
// task (cell_batches.h): rounds go on in the same epochs, so that with few steps a round no cell is left out, and a
// round that was killed is repeated with the same bits on the same machine class. With the first step 0 these are the
// steps of AutoencoderTraining.
//
// Errors: Error(kInvalidInput) for settings or cells that do not fit, and moments of another width; kConflict when the
// loss is no longer finite; whatever `on_step` throws. Thread-safety: one thread; sets LibTorch's threads for the
// process.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "learning/features/autoencoder/autoencoder_settings.h"
#include "learning/features/autoencoder/autoencoder_training.h"

namespace hemafed::learning {

struct AutoencoderSteps {
  std::uint64_t first = 0;  // Place of the round's first step among all of the task.
  std::uint32_t count = 0;
};

// Means over the round's steps.
struct AutoencoderRoundReport {
  double loss = 0.0;          // The whole of it, beta included.
  double domains = 0.0;       // The domain term alone, without beta.
  std::uint64_t terms = 0;    // Pairs of domains, counted over all steps.
  std::uint64_t skipped = 0;  // Pairs without enough cells in a batch.
};

// Changes `model` in place. `settings.epochs` says nothing here. `published`: with the method alignment only, and then
// always; the cells are all of its own domain. `on_step` gets the steps done.
[[nodiscard]] AutoencoderRoundReport TrainAutoencoderRound(const FeatureCache& cells, CellAutoencoder& model,
                                                           const AutoencoderSettings& settings,
                                                           const std::optional<PublishedMoments>& published,
                                                           AutoencoderSteps steps,
                                                           const std::function<void(std::uint32_t)>& on_step = {});

}  // namespace hemafed::learning
