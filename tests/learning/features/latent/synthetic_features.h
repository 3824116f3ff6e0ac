// tests/learning/features/latent/synthetic_features.h
// SPDX-License-Identifier: Apache-2.0
//
// Features by a formula in integers, so that reference_numbers.py has the same ones to the last bit.
#pragma once

#include <cstdint>
#include <vector>

#include "common/random.h"
#include "learning/features/latent/feature_matrix.h"

namespace hemafed::learning {

// Row i is of class i % 4. A 32-bit mix of row and column gives noise in 0..1; every class raises some columns.
inline FeatureMatrix FormulaFeatures(std::size_t first, std::size_t rows, std::size_t columns, float lift) {
  FeatureMatrix features(rows, columns);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t j = 0; j < columns; ++j) {
      const auto i = static_cast<std::uint32_t>(first + r);
      std::uint32_t mixed = i * 2654435761u + static_cast<std::uint32_t>(j) * 40503u * 65537u;
      mixed ^= mixed >> 15;
      mixed *= 2246822519u;
      mixed ^= mixed >> 13;
      const float noise = static_cast<float>(mixed >> 8) / 16777216.0f;
      const bool raised = ((i % 4) * 5 + j * 3) % 7 < 2;
      features.values[r * columns + j] = noise + (raised ? lift : 0.0f);
    }
  }
  return features;
}

inline std::vector<std::uint32_t> FormulaLabels(std::size_t first, std::size_t rows) {
  std::vector<std::uint32_t> labels;
  for (std::size_t r = 0; r < rows; ++r) labels.push_back(static_cast<std::uint32_t>((first + r) % 4));
  return labels;
}

// Standard normal values plus a constant in the first column.
inline FeatureMatrix NormalFeatures(std::size_t rows, std::size_t columns, std::uint64_t seed, double shift = 0) {
  FeatureMatrix features(rows, columns);
  RandomStream random(seed);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t j = 0; j < columns; ++j)
      features.values[r * columns + j] = static_cast<float>(random.NextNormal() + (j == 0 ? shift : 0));
  }
  return features;
}

}  // namespace hemafed::learning
