// SPDX-License-Identifier: Apache-2.0
#include "codec/latent_reference.h"

#include <array>
#include <bit>

#include "common/bytes.h"

namespace hemafed {

namespace {

void HashInteger(Sha256& hash, std::uint64_t value) {
  std::array<std::uint8_t, 8> bytes{};
  StoreLittleEndian(value, bytes.data());
  hash.Update(bytes);
}

void HashDoubles(Sha256& hash, const std::vector<double>& values) {
  for (const double value : values) HashInteger(hash, std::bit_cast<std::uint64_t>(value));
}

}  // namespace

GaussianComponent ComponentOf(const LatentMoments& moments) {
  const std::uint32_t width = moments.width();
  GaussianComponent component;
  component.rows = static_cast<std::uint64_t>(moments.cells());
  component.mean.reserve(width);
  component.covariance.reserve(std::size_t{width} * width);
  for (std::uint32_t i = 0; i < width; ++i) {
    component.mean.push_back(moments.Mean(i));
    for (std::uint32_t j = 0; j < width; ++j) component.covariance.push_back(moments.Covariance(i, j));
  }
  return component;
}

Digest DigestOfComponents(std::span<const GaussianComponent> components) {
  Sha256 hash;
  for (const GaussianComponent& component : components) {
    HashInteger(hash, component.rows);
    HashDoubles(hash, component.mean);
    HashDoubles(hash, component.covariance);
  }
  return hash.Finish();
}

}  // namespace hemafed
