// tests/learning/task_source.h
// SPDX-License-Identifier: Apache-2.0
//
// Pictures in memory as one task of a study: digests are those of "<name>/<number>", so tasks do not share pictures;
// class c (by index of the study) is bright in one colour and one half, so that a small network can tell classes apart,
// and every task adds its own shade, as hospitals do. Augmentation adds a constant drawn from the key and the place.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <utility>
#include <vector>

#include "learning/continual/learner.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning::testing_support {

class TaskSource final : public BatchSource {
 public:
  // `each` pictures of every class in `classes`, 3 x side x side.
  TaskSource(std::string name, std::vector<std::int64_t> classes, std::int64_t each, double shade = 0.0,
             std::int64_t side = 16)
      : name_(std::move(name)), classes_(std::move(classes)) {
    for (std::int64_t i = 0; i < each; ++i) {
      for (const std::int64_t label : classes_) labels_.push_back(label);
    }
    const auto count = static_cast<std::int64_t>(labels_.size());
    pictures_ = Uniform(Sha256Of(name_).bytes[0], {count, 3, side, side}, -1.0, 1.0) + shade;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t label = labels_[static_cast<std::size_t>(i)];
      at::Tensor colour = pictures_[i][label % 3];
      colour.narrow(0, label / 3 % 2 == 0 ? 0 : side / 2, side / 2).add_(2.0);
    }
  }

  [[nodiscard]] std::size_t Size() const override { return labels_.size(); }
  [[nodiscard]] std::int64_t Label(std::size_t index) const override { return labels_[index]; }
  [[nodiscard]] Digest PictureDigest(std::size_t index) const override {
    return Sha256Of(name_ + "/" + std::to_string(index));
  }
  [[nodiscard]] Batch Get(std::span<const std::uint32_t> indices,
                          const std::optional<AugmentationKey>& augmentation) override {
    std::vector<at::Tensor> chosen;
    std::vector<std::int64_t> labels;
    for (std::size_t k = 0; k < indices.size(); ++k) {
      double change = 0.0;
      if (augmentation) {
        change = Philox4x32(augmentation->seed, {augmentation->step, static_cast<std::uint32_t>(k)})[0] * 0x1p-34;
      }
      chosen.push_back(pictures_[indices[k]] + change);
      labels.push_back(labels_[indices[k]]);
      drawn.push_back(PictureDigest(indices[k]));
    }
    return {at::stack(chosen), at::tensor(labels, at::kLong)};
  }

  [[nodiscard]] TaskInput Task(const std::string& domain) { return {name_, domain, classes_, this}; }
  [[nodiscard]] at::Tensor& pictures() { return pictures_; }

  std::vector<Digest> drawn;  // every picture that was asked for, in order

 private:
  std::string name_;
  std::vector<std::int64_t> classes_;
  std::vector<std::int64_t> labels_;
  at::Tensor pictures_;
};

}  // namespace hemafed::learning::testing_support
