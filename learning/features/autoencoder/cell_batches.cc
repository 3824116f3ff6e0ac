// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/cell_batches.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <numeric>

#include "common/error.h"
#include "common/random.h"
#include "learning/features/autoencoder/autoencoder_inputs.h"

namespace hemafed::learning {

CellBatch ReadCells(const FeatureCache& cache, std::span<const std::uint32_t> cells, at::Device device) {
  const auto count = static_cast<std::int64_t>(cells.size());
  at::Tensor features = at::empty({count, kCellFeatureChannels, kCellFeatureSide, kCellFeatureSide}, at::kFloat);
  at::Tensor pictures = at::empty({count, kCellPictureSide, kCellPictureSide, 3}, at::kByte);
  CellBatch batch;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    constexpr auto kValues = static_cast<std::size_t>(kCellFeatureValues);
    constexpr auto kBytes = static_cast<std::size_t>(kCellPictureBytes);
    cache.Read(cells[i], {features.mutable_data_ptr<float>() + i * kValues, kValues},
               {pictures.mutable_data_ptr<std::uint8_t>() + i * kBytes, kBytes});
    batch.domains.push_back(cache.Label(cells[i]).domain);
  }
  batch.features = ScaleFeatures(features.to(device));
  batch.pictures = PictureTargets(pictures.to(device));
  return batch;
}

CellDraws::CellDraws(std::uint64_t seed, std::uint32_t cells, std::uint32_t batch)
    : seed_(DeriveSeed(seed, "cells")), cells_(cells), batch_(std::min(batch, cells)) {
  if (batch_ == 0) throw Error(ErrorCode::kInvalidInput, "there are no cells to draw batches from");
  steps_per_epoch_ = (cells_ - 1) / batch_ + 1;
}

std::vector<std::uint32_t> CellDraws::Cells(std::uint64_t step) {
  if (const std::uint64_t epoch = step / steps_per_epoch_; epoch != epoch_) {
    RandomStream random(seed_, epoch);
    order_ = Permutation(cells_, random);
    epoch_ = epoch;
  }
  const auto first = static_cast<std::uint32_t>(step % steps_per_epoch_) * batch_;
  const std::uint32_t last = std::min(cells_ - first, batch_) + first;
  return {order_.begin() + first, order_.begin() + last};
}

at::Tensor LatentsOf(const CellAutoencoder& model, const FeatureCache& cache, std::uint32_t batch) {
  if (cache.size() == 0 || batch == 0) throw Error(ErrorCode::kInvalidInput, "there are no cells to encode");
  const at::NoGradGuard no_gradients;
  std::vector<std::uint32_t> cells(cache.size());
  std::iota(cells.begin(), cells.end(), 0u);
  std::vector<at::Tensor> parts;
  for (std::size_t first = 0; first < cells.size(); first += batch) {
    const auto part =
        std::span<const std::uint32_t>(cells).subspan(first, std::min<std::size_t>(batch, cells.size() - first));
    parts.push_back(model.Encode(ReadCells(cache, part, model.device()).features).cpu());
  }
  return at::cat(parts);
}

}  // namespace hemafed::learning
