// learning/features/detection/region_kernel.h
// SPDX-License-Identifier: Apache-2.0
//
// Sampling of rectangular regions of feature maps on the CPU, forward and backward, in plain C++; region_sampling.h
// says what is computed. Bilinear sampling is separable: a bin's value is
//
//     out[p, q, c] = sum over row taps i of bin p, column taps j of bin q of  a_i b_j x[r_i, s_j, c]
//
// and samples of one bin that fall between the same two rows share their taps, which are merged: the usual bin of
// 2 x 2 samples reads 4 to 9 places instead of 16. Channels lie side by side (channels-last), so every tap is one
// streak of memory.
//
// Sums run in one fixed order: the same bits on any number of threads. Thread-safety: free functions without state;
// calls for disjoint outputs (RegionBackward: disjoint channels) may run at the same time.
#pragma once

#include <cstdint>
#include <vector>

namespace hemafed::learning {

// What each bin of each box reads along one axis.
struct AxisTaps {
  struct Tap {
    std::int32_t place;  // row or column
    float weight;
  };
  std::vector<Tap> taps;
  std::vector<std::uint32_t> starts;  // of bin b of box k: starts[k * side + b] .. starts[k * side + b + 1]
};

// `positions` [boxes, side * samples] are 0..length-1, or negative for a sample outside, which counts as 0 (and still
// as one of the samples).
[[nodiscard]] AxisTaps MakeTaps(const float* positions, std::int64_t boxes, std::int64_t side, std::int64_t samples,
                                std::int64_t length);

struct RegionShape {
  std::int64_t height, width, channels;  // of a picture's feature map [height, width, channels]
  std::int64_t side;                     // of the output [side, side, channels]
};

// Fills the output of box `box` from its picture's map.
void RegionForward(const RegionShape& shape, const AxisTaps& rows, const AxisTaps& columns, std::int64_t box,
                   const float* x, float* y);

// Adds to dx what dy of box `box` sends back, for channels first..last-1.
void RegionBackward(const RegionShape& shape, const AxisTaps& rows, const AxisTaps& columns, std::int64_t box,
                    const float* dy, float* dx, std::int64_t first, std::int64_t last);

}  // namespace hemafed::learning
