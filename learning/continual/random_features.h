// learning/continual/random_features.h
// SPDX-License-Identifier: Apache-2.0
//
// Random features of a trunk's features, phi = ReLU(R psi), with the projection that every program computes alike from
// a seed (codec/projection.h). Products are taken in float64, whose rounding is far finer than the grid that features
// are rounded to in a federation (codec/feature_sums.h).
//
// Errors: those of codec/projection.h. Thread-safety: free functions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hemafed::learning {

// R [features, width], float64.
[[nodiscard]] at::Tensor RandomProjection(std::uint64_t seed, std::uint32_t features, std::int64_t width);

// psi [N, width] of any floating type on any device; phi [N, features] float64 on the CPU.
[[nodiscard]] at::Tensor Lift(const at::Tensor& projection, const at::Tensor& psi);

}  // namespace hemafed::learning
