// codec/slow_model.h
// SPDX-License-Identifier: Apache-2.0
//
// A second model that follows the trained one slowly (strategy slow_fast), once a round on the coordinator:
//
//     slow' = float32(double(slow) + rate (double(fast) - double(slow))),     rate = k 2^-15
//
// for every value that updates carry; normalisation buffers and whatever else are the fast model's. An average over
// rounds of what training went through, as the mean teacher is over steps (Tarvainen, Valpola, NeurIPS 2017) and the
// stable model of CLS-ER (Arani et al., ICLR 2022) over some of them. Four operations, each correctly rounded and none
// fused: the same bytes on every machine.
//
// Streams in blocks: memory does not grow with the model.
//
// Errors: kInvalidInput for models of different tensors, a rate out of range, or a value that is not finite.
// Thread-safety: free function.
#pragma once

#include <cstdint>

#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed {

inline constexpr std::uint32_t kSlowRateOne = 1u << 15;

// `rate` in 2^-15, 1 to kSlowRateOne. Returns the SHA-256 of `out`, which is synced.
[[nodiscard]] Digest FollowSlowly(FileSystem& files, const Path& slow, const Path& fast, const Path& out,
                                  std::uint32_t rate);

}  // namespace hemafed
