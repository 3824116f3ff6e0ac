// tests/codec/latent_samples.h
// SPDX-License-Identifier: Apache-2.0
//
// Latents that a few lines of any language can make again, for numbers that were computed elsewhere:
//
//     f[cell][i] = (word mod 131073) - 65536        word: the first of Philox4x32-10(key = 11, counter = (i, cell, 0,
//     0)) z = f 2^-16                                   exact in float
#pragma once

#include <cstdint>
#include <vector>

#include "codec/latent_moments.h"
#include "common/random.h"

namespace hemafed::testing_support {

inline std::int32_t SampleLatentSteps(std::uint32_t cell, std::uint32_t i) {
  return static_cast<std::int32_t>(Philox4x32(11, {i, cell, 0, 0})[0] % 131'073) - kMaxLatentSteps;
}

inline std::vector<float> SampleLatent(std::uint32_t cell, std::uint32_t width) {
  std::vector<float> values(width);
  for (std::uint32_t i = 0; i < width; ++i) values[i] = static_cast<float>(SampleLatentSteps(cell, i)) * 0x1p-16f;
  return values;
}

// Cells first .. last-1.
inline LatentMoments SampleMoments(std::uint32_t width, std::uint32_t first, std::uint32_t last) {
  LatentMoments moments(width);
  for (std::uint32_t cell = first; cell < last; ++cell) moments.AddCell(SampleLatent(cell, width));
  return moments;
}

}  // namespace hemafed::testing_support
