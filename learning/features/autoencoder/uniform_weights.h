// learning/features/autoencoder/uniform_weights.h
// SPDX-License-Identifier: Apache-2.0
//
// Initial weights as PyTorch's layers begin with (He et al. 2015 with a = sqrt(5), which is a uniform distribution for
// weights and biases alike), but computed from a seed alone and therefore the same everywhere:
//
//     w[e] = float32( (2 u - 1) / sqrt(fan_in) ),   u = (word >> 8) / 2^24
//
// where word is word e % 4 of Philox4x32-10(key = seed, counter = (e / 4, tensor, 0, 0)) and e counts the elements in
// row-major order.
//
// Thread-safety: free function.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hemafed::learning {

// Fills a contiguous float32 tensor on the CPU; `fan_in` >= 1.
void FillUniform(at::Tensor& weight, std::int64_t fan_in, std::uint64_t seed, std::uint32_t tensor);

}  // namespace hemafed::learning
