// learning/models/dropout.h
// SPDX-License-Identifier: Apache-2.0
//
// Dropout whose mask is a pure function of a seed: the same on every machine, in any batch order, after any restart.
//
// Element e (C, H, W order) of the picture with key `k` in pass t is dropped when word e % 4 of
// Philox4x32-10(key = seed, counter = (e / 4, t, low half of k, high half of k)) is below floor(p 2^32); what is kept
// is scaled by 1 / (1 - p). Training uses the place in the batch as key and the step as pass; uncertainty uses a key
// made from the picture's digest and the number of the pass, so it does not depend on which pictures share a batch.
//
// Thread-safety: free functions without state.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

namespace hemafed::learning {

// Throws Error(kInvalidInput) unless 0 <= probability < 1.
void RequireDropoutProbability(double probability);

// float32 [picture_keys.size(), C, H, W] of zeros and 1/(1-p), channels-last; multiply the activations by it.
[[nodiscard]] at::Tensor DropoutMask(std::uint64_t seed, std::uint32_t pass,
                                     std::span<const std::uint64_t> picture_keys, std::int64_t channels,
                                     std::int64_t height, std::int64_t width, double probability);

}  // namespace hemafed::learning
