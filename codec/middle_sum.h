// codec/middle_sum.h
// SPDX-License-Identifier: Apache-2.0
//
// The coordinate-wise sum of what is left of n integers after the k lowest and the k highest are taken away: the
// numerator of the trimmed mean, and with k = floor((n - 1) / 2) of the median (one or two are left).
// Yin et al., "Byzantine-Robust Distributed Learning", ICML 2018, definitions 1 and 2.
//
// A sorting network (Batcher's merge exchange; Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M) sorts 64
// coordinates side by side. Unlike a selection per coordinate it has no branch that depends on the values, and its
// comparisons become vector instructions. Comparators that no kept row depends on are left out.
//
// Thread-safety: Add changes its scratch room; one object belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hemafed {

// Compares rows `low` and `high`; the smaller value goes to `low`.
struct Comparator {
  std::uint8_t low = 0;
  std::uint8_t high = 0;
};

// Puts rows trim .. rows - trim - 1 of `rows` rows into the places that they have in ascending order. `rows` is at most
// 256 and above 2 * trim.
[[nodiscard]] std::vector<Comparator> MiddleNetwork(std::size_t rows, std::size_t trim);

class MiddleSum {
 public:
  // kInternal unless rows > 2 * trim and rows is at most 256.
  MiddleSum(std::size_t rows, std::size_t trim);

  // How many values are left at each coordinate.
  [[nodiscard]] std::size_t kept() const { return rows_ - 2 * trim_; }

  // sums[i] += factor * (sum of the kept ones of values[0][i], values[1][i], ...). `values` holds the rows one after
  // another, each as long as `sums`. The caller sees to it that the result fits.
  void Add(std::span<const std::int32_t> values, std::int64_t factor, std::span<std::int64_t> sums);

 private:
  std::size_t rows_;
  std::size_t trim_;
  std::vector<Comparator> network_;
  std::vector<std::int32_t> lanes_;  // Of all rows, at the coordinates being sorted.
};

}  // namespace hemafed
