// codec/head_file.h
// SPDX-License-Identifier: Apache-2.0
//
// The head of a model file, read and replaced without knowing the architecture: head.weight is [C, d], head.bias is
// [C], both F32. Everything else is copied byte for byte, metadata included.
//
// A model without a head (imported weights) has neither tensor; its metadata then says d: "hemafed.feature_width".
//
// Errors: kInvalidInput naming file and tensor: a head of another shape or type, only one of the two tensors, no or a
// bad feature width, more than kMaxHeadClasses classes. Thread-safety: value type, free functions.
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

struct HeadValues {
  std::uint32_t width = 0;    // d
  std::vector<float> weight;  // [C, d], row after row
  std::vector<float> bias;    // [C]

  [[nodiscard]] std::size_t classes() const { return bias.size(); }
};

// No classes for a model without a head.
[[nodiscard]] HeadValues ReadHead(const SafetensorsReader& model);

// Copies the model to `out` with this head, of at least one class and of the model's width. Returns the SHA-256 of
// `out`, which is synced but whose name is not.
[[nodiscard]] Digest WriteWithHead(FileSystem& files, const SafetensorsReader& model, const Path& out,
                                   const HeadValues& head);

}  // namespace hemafed
