// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/picture_view.h"

#include <ATen/ATen.h>

#include <string>
#include <utility>

#include "common/error.h"
#include "common/random.h"

namespace hemafed::learning {

PictureView::PictureView(std::vector<BatchSource*> sources, std::vector<PictureRef> pictures)
    : sources_(std::move(sources)), pictures_(std::move(pictures)) {
  for (const PictureRef& picture : pictures_) {
    if (picture.source >= sources_.size() || picture.index >= sources_[picture.source]->Size()) {
      throw Error(ErrorCode::kInvalidInput, "a view names picture " + std::to_string(picture.index) + " of source " +
                                                std::to_string(picture.source) + ", which does not exist");
    }
  }
}

Digest PictureView::PictureDigest(std::size_t index) const {
  const PictureRef& picture = pictures_.at(index);
  return sources_[picture.source]->PictureDigest(picture.index);
}

std::vector<std::int64_t> PictureView::Labels() const {
  std::vector<std::int64_t> labels;
  labels.reserve(pictures_.size());
  for (const PictureRef& picture : pictures_) labels.push_back(picture.row);
  return labels;
}

Batch PictureView::Get(std::span<const std::uint32_t> indices, const std::optional<AugmentationKey>& augmentation) {
  std::vector<std::vector<std::uint32_t>> asked(sources_.size());  // Pictures of each source, ...
  std::vector<std::vector<std::int64_t>> places(sources_.size());  // ... and where in the batch they go.
  std::vector<std::int64_t> rows;
  for (const std::uint32_t index : indices) {
    const PictureRef& picture = pictures_.at(index);
    asked[picture.source].push_back(picture.index);
    places[picture.source].push_back(static_cast<std::int64_t>(rows.size()));
    rows.push_back(picture.row);
  }
  Batch batch;
  for (std::uint32_t s = 0; s < sources_.size(); ++s) {
    if (asked[s].empty()) continue;
    std::optional<AugmentationKey> key;
    if (augmentation) key = {DeriveSeed(augmentation->seed, "source " + std::to_string(s)), augmentation->step};
    const at::Tensor images = sources_[s]->Get(asked[s], key).images;
    if (asked[s].size() == rows.size()) {
      batch.images = images;
      break;
    }
    if (!batch.images.defined()) {
      std::vector<std::int64_t> shape = images.sizes().vec();
      shape[0] = static_cast<std::int64_t>(rows.size());
      batch.images = at::empty(shape, images.options(), images.suggest_memory_format());
    }
    if (images.sizes().slice(1) != batch.images.sizes().slice(1)) {
      throw Error(ErrorCode::kInvalidInput,
                  "pictures of one batch differ in size; import all domains at the same number of pixels");
    }
    for (std::size_t k = 0; k < places[s].size(); ++k) {
      batch.images.select(0, places[s][k]).copy_(images.select(0, static_cast<std::int64_t>(k)));
    }
  }
  batch.labels = at::tensor(rows, at::kLong);
  return batch;
}

}  // namespace hemafed::learning
