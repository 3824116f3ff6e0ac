// tests/learning/memory_source.h
// SPDX-License-Identifier: Apache-2.0
//
// A source of batches over tensors in memory. The digest of picture i is that of its number; augmentation adds a
// constant that depends on the key and the place in the batch, so tests can see that it was asked for and how.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <utility>
#include <vector>

#include "learning/continual/batch_source.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning::testing_support {

class MemorySource final : public BatchSource {
 public:
  MemorySource(at::Tensor pictures, std::vector<std::int64_t> labels)
      : pictures_(std::move(pictures)), labels_(std::move(labels)) {}

  [[nodiscard]] std::size_t Size() const override { return labels_.size(); }
  [[nodiscard]] std::int64_t Label(std::size_t index) const override { return labels_[index]; }
  [[nodiscard]] Digest PictureDigest(std::size_t index) const override { return Sha256Of(std::to_string(index)); }
  [[nodiscard]] Batch Get(std::span<const std::uint32_t> indices,
                          const std::optional<AugmentationKey>& augmentation) override {
    std::vector<at::Tensor> chosen;
    std::vector<std::int64_t> labels;
    for (std::size_t k = 0; k < indices.size(); ++k) {
      double change = 0.0;
      if (augmentation) {
        const PhiloxBlock words = Philox4x32(augmentation->seed, {augmentation->step, static_cast<std::uint32_t>(k)});
        change = words[0] * 0x1p-34;
      }
      chosen.push_back(pictures_[indices[k]] + change);
      labels.push_back(labels_[indices[k]]);
    }
    if (augmentation) augmentations.push_back(*augmentation);
    ++batches;
    return {at::stack(chosen), at::tensor(labels, at::kLong)};
  }

  std::vector<AugmentationKey> augmentations;  // of the batches asked for with one
  int batches = 0;

 private:
  at::Tensor pictures_;
  std::vector<std::int64_t> labels_;
};

// `count` pictures of side x side pixels in `classes` classes (label = number % classes) that a small network can tell
// apart: class c brightens one of three colours or, from class 3 on, one half of the picture.
inline MemorySource EasyPictures(std::int64_t count, std::int64_t classes, std::int64_t side, std::uint64_t seed,
                                 at::ScalarType type = at::kFloat) {
  at::Tensor pictures = Uniform(seed, {count, 3, side, side}, -1.0, 1.0, type);
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t label = i % classes;
    labels.push_back(label);
    if (label < 3) {
      pictures[i][label].add_(1.0);
    } else {
      pictures[i].narrow(1 + label % 2, 0, side / 2).add_(1.0);
    }
  }
  return {pictures, labels};
}

}  // namespace hemafed::learning::testing_support
