// tests/codec/feature_samples.h
// SPDX-License-Identifier: Apache-2.0
//
// Pictures' rounded features that a few lines of any language can make again, for numbers that were computed elsewhere:
//
//     x = (64 p + i + 1) * 2654435761;  x ^= x >> 15;  x *= 2246822519        all mod 2^32
//     f[p][i] = max(0, (x >> 16) - 32768) >> 4,    class of picture p = p mod K
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "codec/feature_sums.h"

namespace hemafed::testing_support {

inline std::vector<std::uint16_t> SampleFeatures(std::uint32_t picture, std::uint32_t features) {
  std::vector<std::uint16_t> values(features);
  for (std::uint32_t i = 0; i < features; ++i) {
    std::uint32_t x = (64 * picture + i + 1) * 2654435761u;
    x ^= x >> 15;
    x *= 2246822519u;
    values[i] = static_cast<std::uint16_t>(std::max(0, static_cast<std::int32_t>(x >> 16) - 32768) >> 4);
  }
  return values;
}

// Pictures first .. last-1.
inline FeatureSums SampleSums(std::uint32_t features, std::uint32_t classes, std::uint32_t first, std::uint32_t last) {
  FeatureSumsBuilder builder(features, classes);
  for (std::uint32_t p = first; p < last; ++p) builder.Add(SampleFeatures(p, features), p % classes);
  return builder.Finish();
}

}  // namespace hemafed::testing_support
