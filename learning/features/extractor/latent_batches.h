// learning/features/extractor/latent_batches.h
// SPDX-License-Identifier: Apache-2.0
//
// Latents as the BatchSource that training, selection and evaluation take: to a model of the architecture ae_cfe they
// are pictures [N, width, 1, 1]. A plan of that architecture has no augmentation, so a key changes nothing.
//
// Errors: kInvalidInput for positions that are out of range or do not ascend.
// Thread-safety: any thread, also several at once. Table and pictures are borrowed and must outlive the source.
#pragma once

#include <vector>

#include "learning/continual/batch_source.h"
#include "learning/features/extractor/latent_table.h"

namespace hemafed::learning {

class LatentBatches final : public BatchSource {
 public:
  LatentBatches(const LatentTable& table, const DomainPictures& pictures, std::vector<std::uint32_t> positions);

  [[nodiscard]] std::size_t Size() const override { return positions_.size(); }
  [[nodiscard]] std::int64_t Label(std::size_t index) const override;
  [[nodiscard]] Digest PictureDigest(std::size_t index) const override;
  [[nodiscard]] Batch Get(std::span<const std::uint32_t> indices,
                          const std::optional<AugmentationKey>& augmentation) override;

 private:
  const LatentTable& table_;
  const DomainPictures& pictures_;
  std::vector<std::uint32_t> positions_;
};

}  // namespace hemafed::learning
