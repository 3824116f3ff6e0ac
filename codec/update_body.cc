// SPDX-License-Identifier: Apache-2.0
#include "codec/update_body.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include "codec/plane_frame.h"
#include "common/error.h"

namespace hemafed {

namespace {

// With an exponent above 0 some |q8| is at least this; otherwise a smaller exponent would do.
constexpr std::int32_t kHalfScaled = (kMaxScaled + 1) / 2;

[[noreturn]] void Refuse(const std::string& what) { throw Error(ErrorCode::kInvalidInput, "update file: " + what); }

// Returns the exponent.
int PackScaled(std::span<const std::int32_t> values, std::uint8_t* scaled) {
  std::int64_t largest = 0;
  for (const std::int32_t value : values) largest = std::max(largest, std::abs(static_cast<std::int64_t>(value)));
  if (static_cast<double>(largest) > kLargestScaled) {
    Refuse("a value of size " + std::to_string(largest) + " is too large for int8");
  }
  const int exponent = ScaleExponent(static_cast<double>(largest));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::int32_t q8 = values[i] >> exponent;
    if (q8 * (1 << exponent) != values[i]) {
      Refuse("the value " + std::to_string(values[i]) + " is not on its block's int8 scale of 2^" +
             std::to_string(exponent) + "; round whole tensors with QuantizeDelta in the same format");
    }
    scaled[i] = static_cast<std::uint8_t>(q8);
  }
  return exponent;
}

void UnpackScaled(int exponent, const std::uint8_t* scaled, std::span<std::int32_t> values) {
  if (exponent > kMaxScaleExponent) Refuse("a scale exponent of " + std::to_string(exponent) + " is above 24");
  std::int32_t largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::int32_t q8 = scaled[i] < 128 ? scaled[i] : scaled[i] - 256;  // Two's complement.
    largest = std::max(largest, std::abs(q8));
    values[i] = q8 * (1 << exponent);
  }
  if (largest > kMaxScaled) Refuse("an int8 value of -128 has no counterpart above zero");
  if (exponent > 0 && largest < kHalfScaled) Refuse("a scale exponent is larger than its block needs");
}

}  // namespace

int ScaleExponent(double largest) {
  int exponent = 0;
  while (largest > std::ldexp(kMaxScaled, exponent)) ++exponent;
  return exponent;
}

std::size_t BodyShape::Bytes(UpdateEncoding encoding) const {
  return encoding == UpdateEncoding::kInt32 ? values * sizeof(std::int32_t) : scale_blocks.size() + values;
}

BodyShapes::BodyShapes(const UpdateLayout& layout, UpdateEncoding encoding) : encoding_(encoding) {
  if (encoding == UpdateEncoding::kInt32) {
    left_.push_back(layout.ValueCount());
  } else {
    for (const TensorSpec& tensor : layout.tensors) left_.push_back(tensor.ValueCount());
  }
}

BodyShape BodyShapes::Next() {
  const bool scaled = encoding_ == UpdateEncoding::kInt8;
  const std::size_t most = scaled ? kScaleBlockValues : kUpdateBlockValues;
  const std::size_t pieces = scaled ? kScaleBlocksOfFrame : 1;
  BodyShape shape;
  for (std::size_t piece = 0; piece < pieces; ++piece) {
    while (tensor_ < left_.size() && left_[tensor_] == 0) ++tensor_;
    if (tensor_ == left_.size()) break;
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(left_[tensor_], most));
    left_[tensor_] -= length;
    shape.values += length;
    if (scaled) shape.scale_blocks.push_back(length);
  }
  return shape;
}

void PackBody(UpdateEncoding encoding, const BodyShape& shape, std::span<const std::int32_t> values,
              std::span<std::uint8_t> body) {
  if (encoding == UpdateEncoding::kInt32) return SplitPlanes(values, body.data());
  std::uint8_t* exponent = body.data();
  std::uint8_t* scaled = exponent + shape.scale_blocks.size();
  for (const std::size_t length : shape.scale_blocks) {
    *exponent++ = static_cast<std::uint8_t>(PackScaled(values.first(length), scaled));
    values = values.subspan(length);
    scaled += length;
  }
}

void UnpackBody(UpdateEncoding encoding, const BodyShape& shape, std::span<const std::uint8_t> body,
                std::span<std::int32_t> values) {
  if (encoding == UpdateEncoding::kInt32) return JoinPlanes(body.data(), values);
  const std::uint8_t* exponent = body.data();
  const std::uint8_t* scaled = exponent + shape.scale_blocks.size();
  for (const std::size_t length : shape.scale_blocks) {
    UnpackScaled(*exponent++, scaled, values.first(length));
    values = values.subspan(length);
    scaled += length;
  }
}

}  // namespace hemafed
