// tests/learning/metrics/predictions.h
// SPDX-License-Identifier: Apache-2.0
//
// Predictions for 200 pictures of four classes, by integer arithmetic and one division, so that reference_numbers.py
// makes the same doubles. Scores tie often; class 3 is rare.
#pragma once

#include <cstdint>
#include <vector>

namespace hemafed::learning::testing_support {

struct Predictions {
  static constexpr std::size_t kPictures = 200;
  static constexpr std::size_t kClasses = 4;
  std::vector<double> probabilities;  // [picture][class], row by row
  std::vector<std::uint32_t> labels;
  std::vector<std::uint32_t> predicted;  // the most probable class, ties to the lower index
  std::vector<double> confidence;        // its probability
  std::vector<std::uint8_t> right;

  Predictions() {
    for (std::uint32_t i = 0; i < kPictures; ++i) {
      const std::uint32_t label = i % 40 == 7 ? 3 : (i * i + i / 3) % 3;
      std::uint32_t weights[kClasses];
      std::uint32_t all = 0;
      for (std::uint32_t c = 0; c < kClasses; ++c) {
        weights[c] = (i * 37 + c * 101 + i * i * 13 + c * i * 7) % 23 + 1 + (c == label && i % 3 != 0 ? 12 : 0);
        all += weights[c];
      }
      std::uint32_t best = 0;
      for (std::uint32_t c = 0; c < kClasses; ++c) {
        probabilities.push_back(static_cast<double>(weights[c]) / static_cast<double>(all));
        if (weights[c] > weights[best]) best = c;
      }
      labels.push_back(label);
      predicted.push_back(best);
      confidence.push_back(static_cast<double>(weights[best]) / static_cast<double>(all));
      right.push_back(best == label ? 1 : 0);
    }
  }
};

}  // namespace hemafed::learning::testing_support
