// tests/learning/features/detection/recipe_detector.h
// SPDX-License-Identifier: Apache-2.0
//
// Detectors and pictures from the recipe of network_reference.py, so that its numbers and ours have the same inputs.
#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "learning/features/detection/body_plan.h"
#include "learning/features/detection/detector.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning::testing_support {

inline at::Tensor RecipeTensor(const DetectorTensor& spec, std::uint32_t index) {
  const at::Tensor u = Units(2024, spec.shape, index);
  if (spec.name.ends_with("running_var")) return (u * 4 + 2).to(at::kFloat);
  if (spec.role == DetectorRole::kWeight) {
    const auto fan_in = static_cast<double>(u.numel() / u.size(0));
    return ((u * 2 - 1) * std::sqrt(3 / fan_in)).to(at::kFloat);
  }
  if (spec.name.ends_with(".weight")) return (u * 0.5 + 1.5).to(at::kFloat);
  return ((u - 0.5) * 0.2).to(at::kFloat);
}

inline Detector RecipeDetector(const DetectorSettings& settings) {
  std::vector<NamedTensor> tensors;
  std::uint32_t index = 0;
  for (const DetectorTensor& spec : DetectorTensors(settings)) {
    tensors.push_back({spec.name, RecipeTensor(spec, index++)});
  }
  return {settings, std::move(tensors)};
}

// Picture n of the recipe, values 0..255.
inline at::Tensor RecipePicture(std::uint32_t n, std::int64_t height, std::int64_t width) {
  return (Units(7, {3, height, width}, 0, 1 + n) * 255).to(at::kFloat);
}

// A small detector for quick tests: Lite0 under few channels.
inline DetectorSettings TinySettings() {
  DetectorSettings settings = SmallMachineDetector();
  settings.channels = 16;
  settings.rpn_channels = 16;
  settings.head_width = 32;
  settings.frame.min_side = 64;
  settings.frame.max_side = 96;
  settings.anchor_sides = {8, 16, 32, 64, 128};
  settings.first_rpn_level = 0;
  return settings;
}

}  // namespace hemafed::learning::testing_support
