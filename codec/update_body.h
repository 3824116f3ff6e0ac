// codec/update_body.h
// SPDX-License-Identifier: Apache-2.0
//
// What is inside the compressed frames of an update file (docs/update.md), without the compression: for use by
// codec/update_file.cc.
//
//     int32   n values      four planes of n bytes: byte p of each zigzag number
//     int8    n values      one exponent byte for each scale block, then n bytes q8;  q = q8 * 2^e
//
// A scale block is 256 successive values of one tensor; the last one of each tensor is what is left. Which values a
// frame holds follows from the layout alone: int32 65,536 of them whatever their tensors, int8 256 scale blocks.
//
// Only one pair (e, q8) is accepted for given values: e is the smallest exponent >= 0 under which they all lie within
// 127 * 2^e, so with e > 0 some |q8| is at least 64. Then a file's frames are determined by its values.
//
// Errors: kInvalidInput. Thread-safety: value types and free functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/update.h"

namespace hemafed {

// Exponents are at most this: 127 * 2^24 is the largest multiple of 127 by a power of two within int32.
inline constexpr int kMaxScaleExponent = 24;
inline constexpr std::int32_t kMaxScaled = 127;  // Largest |q8|.
inline constexpr double kLargestScaled = double{kMaxScaled} * (1 << kMaxScaleExponent);
// Scale blocks of one frame: up to 65,536 values, as with int32.
inline constexpr std::size_t kScaleBlocksOfFrame = kUpdateBlockValues / kScaleBlockValues;
// Largest body of a frame, of either encoding.
inline constexpr std::size_t kMaxBodyBytes = kUpdateBlockValues * sizeof(std::int32_t);

// The smallest e >= 0 with `largest` <= 127 * 2^e, for what is at most kLargestScaled.
[[nodiscard]] int ScaleExponent(double largest);

// The values of one frame.
struct BodyShape {
  std::size_t values = 0;
  std::vector<std::size_t> scale_blocks;  // Lengths; int8 only.

  [[nodiscard]] std::size_t Bytes(UpdateEncoding encoding) const;
};

// The frames of a file, in order.
class BodyShapes {
 public:
  BodyShapes(const UpdateLayout& layout, UpdateEncoding encoding);

  // The next frame's shape; one without values at the end.
  [[nodiscard]] BodyShape Next();

 private:
  std::vector<std::uint64_t> left_;  // Values of each tensor that no frame has yet; for int32 of all together.
  std::size_t tensor_ = 0;
  UpdateEncoding encoding_;
};

// Both spans have the lengths of `shape`. Packing refuses values that are not on the scale of their block.
void PackBody(UpdateEncoding encoding, const BodyShape& shape, std::span<const std::int32_t> values,
              std::span<std::uint8_t> body);
void UnpackBody(UpdateEncoding encoding, const BodyShape& shape, std::span<const std::uint8_t> body,
                std::span<std::int32_t> values);

}  // namespace hemafed
