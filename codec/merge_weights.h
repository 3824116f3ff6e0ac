// codec/merge_weights.h
// SPDX-License-Identifier: Apache-2.0
//
// How much each update of a round counts in each tensor of the model.
//
// Rule "distillation" (design 4.4): site k weighs in tensor l by its pictures times how much the distillation loss
// curves there,
//
//     share_kl = n_k s_kl / sum_j n_j s_jl,
//
// n_k  : input pictures behind the update;
// s_kl : distillation sensitivity of tensor l at site k in units of 2^-40: the mean over the site's pictures of
//        sum over old classes of p (1 - p) (dz / dtheta)^2, averaged over the tensor.
//
// This merges like Fisher averaging (Matena and Raffel, "Merging Models with Fisher-Weighted Averaging", NeurIPS 2022),
// with one number a tensor. Shares become integers, and none exceeds the cap, as in codec/integer_weights.h: whatever a
// site reports, it gains no more than the cap. There is no cap with two updaters: there one immense sensitivity takes
// the tensor. If all sensitivities of a tensor are equal, its row is that of rule "mean".
//
// Errors: kInvalidInput: no site, another number of sensitivities than of sites or tensors, one out of its range
// (naming site and tensor by index), and what IntegerWeights refuses. Thread-safety: value type, free function.
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

// Bounds of a sensitivity in units of 2^-40. At least 1, so that every tensor of every site has a share; at most 2^52,
// which is exact in a double and, times pictures, in the sums of codec/integer_weights.h.
inline constexpr std::uint64_t kMinSensitivity = 1;
inline constexpr std::uint64_t kMaxSensitivity = std::uint64_t{1} << 52;

// One row for each tensor. `sensitivities[k][l]` is of site k and tensor l; every site names all tensors.
[[nodiscard]] MergeWeights DistillationWeights(const std::vector<std::uint64_t>& pictures,
                                               const std::vector<std::vector<std::uint64_t>>& sensitivities,
                                               double max_share);

}  // namespace hemafed
