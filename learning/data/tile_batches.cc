// SPDX-License-Identifier: Apache-2.0
#include "learning/data/tile_batches.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <utility>

#include "common/error.h"

namespace hemafed::learning {

namespace {

std::vector<std::int64_t> LabelsOf(const DatasetIndex& index, std::span<const std::string> plan_classes) {
  std::vector<std::int64_t> labels;
  for (const std::string& name : index.classes) {
    const auto found = std::find(plan_classes.begin(), plan_classes.end(), name);
    if (found == plan_classes.end()) {
      throw Error(ErrorCode::kInvalidInput, "the pictures of " + index.domain + " have the class '" + name +
                                                "', which the plan does not have; import them with another label map");
    }
    labels.push_back(found - plan_classes.begin());
  }
  return labels;
}

}  // namespace

TileBatches::TileBatches(TileCache cache, const DatasetIndex& index, std::span<const std::uint32_t> positions,
                         std::span<const std::string> plan_classes, const AugmentationPlan& augmentation,
                         const PixelScale& normalisation, TileThreads threads)
    : cache_(std::move(cache)), augmentation_(augmentation), normalisation_(normalisation), threads_(threads) {
  if (cache_.size() != index.pictures.size()) {
    throw Error(ErrorCode::kInvalidInput, cache_.path().string() + " holds the tiles of another index");
  }
  const std::vector<std::int64_t> labels = LabelsOf(index, plan_classes);
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const std::uint32_t position = positions[i];
    if (position >= index.pictures.size() || (i > 0 && position <= positions[i - 1])) {
      throw Error(ErrorCode::kInvalidInput, "positions of " + index.domain + " must ascend and stay below " +
                                                std::to_string(index.pictures.size()));
    }
    const PictureEntry& picture = index.pictures[position];
    entries_.push_back({position, labels[picture.class_index], picture.digest});
  }
}

Batch BatchOfTiles(std::size_t count, std::uint32_t side,
                   const std::function<std::int64_t(std::size_t place, std::span<std::uint8_t> tile)>& read,
                   const AugmentationPlan& allowed, const std::optional<AugmentationKey>& augmentation,
                   const PixelScale& normalisation, TileThreads threads) {
  const auto rows = static_cast<std::int64_t>(count);
  const std::size_t tile_bytes = TileShape{.side = side, .crop = 0}.Bytes();
  std::vector<std::uint8_t> tiles(count * tile_bytes);
  Batch batch{at::empty({rows, 3, side, side}, at::kFloat), at::empty({rows}, at::kLong)};
  auto* const labels = batch.labels.data_ptr<std::int64_t>();
  for (std::size_t k = 0; k < count; ++k) labels[k] = read(k, std::span(tiles).subspan(k * tile_bytes, tile_bytes));
  auto* const images = batch.images.data_ptr<float>();
  const auto augment = [&](std::int64_t begin, std::int64_t end) {
    for (auto k = static_cast<std::size_t>(begin); k < static_cast<std::size_t>(end); ++k) {
      const Variant variant =
          augmentation ? DrawVariant(allowed, augmentation->seed, augmentation->step, static_cast<std::uint32_t>(k))
                       : Variant{};
      ApplyVariant(std::span(tiles).subspan(k * tile_bytes, tile_bytes), side, variant, normalisation,
                   {images + k * tile_bytes, tile_bytes});
    }
  };
  if (threads == TileThreads::kLibTorch) {
    at::parallel_for(0, rows, 1, augment);
  } else {
    augment(0, rows);
  }
  return batch;
}

Batch TileBatches::Get(std::span<const std::uint32_t> indices, const std::optional<AugmentationKey>& augmentation) {
  const auto read = [&](std::size_t k, std::span<std::uint8_t> tile) {
    const Entry& entry = entries_.at(indices[k]);
    cache_.Read(entry.position, tile);
    return entry.label;
  };
  return BatchOfTiles(indices.size(), cache_.shape().side, read, augmentation_, augmentation, normalisation_, threads_);
}

}  // namespace hemafed::learning
