// SPDX-License-Identifier: Apache-2.0
#include "codec/middle_sum.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string>

#include "common/error.h"

namespace hemafed {

namespace {

// Coordinates sorted side by side: 64 rows of them are 16 KB, half a first-level cache.
constexpr std::size_t kLanes = 64;
constexpr std::size_t kMaxRows = 256;  // What a comparator can name.

void Exchange(std::int32_t* __restrict low, std::int32_t* __restrict high) {
  for (std::size_t i = 0; i < kLanes; ++i) {
    const std::int32_t a = low[i], b = high[i];
    low[i] = a < b ? a : b;
    high[i] = a < b ? b : a;
  }
}

void Accumulate(const std::int32_t* __restrict values, std::int64_t* __restrict sums) {
  for (std::size_t i = 0; i < kLanes; ++i) sums[i] += static_cast<std::int64_t>(values[i]);
}

// Algorithm M with its letters; rows are counted from 0.
std::vector<Comparator> MergeExchange(std::size_t n) {
  std::vector<Comparator> network;
  if (n < 2) return network;
  const std::size_t top = std::bit_ceil(n) / 2;
  for (std::size_t p = top; p > 0; p /= 2) {
    std::size_t q = top, r = 0, d = p;
    for (;;) {
      for (std::size_t i = 0; i + d < n; ++i) {
        if ((i & p) == r) network.push_back({static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i + d)});
      }
      if (q == p) break;
      d = q - p;
      q /= 2;
      r = p;
    }
  }
  return network;
}

}  // namespace

std::vector<Comparator> MiddleNetwork(std::size_t rows, std::size_t trim) {
  if (rows > kMaxRows || rows <= 2 * trim) {
    throw Error(ErrorCode::kInternal, "no middle is left of " + std::to_string(rows) + " rows without the " +
                                          std::to_string(trim) + " lowest and highest");
  }
  const std::vector<Comparator> whole = MergeExchange(rows);
  std::vector<bool> wanted(rows, false);
  std::fill(wanted.begin() + static_cast<std::ptrdiff_t>(trim), wanted.end() - static_cast<std::ptrdiff_t>(trim), true);
  std::vector<Comparator> kept;
  for (auto comparator = whole.rbegin(); comparator != whole.rend(); ++comparator) {
    if (!wanted[comparator->low] && !wanted[comparator->high]) continue;
    wanted[comparator->low] = wanted[comparator->high] = true;
    kept.push_back(*comparator);
  }
  std::reverse(kept.begin(), kept.end());
  return kept;
}

MiddleSum::MiddleSum(std::size_t rows, std::size_t trim)
    : rows_(rows), trim_(trim), network_(MiddleNetwork(rows, trim)), lanes_(rows * kLanes) {}

void MiddleSum::Add(std::span<const std::int32_t> values, std::int64_t factor, std::span<std::int64_t> sums) {
  const std::size_t count = sums.size();
  if (values.size() != rows_ * count) throw Error(ErrorCode::kInternal, "MiddleSum: rows of another length than sums");
  // The rows are copied together: at their own distance, often a power of two, they would share few cache sets.
  for (std::size_t done = 0; done < count; done += kLanes) {
    const std::size_t part = std::min(kLanes, count - done);  // Lanes beyond hold what was there, and are not read.
    for (std::size_t row = 0; row < rows_; ++row) {
      std::copy_n(&values[row * count + done], part, &lanes_[row * kLanes]);
    }
    for (const Comparator& comparator : network_) {
      Exchange(&lanes_[comparator.low * kLanes], &lanes_[comparator.high * kLanes]);
    }
    std::array<std::int64_t, kLanes> middle{};
    for (std::size_t row = trim_; row < rows_ - trim_; ++row) Accumulate(&lanes_[row * kLanes], middle.data());
    for (std::size_t i = 0; i < part; ++i) sums[done + i] += factor * middle[i];
  }
}

}  // namespace hemafed
