// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/region_kernel.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

namespace hemafed::learning {

namespace {

constexpr std::int64_t kLanes = 16;
// Sixteen floats; the compiler maps them to one, two or four registers of the processor at hand.
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));
// Compiled once for each of these instruction sets; the loader picks the best one present.
#if defined(__x86_64__)
#define HEMAFED_EACH_INSTRUCTION_SET [[gnu::target_clones("avx512f", "avx2", "default")]]
#else
#define HEMAFED_EACH_INSTRUCTION_SET
#endif

// By reference: returning a vector type would tie the calling convention to the instruction set.
[[gnu::always_inline]] inline void Load(const float* from, Lanes& to) { std::memcpy(&to, from, sizeof to); }
[[gnu::always_inline]] inline void Store(const Lanes& from, float* to) { std::memcpy(to, &from, sizeof from); }

struct Place {
  std::int64_t offset;  // of the streak of channels, in floats
  float weight;
};

// The places that one bin reads, rows first.
void CollectPlaces(const RegionShape& shape, const AxisTaps& rows, const AxisTaps& columns, std::int64_t row_bin,
                   std::int64_t column_bin, std::vector<Place>& places) {
  places.clear();
  const auto r = static_cast<std::size_t>(row_bin);
  const auto c = static_cast<std::size_t>(column_bin);
  for (std::uint32_t i = rows.starts[r]; i < rows.starts[r + 1]; ++i) {
    for (std::uint32_t j = columns.starts[c]; j < columns.starts[c + 1]; ++j) {
      const std::int64_t place = rows.taps[i].place * shape.width + columns.taps[j].place;
      places.push_back({place * shape.channels, rows.taps[i].weight * columns.taps[j].weight});
    }
  }
}

HEMAFED_EACH_INSTRUCTION_SET
void SumPlaces(const Place* places, std::size_t count, const float* x, std::int64_t channels, float* y) {
  std::int64_t c = 0;
  for (; c + 4 * kLanes <= channels; c += 4 * kLanes) {
    Lanes s0{}, s1{}, s2{}, s3{};
    for (std::size_t i = 0; i < count; ++i) {
      const float* from = x + places[i].offset + c;
      Lanes v0, v1, v2, v3;
      Load(from, v0);
      Load(from + kLanes, v1);
      Load(from + 2 * kLanes, v2);
      Load(from + 3 * kLanes, v3);
      s0 += places[i].weight * v0;
      s1 += places[i].weight * v1;
      s2 += places[i].weight * v2;
      s3 += places[i].weight * v3;
    }
    Store(s0, y + c);
    Store(s1, y + c + kLanes);
    Store(s2, y + c + 2 * kLanes);
    Store(s3, y + c + 3 * kLanes);
  }
  for (; c < channels; ++c) {
    float sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += places[i].weight * x[places[i].offset + c];
    y[c] = sum;
  }
}

HEMAFED_EACH_INSTRUCTION_SET
void SpreadPlaces(const Place* places, std::size_t count, const float* dy, std::int64_t first, std::int64_t last,
                  float* dx) {
  for (std::size_t i = 0; i < count; ++i) {
    float* to = dx + places[i].offset;
    std::int64_t c = first;
    for (; c + kLanes <= last; c += kLanes) {
      Lanes sum, share;
      Load(to + c, sum);
      Load(dy + c, share);
      sum += places[i].weight * share;
      Store(sum, to + c);
    }
    for (; c < last; ++c) to[c] += places[i].weight * dy[c];
  }
}

// Adds a weight to the tap of a place, among those of the bin that begins at `start`.
void AddTap(AxisTaps& taps, std::size_t start, std::int32_t place, float weight) {
  for (std::size_t i = start; i < taps.taps.size(); ++i) {
    if (taps.taps[i].place == place) {
      taps.taps[i].weight += weight;
      return;
    }
  }
  taps.taps.push_back({place, weight});
}

}  // namespace

AxisTaps MakeTaps(const float* positions, std::int64_t boxes, std::int64_t side, std::int64_t samples,
                  std::int64_t length) {
  AxisTaps taps;
  const std::int64_t bins = boxes * side;
  taps.taps.reserve(static_cast<std::size_t>(2 * bins * samples));
  taps.starts.reserve(static_cast<std::size_t>(bins) + 1);
  const float share = 1.0f / static_cast<float>(samples);
  const auto last = static_cast<std::int32_t>(length - 1);
  for (std::int64_t bin = 0; bin < bins; ++bin) {
    const std::size_t start = taps.taps.size();
    taps.starts.push_back(static_cast<std::uint32_t>(start));
    for (std::int64_t i = 0; i < samples; ++i) {
      const float position = positions[bin * samples + i];
      if (!(position >= 0)) continue;
      const std::int32_t low = std::min(static_cast<std::int32_t>(position), last);
      const float beyond = low == last ? 0.0f : position - static_cast<float>(low);
      AddTap(taps, start, low, (1.0f - beyond) * share);
      if (beyond > 0) AddTap(taps, start, low + 1, beyond * share);
    }
  }
  taps.starts.push_back(static_cast<std::uint32_t>(taps.taps.size()));
  return taps;
}

void RegionForward(const RegionShape& shape, const AxisTaps& rows, const AxisTaps& columns, std::int64_t box,
                   const float* x, float* y) {
  std::vector<Place> places;
  for (std::int64_t p = 0; p < shape.side; ++p) {
    for (std::int64_t q = 0; q < shape.side; ++q) {
      CollectPlaces(shape, rows, columns, box * shape.side + p, box * shape.side + q, places);
      SumPlaces(places.data(), places.size(), x, shape.channels, y + (p * shape.side + q) * shape.channels);
    }
  }
}

void RegionBackward(const RegionShape& shape, const AxisTaps& rows, const AxisTaps& columns, std::int64_t box,
                    const float* dy, float* dx, std::int64_t first, std::int64_t last) {
  std::vector<Place> places;
  for (std::int64_t p = 0; p < shape.side; ++p) {
    for (std::int64_t q = 0; q < shape.side; ++q) {
      CollectPlaces(shape, rows, columns, box * shape.side + p, box * shape.side + q, places);
      SpreadPlaces(places.data(), places.size(), dy + (p * shape.side + q) * shape.channels, first, last, dx);
    }
  }
}

}  // namespace hemafed::learning
