// SPDX-License-Identifier: Apache-2.0
#include "codec/retreat.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "common/error.h"

namespace hemafed {

namespace {

constexpr std::size_t kPieceValues = 65'536;      // Read at a time: memory, not meaning.
constexpr std::uint64_t kTellingWaySquared = 16;  // A way is told from a quarter of the update's length on.

void ReadFloats(const SafetensorsReader& model, const TensorSpec& spec, std::uint64_t first, std::span<float> out) {
  const TensorInfo& tensor = model.Require(spec.name);
  if (tensor.dtype != DType::kF32 || tensor.shape != spec.shape) {
    throw Error(ErrorCode::kInvalidInput,
                model.where() + ": tensor " + spec.name + " has another form than updates of it");
  }
  model.Read(tensor, 4 * first, {reinterpret_cast<std::uint8_t*>(out.data()), out.size_bytes()});
}

std::int64_t GridSteps(float now, float first) {
  constexpr double kLow = std::numeric_limits<std::int32_t>::min(), kHigh = std::numeric_limits<std::int32_t>::max();
  const double steps = std::ldexp(static_cast<double>(now) - static_cast<double>(first), kGridBits);
  return static_cast<std::int64_t>(RoundHalfEven(std::clamp(steps, kLow, kHigh)));  // Models are finite.
}

}  // namespace

bool Retreat::Exceeds(std::uint64_t millionths) const {
  if (way * kTellingWaySquared < update) return false;
  return back > 0 && static_cast<UInt128>(back) * 1'000'000 > way * millionths;
}

double Retreat::Share() const { return way == 0 ? 0 : static_cast<double>(back) / static_cast<double>(way); }

Retreat RetreatOf(const ReadableFile& raw, const UpdateLayout& layout, const SafetensorsReader& now,
                  const SafetensorsReader& first) {
  Retreat retreat;
  std::vector<float> here(kPieceValues), there(kPieceValues);
  Bytes integers(4 * kPieceValues);
  std::uint64_t offset = 0;  // In values of the whole update.
  for (const TensorSpec& spec : layout.tensors) {
    const std::uint64_t values = spec.ValueCount();
    for (std::uint64_t done = 0; done < values;) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(kPieceValues, values - done));
      const auto bytes = std::span(integers).first(4 * count);
      if (raw.ReadAt(4 * (offset + done), bytes) != bytes.size()) {
        throw Error(ErrorCode::kCorrupt, "stored integers of an update end before its layout does");
      }
      ReadFloats(now, spec, done, std::span(here).first(count));
      ReadFloats(first, spec, done, std::span(there).first(count));
      for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t q = LoadLittleEndian<std::int32_t>(&integers[4 * i]);
        const std::int64_t d = GridSteps(here[i], there[i]);
        retreat.back -= Int128{q * d};
        retreat.way += static_cast<std::uint64_t>(d * d);
        retreat.update += static_cast<std::uint64_t>(q * q);
      }
      done += count;
    }
    offset += values;
  }
  return retreat;
}

}  // namespace hemafed
