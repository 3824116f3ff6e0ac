// learning/features/autoencoder/autoencoder_training.h
// SPDX-License-Identifier: Apache-2.0
//
// Trains the autoencoder on a feature cache (published-systems, 3.5): Adam, batches drawn over all domains mixed
// (cell_batches.h), the loss of autoencoder_loss.h. There is no validation: as published, all cells are seen.
//
//     FeatureCache cells = FeatureCache::Open(files, "cells.hfc");
//     AutoencoderTraining training(cells, InitialAutoencoder(50, seed), AutoencoderSettings::AeCfe());
//     training.KeepCheckpoints(files, "run", 50);
//     if (HasCheckpoint(files, "run")) training.Resume();
//     training.Run(progress);
//     SaveAutoencoder(files, "autoencoder.safetensors", training.model());
//
// Batches, first weights and adversary follow from settings, so a run that was killed at any step goes on from its
// checkpoint (learning/continual/checkpoint.h) with the same bits on the same machine class.
//
// A domain with fewer than two cells in a batch is left out of that step's domain term; reports say how often.
//
// Federated alignment: with PublishedMoments the cells are one domain's alone and are aligned with what the consortium
// published (alignment.h).
//
// Errors: Error(kInvalidInput) for settings, cells or checkpoints that do not fit, and for the method alignment where
// no pair of domains has two cells each (published ones counted), which would train without it in silence; kConflict
// when the loss is no longer finite, with the model as it was before that step; kInterrupted when `progress` asks to
// stop, after a checkpoint if they are kept. Thread-safety: one thread; sets LibTorch's threads for the process.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "learning/continual/optimiser.h"
#include "learning/features/autoencoder/autoencoder_loss.h"
#include "learning/features/autoencoder/autoencoder_settings.h"
#include "learning/features/autoencoder/cell_batches.h"

namespace hemafed::learning {

struct PublishedMoments {
  std::uint32_t own = 0;  // domain of these cells
  std::vector<PublishedDomain> domains;
};

// Means over the cells of an epoch; `domains` and `discriminator` over its steps.
struct AutoencoderEpoch {
  double features = 0.0;
  double pictures = 0.0;
  double domains = 0.0;        // without beta
  double discriminator = 0.0;  // the adversary's own loss
  std::uint64_t terms = 0;     // of domain terms, counted
  std::uint64_t skipped = 0;
};

struct AutoencoderProgress {
  std::uint64_t step = 0;  // done so far
  std::uint64_t steps = 0;
  std::uint32_t epoch = 0;  // of the last step, from 0
  BatchLosses last;
};
// Called after every step; false asks to stop.
using AutoencoderCallback = std::function<bool(const AutoencoderProgress&)>;

class AutoencoderTraining {
 public:
  // `cells` is borrowed and must outlive the training. The model's device is where it trains.
  AutoencoderTraining(const FeatureCache& cells, CellAutoencoder model, const AutoencoderSettings& settings,
                      std::optional<PublishedMoments> published = std::nullopt);

  // From now on a checkpoint after every `every_steps` steps and at the end; `files` is borrowed.
  void KeepCheckpoints(FileSystem& files, Path folder, std::uint32_t every_steps);
  // Goes on from the checkpoint in that folder. A training that could not resume must not be used further.
  void Resume();

  [[nodiscard]] bool Finished() const { return step_ == total_steps_; }
  BatchLosses Step();
  void Run(const AutoencoderCallback& progress = {});

  [[nodiscard]] const CellAutoencoder& model() const { return model_; }
  [[nodiscard]] std::uint64_t steps_done() const { return step_; }
  [[nodiscard]] std::uint64_t total_steps() const { return total_steps_; }
  // Of every whole epoch so far.
  [[nodiscard]] std::vector<AutoencoderEpoch> Epochs() const;

 private:
  [[nodiscard]] DomainTerm TermOf(const at::Tensor& latents, const std::vector<std::uint32_t>& domains);
  [[nodiscard]] std::vector<std::uint32_t> AdversaryLabels(const std::vector<std::uint32_t>& domains) const;
  void Note(const BatchLosses& losses, std::size_t cells, double discriminator);
  void SaveCheckpoint() const;
  [[nodiscard]] nlohmann::json Identity() const;

  const FeatureCache* cells_;
  CellAutoencoder model_;
  AutoencoderSettings settings_;
  std::optional<PublishedMoments> published_;
  Digest initial_;
  CellDraws draws_;
  std::unique_ptr<Optimiser> optimiser_;
  std::optional<Adversary> adversary_;
  std::unique_ptr<Optimiser> adversary_optimiser_;
  std::uint64_t step_ = 0;
  std::uint64_t total_steps_ = 0;
  std::vector<double> sums_;  // kSums of each epoch begun, one after another
  FileSystem* files_ = nullptr;
  Path folder_;
  std::uint32_t every_steps_ = 0;
};

}  // namespace hemafed::learning
