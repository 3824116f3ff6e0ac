// learning/features/detection/nms_kernel.h
// SPDX-License-Identifier: Apache-2.0
//
// The pass of non-maximum suppression over boxes that are sorted by score, on the CPU (nms.h says what is computed).
// Coordinates lie in arrays of their own, so that one box is compared with many others in a few instructions.
//
// Thread-safety: a value for one thread; no state outside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hemafed::learning {

struct SortedBoxes {
  std::vector<float> x0, y0, x1, y1;
  std::vector<std::int64_t> groups;

  [[nodiscard]] std::size_t size() const { return x0.size(); }
};

// The places, among the sorted ones, of at most `most` boxes that stay, ascending.
[[nodiscard]] std::vector<std::size_t> KeepBest(const SortedBoxes& boxes, float overlap, std::size_t most);

}  // namespace hemafed::learning
