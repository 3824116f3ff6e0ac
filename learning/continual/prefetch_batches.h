// learning/continual/prefetch_batches.h
// SPDX-License-Identifier: Apache-2.0
//
// The next batches of a BatchSource, made on threads of their own while training uses the last one (prefetch.h has
// order, bounds and errors). A batch is a function of its request alone (batch_source.h), so the bits are those of
// calling Get in turn, with any number of threads.
//
// With more than one thread the source must allow calls of Get at the same time; TileBatches does. Give that one
// TileThreads::kCaller, or each loader brings a team of LibTorch's threads along, which competes with training.
//
// Thread-safety: one thread takes. While batches are fetched ahead, nobody else uses a source that is not itself safe.
#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "learning/continual/batch_source.h"
#include "learning/continual/prefetch.h"

namespace hemafed::learning {

struct BatchRequest {
  std::vector<std::uint32_t> indices;
  std::optional<AugmentationKey> augmentation;
};

class PrefetchBatches {
 public:
  // `source` is borrowed. `next_request` returns nothing after the last one; it is called in order, from the loaders'
  // threads, one at a time.
  PrefetchBatches(BatchSource& source, std::function<std::optional<BatchRequest>()> next_request,
                  const PrefetchSettings& settings)
      : ahead_(
            [&source, next = std::move(next_request)]() -> std::optional<OrderedPrefetch<Batch>::Job> {
              std::optional<BatchRequest> request = next();
              if (!request) return std::nullopt;
              return [&source, request = *std::move(request)] {
                return source.Get(request.indices, request.augmentation);
              };
            },
            settings) {}

  // The next batch, or nothing after the last. Throws what the source or the request threw.
  [[nodiscard]] std::optional<Batch> Next() { return ahead_.Next(); }

 private:
  OrderedPrefetch<Batch> ahead_;
};

}  // namespace hemafed::learning
