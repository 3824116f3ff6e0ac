// tests/learning/philox_tensors.h
// SPDX-License-Identifier: Apache-2.0
//
// Tensors from the recipes of reference_numbers.py, so that its numbers and ours have the same inputs.
#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/random.h"
#include "learning/models/classifier.h"

namespace hemafed::learning::testing_support {

// float64 tensor of u = (word >> 8) / 2^24 in [0, 1): word e % 4 of Philox(seed, (e / 4, second, 0, fourth)).
inline at::Tensor Units(std::uint64_t seed, std::vector<std::int64_t> shape, std::uint32_t second,
                        std::uint32_t fourth = 0) {
  at::Tensor units = at::empty(shape, at::kDouble);
  double* out = units.mutable_data_ptr<double>();
  PhiloxBlock words{};
  for (std::uint32_t e = 0; e < static_cast<std::uint32_t>(units.numel()); ++e) {
    if (e % 4 == 0) words = Philox4x32(seed, {e / 4, second, 0, fourth});
    out[e] = (words[e % 4] >> 8) * 0x1p-24;
  }
  return units;
}

// Values in [low, high).
inline at::Tensor Uniform(std::uint64_t seed, std::vector<std::int64_t> shape, double low, double high,
                          at::ScalarType type = at::kFloat) {
  return (Units(seed, std::move(shape), 0) * (high - low) + low).to(type);
}

// The pictures of the recipe.
inline at::Tensor RecipePictures(std::int64_t count, std::int64_t height, std::int64_t width) {
  return (Units(7, {count, 3, height, width}, 0, 1) * 4 - 2).to(at::kFloat);
}
inline at::Tensor RecipePicture(std::int64_t side) { return RecipePictures(1, side, side); }

// A classifier with the made-up weights of the recipe: every tensor of the architecture, in canonical order.
inline Classifier RecipeModel(Architecture architecture, std::int64_t classes, std::uint64_t seed,
                              Normalisation normalisation) {
  // Sums over the many blocks of a residual network stay near 1 only if each is scaled down.
  const bool residual = architecture != Architecture::kEfficientNetLite0 && architecture != Architecture::kSmallCnn;
  std::vector<NamedTensor> tensors;
  std::uint32_t index = 0;
  for (const TensorSpec& spec : TensorsOf(architecture, classes, normalisation)) {
    const at::Tensor u = Units(seed, spec.shape, index++);
    at::Tensor value = u - 0.5;  // Shifts and running means.
    if (spec.role == TensorRole::kWeight) {
      value = (u * 2 - 1) * std::sqrt(6.0 / static_cast<double>(u.numel() / u.size(0)));
    } else if (spec.name == kHeadWeight) {
      value = (u * 2 - 1) / std::sqrt(static_cast<double>(u.size(1)));
    } else if (spec.name == kHeadBias) {
      value = u * 2 - 1;
    } else if (spec.name.ends_with(".weight")) {
      value = u * 0.5 + 0.75;
    } else if (spec.name.ends_with("running_var")) {
      value = residual ? u * 4 + 2 : u + 0.5;
    }
    tensors.push_back({spec.name, value.to(at::kFloat)});
  }
  return Classifier(architecture, std::move(tensors), normalisation);
}
inline Classifier RecipeModel(Architecture architecture, std::int64_t classes, std::uint64_t seed = 2024) {
  return RecipeModel(architecture, classes, seed, NormalisationOf(architecture));
}

inline double LargestDifference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

}  // namespace hemafed::learning::testing_support
