// codec/feature_sums_header.h
// SPDX-License-Identifier: Apache-2.0
//
// The 16 bytes that begin a file of feature sums and their canonical form (docs/feature_sums.md): magic, version, grid,
// zero, M, K. Used by codec/feature_sums*.cc only. Thread-safety: free function.
#pragma once

#include <array>
#include <cstdint>

#include "codec/feature_sums.h"
#include "common/bytes.h"

namespace hemafed {

inline constexpr std::uint16_t kFeatureSumsVersion = 1;
inline constexpr std::size_t kFeatureSumsHeaderBytes = 16;

[[nodiscard]] inline std::array<std::uint8_t, kFeatureSumsHeaderBytes> FeatureSumsHeader(std::uint32_t features,
                                                                                         std::uint32_t classes) {
  std::array<std::uint8_t, kFeatureSumsHeaderBytes> header{'H', 'F', 'S', '\n'};
  StoreLittleEndian(kFeatureSumsVersion, &header[4]);
  header[6] = kFeatureGridBits;
  StoreLittleEndian(features, &header[8]);
  StoreLittleEndian(classes, &header[12]);
  return header;
}

}  // namespace hemafed
