// learning/features/detection/annotated_source.h
// SPDX-License-Identifier: Apache-2.0
//
// Annotated pictures (cells/annotated_picture.h) as a detector's training source: decoded when they are asked for,
// changed by a given augmentation, handed over as tensors. All cells have label 1: the detector finds, it does not
// classify.
//
// A domain may count several times, so that the few pictures with masks are not lost among those with boxes.
//
// Errors: those of AnnotatedDomain. Thread-safety: const functions may run concurrently if the augmentation may.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "learning/features/cells/annotated_picture.h"
#include "learning/features/detection/detector_source.h"

namespace hemafed::learning {

// A changed picture from (picture, place, epoch) alone. Its description must say all that decides the change.
struct PictureChange {
  std::function<AnnotatedPicture(const AnnotatedPicture&, std::uint64_t place, std::uint64_t epoch)> apply;
  std::string description;
};

// RGB pixels (CV_8UC3) as float32 [3,H,W] of 0..255.
[[nodiscard]] at::Tensor PictureTensor(const cv::Mat& rgb);
// Cells with sides below a pixel, which an augmentation can leave at a border, are left out.
[[nodiscard]] TrainingPicture ToTrainingPicture(const AnnotatedPicture& picture);

class AnnotatedSource final : public DetectorSource {
 public:
  explicit AnnotatedSource(PictureChange change = {}) : change_(std::move(change)) {}

  // `domain` is borrowed and must outlive the source. Every picture at `positions` counts `times` times.
  void Add(const AnnotatedDomain& domain, const std::vector<std::size_t>& positions, unsigned times = 1);

  [[nodiscard]] std::size_t size() const override { return items_.size(); }
  [[nodiscard]] bool HasMasks(std::size_t place) const override;
  [[nodiscard]] TrainingPicture Get(std::size_t place, std::uint64_t epoch) const override;
  [[nodiscard]] std::string Description() const override;

 private:
  struct Item {
    const AnnotatedDomain* domain;
    std::size_t position;
  };
  std::vector<Item> items_;
  PictureChange change_;
};

}  // namespace hemafed::learning
