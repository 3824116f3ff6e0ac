// learning/features/autoencoder/cell_batches.h
// SPDX-License-Identifier: Apache-2.0
//
// Batches of a feature cache as the autoencoder takes them, and the latents of all its cells.
//
// Which cells are in which batch is a pure function of (seed, step): epoch e has the Fisher-Yates order of
// RandomStream(DeriveSeed(seed, "cells"), e) over all cells of all domains, mixed, cut into batches; the last batch of
// an epoch is what is left. So a run that was killed needs no position of a loader.
//
// Errors: Error(kInvalidInput) for an empty cache, a batch of 0, or features that cannot be scaled; those of
// FeatureCache. Thread-safety: one thread a cache.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "learning/features/autoencoder/cell_autoencoder.h"
#include "learning/features/autoencoder/feature_cache.h"

namespace hemafed::learning {

struct CellBatch {
  at::Tensor features;                 // [N, 256, 14, 14] in [-1, 1]
  at::Tensor pictures;                 // [N, 3, 128, 128] in [0, 1]
  std::vector<std::uint32_t> domains;  // [N]
};

[[nodiscard]] CellBatch ReadCells(const FeatureCache& cache, std::span<const std::uint32_t> cells, at::Device device);

class CellDraws {
 public:
  CellDraws(std::uint64_t seed, std::uint32_t cells, std::uint32_t batch);

  [[nodiscard]] std::uint32_t StepsPerEpoch() const { return steps_per_epoch_; }
  [[nodiscard]] std::vector<std::uint32_t> Cells(std::uint64_t step);

 private:
  std::uint64_t seed_;
  std::uint32_t cells_, batch_, steps_per_epoch_;
  std::uint64_t epoch_ = UINT64_MAX;  // of order_
  std::vector<std::uint32_t> order_;
};

// [cells, L] on the CPU, in the order of the cache; `batch` cells at a time.
[[nodiscard]] at::Tensor LatentsOf(const CellAutoencoder& model, const FeatureCache& cache, std::uint32_t batch = 64);

}  // namespace hemafed::learning
