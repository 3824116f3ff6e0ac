// learning/data/tile_batches.h
// SPDX-License-Identifier: Apache-2.0
//
// Tiles on disk as the BatchSource that training, selection and evaluation take: the only file of learning/data that
// knows LibTorch.
//
// A source is a list of positions of one index, for example its training pictures or a site's exemplars. Labels are
// those of the plan: the index's class names are looked up among the plan's classes, in whatever order each has them.
// Tiles of one batch are augmented on as many threads as LibTorch uses inside operations, or by the caller alone; each
// tile is computed by one thread from its own words, so the bits do not depend on how many there are.
//
// Memory: the tiles and the tensor of one batch. Errors: Error(kInvalidInput) a class of the index is not in the plan,
// positions out of range or not ascending; kCorrupt from the cache.
// Thread-safety: any thread, also several at once (prefetch_batches.h).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/plan.h"
#include "learning/continual/batch_source.h"
#include "learning/data/augment.h"
#include "learning/data/dataset_index.h"
#include "learning/data/tile_cache.h"

namespace hemafed::learning {

// Who augments the tiles of a batch.
enum class TileThreads : std::uint8_t {
  kLibTorch,  // LibTorch's threads, the caller among them: for a caller that waits for the batch.
  kCaller,    // The calling thread: for loaders that work beside training.
};

// A batch as TileBatches makes it, of tiles from anywhere: `read` fills the tile of one place in the batch and returns
// its label. The threads that augment do not call it.
[[nodiscard]] Batch BatchOfTiles(
    std::size_t count, std::uint32_t side,
    const std::function<std::int64_t(std::size_t place, std::span<std::uint8_t> tile)>& read,
    const AugmentationPlan& allowed, const std::optional<AugmentationKey>& augmentation,
    const PixelScale& normalisation, TileThreads threads);

class TileBatches final : public BatchSource {
 public:
  // `positions` are ascending positions of `index`, which the cache was built from. `plan_classes` fixes the labels.
  TileBatches(TileCache cache, const DatasetIndex& index, std::span<const std::uint32_t> positions,
              std::span<const std::string> plan_classes, const AugmentationPlan& augmentation,
              const PixelScale& normalisation = {}, TileThreads threads = TileThreads::kLibTorch);

  [[nodiscard]] std::size_t Size() const override { return entries_.size(); }
  [[nodiscard]] std::int64_t Label(std::size_t index) const override { return entries_.at(index).label; }
  [[nodiscard]] Digest PictureDigest(std::size_t index) const override { return entries_.at(index).digest; }
  [[nodiscard]] Batch Get(std::span<const std::uint32_t> indices,
                          const std::optional<AugmentationKey>& augmentation) override;

 private:
  struct Entry {
    std::uint32_t position = 0;  // in the cache
    std::int64_t label = 0;
    Digest digest;
  };

  TileCache cache_;
  std::vector<Entry> entries_;
  AugmentationPlan augmentation_;
  PixelScale normalisation_;
  TileThreads threads_;
};

}  // namespace hemafed::learning
