// codec/merge_weights.h
// SPDX-License-Identifier: Apache-2.0
//
// How much each update of a round counts in each tensor of the model.
//
// Thread-safety: value type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hemafed {

// One row of integer weights, one weight for each update; every row sums to 2^15 (codec/integer_weights.h).
// Either one row for all tensors, or one for each tensor of the layout, in the layout's order.
struct MergeWeights {
  std::vector<std::vector<std::uint32_t>> rows;

  [[nodiscard]] bool PerTensor() const { return rows.size() > 1; }
  [[nodiscard]] const std::vector<std::uint32_t>& Of(std::size_t tensor) const {
    return PerTensor() ? rows[tensor] : rows.front();
  }
  bool operator==(const MergeWeights&) const = default;
};

}  // namespace hemafed
