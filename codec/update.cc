// SPDX-License-Identifier: Apache-2.0
#include "codec/update.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "codec/update_body.h"
#include "common/error.h"

namespace hemafed {

namespace {

// A wider grid than 2^-30 would leave int32 a range of +-2 for a whole weight's change.
constexpr int kMaxGridBits = 30;

}  // namespace

std::uint64_t TensorSpec::ValueCount() const {
  std::uint64_t count = 1;
  for (const std::int64_t size : shape) count *= static_cast<std::uint64_t>(size);
  return count;
}

std::uint64_t UpdateLayout::ValueCount() const {
  std::uint64_t count = 0;
  for (const TensorSpec& tensor : tensors) count += tensor.ValueCount();
  return count;
}

Digest UpdateLayout::Hash() const {
  nlohmann::json list = nlohmann::json::array();
  for (const TensorSpec& tensor : tensors) list.push_back(nlohmann::json::array({tensor.name, tensor.shape}));
  return Sha256Of(list.dump());
}

bool IsNormalisationBuffer(std::string_view tensor) {
  return tensor.ends_with(".running_mean") || tensor.ends_with(".running_var") ||
         tensor.ends_with(".num_batches_tracked");
}

UpdateLayout LayoutOfModel(const SafetensorsReader& model) {
  UpdateLayout layout;
  for (const TensorInfo& tensor : model.tensors()) {
    if (tensor.dtype != DType::kF32 || IsNormalisationBuffer(tensor.name)) continue;
    layout.tensors.push_back({tensor.name, tensor.shape});
  }
  return layout;
}

std::string_view UpdateEncodingName(UpdateEncoding encoding) noexcept {
  return encoding == UpdateEncoding::kInt8 ? "int8" : "int32";
}

void QuantizeDelta(std::string_view tensor, std::span<const float> local, std::span<const float> base,
                   std::span<float> residual, std::span<std::int32_t> out, const UpdateFormat& format) {
  if (base.size() != local.size() || residual.size() != local.size() || out.size() != local.size() ||
      format.grid_bits < 0 || format.grid_bits > kMaxGridBits) {
    throw Error(ErrorCode::kInternal, "QuantizeDelta: the lengths for " + std::string(tensor) + " differ");
  }
  const double scale = std::ldexp(1.0, format.grid_bits);
  const double grid = std::ldexp(1.0, -format.grid_bits);
  const bool scaled = format.encoding == UpdateEncoding::kInt8;
  constexpr double kLowest = std::numeric_limits<std::int32_t>::min();
  constexpr double kHighest = std::numeric_limits<std::int32_t>::max();
  const auto refuse = [&](std::size_t i, double delta) {
    throw Error(ErrorCode::kInvalidInput, "the update of tensor " + std::string(tensor) + " at index " +
                                              std::to_string(i) + " is " + std::to_string(delta) +
                                              ": not a number, or too large for the grid; train with a smaller step");
  };
  std::array<double, kScaleBlockValues> deltas{};  // In grid steps.
  for (std::size_t done = 0; done < local.size(); done += kScaleBlockValues) {
    const std::size_t count = std::min(kScaleBlockValues, local.size() - done);
    double largest = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t at = done + i;
      const double delta =
          static_cast<double>(local[at]) - static_cast<double>(base[at]) + static_cast<double>(residual[at]);
      deltas[i] = delta * scale;
      if (!std::isfinite(deltas[i]) || (scaled && std::abs(deltas[i]) > kLargestScaled)) {
        refuse(at, delta);
      }
      largest = std::max(largest, std::abs(deltas[i]));
    }
    const int exponent = scaled ? ScaleExponent(largest) : 0;
    const double coarse = std::ldexp(1.0, exponent), fine = std::ldexp(1.0, -exponent);
    for (std::size_t i = 0; i < count; ++i) {
      const double q = RoundHalfEven(deltas[i] * fine) * coarse;
      if (!(q >= kLowest && q <= kHighest)) refuse(done + i, deltas[i] * grid);
      out[done + i] = static_cast<std::int32_t>(q);
      residual[done + i] = static_cast<float>((deltas[i] - q) * grid);
    }
  }
}

std::vector<UInt128> SquaredNorms(const ReadableFile& raw, const UpdateLayout& layout) {
  constexpr std::size_t kPieceBytes = std::size_t{1} << 18;  // Read at a time: memory, not meaning.
  Bytes buffer(kPieceBytes);
  std::vector<UInt128> norms;
  std::uint64_t offset = 0;
  for (const TensorSpec& tensor : layout.tensors) {
    UInt128& sum = norms.emplace_back(0);
    const std::uint64_t end = offset + 4 * tensor.ValueCount();
    while (offset < end) {
      const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, end - offset));
      if (raw.ReadAt(offset, std::span(buffer).first(wanted)) != wanted) {
        throw Error(ErrorCode::kCorrupt, "stored integers of an update end before its layout does");
      }
      for (std::size_t i = 0; i < wanted; i += 4) {
        const std::int64_t q = LoadLittleEndian<std::int32_t>(buffer.data() + i);
        sum += static_cast<std::uint64_t>(q * q);
      }
      offset += wanted;
    }
  }
  return norms;
}

bool WithinNormBound(UInt128 squared_norm, double bound, int grid_bits) {
  if (!std::isfinite(bound) || bound < 0) {
    throw Error(ErrorCode::kInvalidInput, "the norm bound is not a finite number of at least 0");
  }
  if (bound == 0) return squared_norm == 0;
  // bound = mantissa * 2^exponent with a mantissa of 53 bits, so sqrt(S) * 2^-g <= bound is S <= mantissa^2 * 2^shift.
  int exponent = 0;
  const double fraction = std::frexp(bound, &exponent);
  const auto mantissa = static_cast<UInt128>(std::ldexp(fraction, 53));
  const UInt128 square = mantissa * mantissa;
  const int shift = 2 * (exponent - 53) + 2 * grid_bits;
  if (shift <= -128) return squared_norm == 0;
  if (shift < 0) return squared_norm <= square >> -shift;  // Of integers, S <= x is S <= floor(x).
  const UInt128 largest = ~static_cast<UInt128>(0);
  if (shift >= 128 || square > largest >> shift) return true;  // The square is beyond any sum of 128 bits.
  return squared_norm <= square << shift;
}

double NormOf(UInt128 squared_norm, int grid_bits) {
  return std::ldexp(std::sqrt(static_cast<double>(squared_norm)), -grid_bits);
}

}  // namespace hemafed
