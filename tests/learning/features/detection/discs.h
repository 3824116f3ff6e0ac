// tests/learning/features/detection/discs.h
// SPDX-License-Identifier: Apache-2.0
//
// Drawn cells: pictures of 64 x 64 pixels with one or two dark discs on a light, noisy ground, and a detector small
// enough to learn them in seconds.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/random.h"
#include "learning/features/detection/detector.h"
#include "learning/features/detection/detector_source.h"

namespace hemafed::learning::testing_support {

inline constexpr std::int64_t kDiscSide = 64;

// The same for the same number; discs do not overlap, one lies in each half.
inline TrainingPicture DiscPicture(std::uint64_t number, bool masks) {
  RandomStream random(11, number);
  const at::Tensor rows = at::arange(kDiscSide, at::kFloat).unsqueeze(1) + 0.5F;
  const at::Tensor columns = at::arange(kDiscSide, at::kFloat) + 0.5F;
  at::Tensor noise = at::empty({3, kDiscSide, kDiscSide});
  for (std::int64_t i = 0; i < noise.numel(); ++i) {
    noise.mutable_data_ptr<float>()[i] = static_cast<float>(random.NextBetween(-15, 15));
  }
  at::Tensor picture = noise + 210;
  std::vector<at::Tensor> boxes, drawn;
  const std::uint32_t count = 1 + random.NextBelow(2);
  for (std::uint32_t d = 0; d < count; ++d) {
    const double radius = random.NextBetween(8, 14), left = 32.0 * d;
    const double x = left + (count == 1 ? random.NextBetween(16, 48) : random.NextBetween(radius, 32 - radius));
    const double y = random.NextBetween(16, 48);
    const at::Tensor inside = (rows - y).square() + (columns - x).square() <= radius * radius;
    picture = at::where(inside, noise + at::tensor({90.F, 60.F, 140.F}).view({3, 1, 1}), picture);
    boxes.push_back(at::tensor({x - radius, y - radius, x + radius, y + radius}).to(at::kFloat).view({1, 4}));
    drawn.push_back(inside.to(at::kFloat));
  }
  return {.picture = picture,
          .boxes = at::cat(boxes),
          .labels = at::ones({count}, at::kLong),
          .masks = masks ? at::stack(drawn) : at::Tensor()};
}

class DiscSource final : public DetectorSource {
 public:
  // Every `masks_every`-th picture has masks; 0: none.
  DiscSource(std::size_t count, std::size_t masks_every) : count_(count), masks_every_(masks_every) {}

  [[nodiscard]] std::size_t size() const override { return count_; }
  [[nodiscard]] bool HasMasks(std::size_t place) const override {
    return masks_every_ > 0 && place % masks_every_ == 0;
  }
  [[nodiscard]] TrainingPicture Get(std::size_t place, std::uint64_t epoch) const override {
    return DiscPicture(place + 1000 * epoch, HasMasks(place));
  }
  [[nodiscard]] std::string Description() const override {
    return "discs " + std::to_string(count_) + " " + std::to_string(masks_every_);
  }

 private:
  std::size_t count_, masks_every_;
};

// Lite0's body under a narrow pyramid.
inline DetectorSettings TinyDetector() {
  DetectorSettings settings = SmallMachineDetector();
  settings.channels = 24;
  settings.rpn_channels = 24;
  settings.head_width = 48;
  settings.first_rpn_level = 0;
  settings.anchor_sides = {16, 24, 32, 64, 128};
  settings.anchor_ratios = {1};
  settings.frame.min_side = kDiscSide;
  settings.frame.max_side = kDiscSide;
  settings.proposals = {.before_training = 60, .before_testing = 60, .after_training = 40, .after_testing = 20};
  return settings;
}

}  // namespace hemafed::learning::testing_support
