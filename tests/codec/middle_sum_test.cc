// SPDX-License-Identifier: Apache-2.0
#include "codec/middle_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

#include "common/random.h"
#include "tests/expect_error.h"

namespace hemafed {
namespace {

// A network that sorts all zeros and ones sorts everything (Knuth 5.3.4, theorem Z); the same holds for single places.
TEST(MiddleNetwork, PutsEveryKeptRowInPlaceForAllZerosAndOnes) {
  for (std::size_t rows = 1; rows <= 12; ++rows) {
    for (std::size_t trim = 0; 2 * trim < rows; ++trim) {
      const auto network = MiddleNetwork(rows, trim);
      for (std::uint32_t word = 0; word < 1u << rows; ++word) {
        std::uint32_t sorted = word;
        for (const Comparator& comparator : network) {
          const std::uint32_t low = (sorted >> comparator.low) & 1, high = (sorted >> comparator.high) & 1;
          if (low > high) sorted ^= (1u << comparator.low) | (1u << comparator.high);
        }
        const auto zeros = rows - static_cast<std::size_t>(std::popcount(word));
        for (std::size_t row = trim; row < rows - trim; ++row) {
          ASSERT_EQ((sorted >> row) & 1, row < zeros ? 0u : 1u) << rows << " rows, trim " << trim << ", word " << word;
        }
      }
    }
  }
}

TEST(MiddleNetwork, LeavesOutWhatTheMedianDoesNotNeed) {
  EXPECT_EQ(MiddleNetwork(3, 0).size(), 3u);
  EXPECT_EQ(MiddleNetwork(64, 0).size(), 543u) << "Knuth's count for merge exchange of 64";
  EXPECT_LT(MiddleNetwork(64, 31).size(), MiddleNetwork(64, 0).size());
}

TEST(MiddleSum, EqualsSortingEachCoordinate) {
  RandomStream random(8);
  constexpr std::int32_t kLowest = std::numeric_limits<std::int32_t>::min();
  constexpr std::int32_t kHighest = std::numeric_limits<std::int32_t>::max();
  for (const std::size_t rows : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 13u, 31u, 63u, 64u}) {
    for (const std::size_t trim : {std::size_t{0}, std::size_t{1}, rows / 4, (rows - 1) / 2}) {
      if (2 * trim >= rows) continue;
      MiddleSum middle(rows, trim);
      EXPECT_EQ(middle.kept(), rows - 2 * trim);
      for (const std::size_t count : {1u, 63u, 64u, 65u, 200u}) {
        std::vector<std::int32_t> values(rows * count);
        for (auto& value : values) {
          value = static_cast<std::int32_t>(random.NextWord()) >> random.NextBelow(32);  // Equal ones among them.
          if (random.NextBelow(8) == 0) value = random.NextBelow(2) == 0 ? kLowest : kHighest;
        }
        std::vector<std::int64_t> sums(count, 5), want(count, 5);
        for (std::size_t i = 0; i < count; ++i) {
          std::vector<std::int64_t> column;
          for (std::size_t row = 0; row < rows; ++row) column.push_back(values[row * count + i]);
          std::sort(column.begin(), column.end());
          const auto from = static_cast<std::ptrdiff_t>(trim);
          want[i] += 3 * std::accumulate(column.begin() + from, column.end() - from, std::int64_t{0});
        }
        middle.Add(values, 3, sums);
        ASSERT_EQ(sums, want) << rows << " rows, trim " << trim << ", " << count << " coordinates";
      }
    }
  }
}

TEST(MiddleSum, RefusesToTakeEverythingAway) {
  EXPECT_ERROR(ErrorCode::kInternal, "no middle is left of 4 rows", MiddleSum(4, 2));
  EXPECT_ERROR(ErrorCode::kInternal, "no middle is left of 0 rows", MiddleSum(0, 0));
  MiddleSum middle(3, 1);
  std::vector<std::int64_t> sums(2);
  EXPECT_ERROR(ErrorCode::kInternal, "another length", middle.Add(std::vector<std::int32_t>(5), 1, sums));
}

}  // namespace
}  // namespace hemafed
