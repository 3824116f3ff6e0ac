// learning/continual/picture_view.h
// SPDX-License-Identifier: Apache-2.0
//
// A source made of chosen pictures of other sources, with labels of its own: how a learner sees one task's pictures,
// the exemplars it keeps, or both in one. Labels here are rows of the model's head, whatever the sources call a class.
//
// Pictures keep the order in which they were listed. A batch may mix sources; each is asked once, for its pictures in
// the order of the batch. Augmentation: source number s of the view varies its pictures by (DeriveSeed(seed, "source
// s"), step, place among its own pictures of the batch), so a batch can be made again at any time.
//
// The sources are borrowed and must outlive the view.
//
// Errors: Error(kInvalidInput) if pictures of one batch differ in size, or a picture is out of range; those of the
// sources. Thread-safety: one thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "learning/continual/batch_source.h"

namespace hemafed::learning {

struct PictureRef {
  std::uint32_t source = 0;  // position among the view's sources
  std::uint32_t index = 0;   // in that source
  std::int64_t row = 0;      // label to report
};

class PictureView final : public BatchSource {
 public:
  PictureView(std::vector<BatchSource*> sources, std::vector<PictureRef> pictures);

  [[nodiscard]] std::size_t Size() const override { return pictures_.size(); }
  [[nodiscard]] std::int64_t Label(std::size_t index) const override { return pictures_.at(index).row; }
  [[nodiscard]] Digest PictureDigest(std::size_t index) const override;
  [[nodiscard]] Batch Get(std::span<const std::uint32_t> indices,
                          const std::optional<AugmentationKey>& augmentation) override;

  [[nodiscard]] const std::vector<BatchSource*>& sources() const { return sources_; }
  [[nodiscard]] const std::vector<PictureRef>& pictures() const { return pictures_; }
  // One label a picture.
  [[nodiscard]] std::vector<std::int64_t> Labels() const;

 private:
  std::vector<BatchSource*> sources_;
  std::vector<PictureRef> pictures_;
};

}  // namespace hemafed::learning
