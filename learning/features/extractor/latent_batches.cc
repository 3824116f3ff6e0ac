// SPDX-License-Identifier: Apache-2.0
#include "learning/features/extractor/latent_batches.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <utility>

#include "common/error.h"

namespace hemafed::learning {

LatentBatches::LatentBatches(const LatentTable& table, const DomainPictures& pictures,
                             std::vector<std::uint32_t> positions)
    : table_(table), pictures_(pictures), positions_(std::move(positions)) {
  const std::size_t pictures_there = pictures_.index().pictures.size();
  for (std::size_t i = 0; i < positions_.size(); ++i) {
    if (positions_[i] < pictures_there && (i == 0 || positions_[i] > positions_[i - 1])) continue;
    throw Error(ErrorCode::kInvalidInput, "positions of " + pictures_.index().domain + " must ascend and stay below " +
                                              std::to_string(pictures_there));
  }
}

std::int64_t LatentBatches::Label(std::size_t index) const { return pictures_.Label(positions_.at(index)); }

Digest LatentBatches::PictureDigest(std::size_t index) const {
  return pictures_.index().pictures[positions_.at(index)].digest;
}

Batch LatentBatches::Get(std::span<const std::uint32_t> indices,
                         const std::optional<AugmentationKey>& /*augmentation*/) {
  const auto rows = static_cast<std::int64_t>(indices.size());
  const auto width = static_cast<std::int64_t>(table_.width());
  Batch batch{at::empty({rows, width, 1, 1}, at::kFloat), at::empty({rows}, at::kLong)};
  auto* const values = batch.images.data_ptr<float>();
  auto* const labels = batch.labels.data_ptr<std::int64_t>();
  for (std::int64_t k = 0; k < rows; ++k) {
    const std::uint32_t position = positions_.at(indices[static_cast<std::size_t>(k)]);
    const auto latent = table_.At(position);
    std::copy(latent.begin(), latent.end(), values + k * width);
    labels[k] = pictures_.Label(position);
  }
  return batch;
}

}  // namespace hemafed::learning
