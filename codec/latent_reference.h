// codec/latent_reference.h
// SPDX-License-Identifier: Apache-2.0
//
// Published moments as what a drift check compares with (docs/drift_check.md): one normal distribution a hospital. Who
// draws from it (learning/features/latent/gaussian_reference.h) and who only checks what it was (coordinator, auditor)
// compute the same digest of the same doubles.
//
// The doubles are rounded from exact integers (codec/latent_moments.h), so every machine has the same bits.
//
// Errors: kInvalidInput for moments of fewer than two cells. Thread-safety: value type, free functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/latent_moments.h"
#include "common/sha256.h"

namespace hemafed {

struct GaussianComponent {
  std::vector<double> mean;        // [d]
  std::vector<double> covariance;  // [d, d] row-major, divided by n - 1
  std::uint64_t rows = 0;          // n: pictures behind it
};

[[nodiscard]] GaussianComponent ComponentOf(const LatentMoments& moments);

// SHA-256 of the components as little-endian integers and doubles, one after the other: rows, mean, covariance.
[[nodiscard]] Digest DigestOfComponents(std::span<const GaussianComponent> components);

}  // namespace hemafed
