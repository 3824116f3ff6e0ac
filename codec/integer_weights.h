// codec/integer_weights.h
// SPDX-License-Identifier: Apache-2.0
//
// How much each site counts in one round, as integers that every machine computes alike.
//
// Sites weigh by an amount n_k, such as their pictures: share s_k = n_k / sum n. With three or more updaters (sites
// whose amount is above 0) no share may exceed M: whatever is above it is cut to M and the rest, 1 - (number of cut
// ones) * M, is divided among the others by amounts, again and again until no share exceeds M. If M is below
// 1/updaters, nobody can be cut further and all shares are equal. Then
//
//     w_k = floor(s_k * 2^15), and the units missing to 2^15 go to the largest remainders, ties to the lower index.
//
// Everything is done with M in millionths and exact fractions. Rounding can lift a weight above M * 2^15 by less than
// one.
//
// Errors: kInvalidInput for no site, nothing but zeros, more sites, pictures or amounts than the limits, or a share
// outside 0 to 1. Thread-safety: free function without state.
#pragma once

#include <cstdint>
#include <vector>

#include "codec/exact.h"

namespace hemafed {

inline constexpr int kWeightBits = 15;
inline constexpr std::uint32_t kWeightSum = 1u << kWeightBits;  // What the integer weights of a round add up to.

// Largest amount: 10^7 pictures times a sensitivity of 2^52 (codec/merge_weights.h) are below it. Times 64 sites, 10^6
// and 2^15 the numerators of all fractions then stay within 2^121.
inline constexpr int kMaxAmountBits = 80;

// One weight per site, in the order of `amounts`; a site with the amount 0 gets 0. `max_share` is rounded to
// millionths.
[[nodiscard]] std::vector<std::uint32_t> IntegerWeightsOfAmounts(const std::vector<Int128>& amounts, double max_share);
// The same by pictures.
[[nodiscard]] std::vector<std::uint32_t> IntegerWeights(const std::vector<std::uint64_t>& pictures, double max_share);

}  // namespace hemafed
