// SPDX-License-Identifier: Apache-2.0
#include "codec/fisher.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "codec/exact.h"
#include "common/error.h"

namespace hemafed {

static_assert(std::endian::native == std::endian::little, "canonical integers are read as they lie in memory");

namespace {

// Values read at a time: 256 KB.
constexpr std::size_t kReadValues = 65'536;

void RequireSameLength(std::size_t a, std::size_t b) {
  if (a != b) throw Error(ErrorCode::kInternal, "Fisher information and its integers have different lengths");
}

}  // namespace

void QuantizeFisher(std::string_view tensor, std::span<const float> fisher, std::span<std::int32_t> out) {
  RequireSameLength(fisher.size(), out.size());
  const double scale = std::ldexp(1.0, kGridBits);
  constexpr double kHighest = std::numeric_limits<std::int32_t>::max();
  for (std::size_t i = 0; i < fisher.size(); ++i) {
    if (!(fisher[i] >= 0) || !std::isfinite(fisher[i])) {
      throw Error(ErrorCode::kInvalidInput, "the Fisher information of tensor " + std::string(tensor) + " at index " +
                                                std::to_string(i) + " is " + std::to_string(fisher[i]) +
                                                ": not a finite number from 0 on");
    }
    const double root = RoundHalfEven(std::sqrt(static_cast<double>(fisher[i])) * scale);
    out[i] = static_cast<std::int32_t>(std::min(root, kHighest));
  }
}

void FisherOf(std::span<const std::int32_t> integers, std::span<float> fisher) {
  RequireSameLength(integers.size(), fisher.size());
  for (std::size_t i = 0; i < integers.size(); ++i) {
    const double root = std::ldexp(static_cast<double>(integers[i]), -kGridBits);
    fisher[i] = static_cast<float>(root * root);
  }
}

std::optional<std::string> WhyNoFisher(const ReadableFile& raw, const UpdateLayout& layout) {
  const std::uint64_t bytes = layout.ValueCount() * sizeof(std::int32_t);
  if (raw.Size() != bytes) {
    return "the Fisher information has " + std::to_string(raw.Size()) + " bytes, not the " + std::to_string(bytes) +
           " of the model's layout";
  }
  std::vector<std::int32_t> values(kReadValues);
  std::uint64_t offset = 0;
  for (const TensorSpec& tensor : layout.tensors) {
    const std::uint64_t count = tensor.ValueCount();
    for (std::uint64_t done = 0; done < count;) {
      const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(kReadValues, count - done));
      const std::size_t wanted = part * sizeof(std::int32_t);
      if (raw.ReadAt(offset, {reinterpret_cast<std::uint8_t*>(values.data()), wanted}) != wanted) {
        return "the Fisher information ends within tensor " + tensor.name;
      }
      for (std::size_t i = 0; i < part; ++i) {
        if (values[i] >= 0) continue;
        return "the Fisher information of tensor " + tensor.name + " at index " + std::to_string(done + i) + " is " +
               std::to_string(values[i]) + ", and no root is negative";
      }
      offset += wanted;
      done += part;
    }
  }
  return std::nullopt;
}

}  // namespace hemafed
