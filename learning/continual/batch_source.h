// learning/continual/batch_source.h
// SPDX-License-Identifier: Apache-2.0
//
// Where training, selection and evaluation take their pictures from. learning/data implements it over tiles on disk;
// tests implement it over tensors in memory.
//
// A source is an ordered list of labelled pictures, ascending by the SHA-256 of the picture's file (design 11.9), so
// that an index means the same picture in every run. Labels are class indices of the plan.
//
// Thread-safety: used from one thread at a time, which may not be the one that made it; an implementation may allow
// more.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "common/sha256.h"

namespace hemafed::learning {

struct Batch {
  at::Tensor images;  // float32 [N, 3, H, W], normalised as the model expects; any memory format
  at::Tensor labels;  // int64 [N]
};

// Which variant of the pictures is asked for. The picture in place k of the batch is varied by words drawn from
// (seed, step, k) and nothing else, so a batch can be made again at any time, in any order.
struct AugmentationKey {
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
};

class BatchSource {
 public:
  virtual ~BatchSource() = default;

  [[nodiscard]] virtual std::size_t Size() const = 0;
  // Class index of one picture; index < Size().
  [[nodiscard]] virtual std::int64_t Label(std::size_t index) const = 0;
  // SHA-256 of the picture's file; index < Size().
  [[nodiscard]] virtual Digest PictureDigest(std::size_t index) const = 0;
  // The pictures with these indices in this order; an index may occur more than once. Without a key: not augmented.
  // Throws Error if a picture cannot be read.
  [[nodiscard]] virtual Batch Get(std::span<const std::uint32_t> indices,
                                  const std::optional<AugmentationKey>& augmentation) = 0;
};

}  // namespace hemafed::learning
