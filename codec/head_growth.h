// codec/head_growth.h
// SPDX-License-Identifier: Apache-2.0
//
// Gives a model's head rows for new classes (design 4.1), in a way that coordinator, auditor and trainer compute alike
// without knowing the architecture (codec/head_file.h):
//
//     W[r,c] = (floor(u (2B+1) / 2^32) - B) * 2^-22,     B = floor(2^22 / sqrt(d))
//
// u is the first word of Philox4x32-10(key = plan seed, counter = (task, r, c, 0)); r, c count from 0. So new weights
// are uniform on the grid within +-1/sqrt(d), exact in float32. New biases are 0. Old rows and biases are copied bit
// for bit, and so is everything else, metadata included.
//
// Errors: those of head_file.h; kInvalidInput for fewer classes than there are, or more than kMaxHeadClasses.
// Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <vector>

#include "codec/head_file.h"
#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed {

// Row `row` of the head that task `task` adds: `width` weights.
[[nodiscard]] std::vector<float> NewHeadRow(std::uint64_t seed, std::uint32_t task, std::uint32_t row,
                                            std::uint32_t width);

// Copies the model `in` to `out` with the head grown to `classes_after` rows. Returns the SHA-256 of `out`, which is
// synced but whose name is not.
[[nodiscard]] Digest GrowHead(FileSystem& files, const Path& in, const Path& out, std::uint64_t seed,
                              std::uint32_t task, std::size_t classes_after);

}  // namespace hemafed
