// codec/head_growth.h
// SPDX-License-Identifier: Apache-2.0
//
// Gives a model's head rows for new classes (design 4.1), in a way that coordinator, auditor and trainer compute alike
// without knowing the architecture: head.weight is [C, d], head.bias is [C], both F32.
//
//     W[r,c] = (floor(u (2B+1) / 2^32) - B) * 2^-22,     B = floor(2^22 / sqrt(d))
//
// u is the first word of Philox4x32-10(key = plan seed, counter = (task, r, c, 0)); r, c count from 0. So new weights
// are uniform on the grid within +-1/sqrt(d), exact in float32. New biases are 0. Old rows and biases are copied bit
// for bit, and so is everything else, metadata included.
//
// A model without a head (imported weights) has neither tensor; its metadata then says d: "hemafed.feature_width".
//
// Errors: kInvalidInput naming file and tensor: a head of another shape or type, only one of the two tensors, no or a
// bad feature width, fewer classes than there are, or more than kMaxHeadClasses. Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "common/file_system.h"
#include "common/safetensors.h"
#include "common/sha256.h"

namespace hemafed {

inline constexpr std::string_view kHeadWeight = "head.weight";
inline constexpr std::string_view kHeadBias = "head.bias";
inline constexpr std::string_view kFeatureWidthKey = "hemafed.feature_width";
inline constexpr std::uint32_t kMaxFeatureWidth = 65'536;  // ResNeXt-50 has 2,048.
inline constexpr std::uint32_t kMaxHeadClasses = 4'096;    // ImageNet has 1,000; a plan allows 64.

// Row `row` of the head that task `task` adds: `width` weights.
[[nodiscard]] std::vector<float> NewHeadRow(std::uint64_t seed, std::uint32_t task, std::uint32_t row,
                                            std::uint32_t width);

// Copies the model `in` to `out` with the head grown to `classes_after` rows. Returns the SHA-256 of `out`, which is
// synced but whose name is not.
[[nodiscard]] Digest GrowHead(FileSystem& files, const Path& in, const Path& out, std::uint64_t seed,
                              std::uint32_t task, std::size_t classes_after);

}  // namespace hemafed
