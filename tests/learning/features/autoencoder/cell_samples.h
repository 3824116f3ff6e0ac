// tests/learning/features/autoencoder/cell_samples.h
// SPDX-License-Identifier: Apache-2.0
//
// Made-up cells of autoencoder_reference.py: raw features 10 u^3 - 2 and pictures of noise, from Philox words.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "learning/features/autoencoder/cell_autoencoder.h"
#include "learning/features/autoencoder/feature_cache.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning::testing_support {

// [cells, 256, 14, 14], float32.
inline at::Tensor SampleFeatures(std::int64_t cells) {
  const at::Tensor u = Units(31, {cells, kCellFeatureChannels, kCellFeatureSide, kCellFeatureSide}, 0);
  return (10 * u * u * u - 2).to(at::kFloat);
}

// [cells, 128, 128, 3], bytes.
inline at::Tensor SamplePictures(std::int64_t cells) {
  return (Units(32, {cells, kCellPictureSide, kCellPictureSide, 3}, 0) * 256).floor().to(at::kByte);
}

inline CellLabel SampleLabel(std::uint32_t cell, std::uint16_t domain) {
  return {Sha256Of("picture " + std::to_string(cell)), domain, static_cast<std::uint16_t>(cell % 3)};
}

// One sample cell for each of `domains`, as a cache.
inline Digest WriteSampleCache(FileSystem& files, const Path& path, const std::vector<std::uint16_t>& domains,
                               FeatureStorage storage = FeatureStorage::kFloat32) {
  const auto cells = static_cast<std::int64_t>(domains.size());
  const at::Tensor features = SampleFeatures(cells);
  const at::Tensor pictures = SamplePictures(cells);
  constexpr auto kValues = static_cast<std::size_t>(kCellFeatureValues);
  constexpr auto kBytes = static_cast<std::size_t>(kCellPictureBytes);
  FeatureCacheWriter writer(files, path, storage);
  for (std::uint32_t i = 0; i < domains.size(); ++i) {
    writer.Append({features.const_data_ptr<float>() + i * kValues, kValues},
                  {pictures.const_data_ptr<std::uint8_t>() + i * kBytes, kBytes}, SampleLabel(i, domains[i]));
  }
  return writer.Finish();
}

}  // namespace hemafed::learning::testing_support
