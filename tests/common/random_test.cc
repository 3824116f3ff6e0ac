// SPDX-License-Identifier: Apache-2.0
#include "common/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace hemafed {
namespace {

// The known-answer vectors of the authors' Random123 library (kat_vectors, "philox4x32 10"): counter, key, result.
TEST(Philox4x32, MatchesTheAuthorsKnownAnswers) {
  EXPECT_EQ(Philox4x32(0, {0, 0, 0, 0}), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox4x32(~0ull, {~0u, ~0u, ~0u, ~0u}), (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32(0x299f31d0'a4093822ull, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, WordsAreTheBlocksInOrder) {
  RandomStream stream(7, 0x1'0000'0002ull);
  for (std::uint32_t n = 0; n < 3; ++n) {
    for (const std::uint32_t word : Philox4x32(7, {n, 0, 2, 1})) EXPECT_EQ(stream.NextWord(), word);
  }
}

TEST(RandomStream, UnitsStayBelowOneAndHaveTheUniformMoments) {
  RandomStream stream(1);
  double sum = 0, squares = 0;
  constexpr int kDraws = 100000;
  for (int i = 0; i < kDraws; ++i) {
    const double u = stream.NextUnit();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    squares += u * u;
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 0.005);
  EXPECT_NEAR(squares / kDraws, 1.0 / 3, 0.005);
}

TEST(RandomStream, BoundedNumbersCoverTheirRangeEvenly) {
  RandomStream stream(2);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70000; ++i) ++counts.at(stream.NextBelow(7));
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);
  EXPECT_EQ(stream.NextBelow(1), 0u);
}

TEST(RandomStream, NormalsHaveMeanZeroAndVarianceOne) {
  RandomStream stream(3);
  double sum = 0, squares = 0;
  constexpr int kDraws = 100000;
  for (int i = 0; i < kDraws; ++i) {
    const double z = stream.NextNormal();
    ASSERT_TRUE(std::isfinite(z));
    sum += z;
    squares += z * z;
  }
  EXPECT_NEAR(sum / kDraws, 0.0, 0.02);
  EXPECT_NEAR(squares / kDraws, 1.0, 0.02);
}

TEST(Permutation, HoldsEveryIndexOnceAndDependsOnTheSeed) {
  RandomStream first(4), second(5);
  const auto a = Permutation(1000, first);
  EXPECT_EQ(std::set<std::uint32_t>(a.begin(), a.end()).size(), 1000u);
  EXPECT_EQ(*std::max_element(a.begin(), a.end()), 999u);
  EXPECT_NE(a, Permutation(1000, second));
  EXPECT_TRUE(Permutation(0, first).empty());
}

TEST(DeriveSeed, SeparatesPurposesAndSeeds) {
  EXPECT_EQ(DeriveSeed(1, "a"), DeriveSeed(1, "a"));
  EXPECT_NE(DeriveSeed(1, "a"), DeriveSeed(1, "b"));
  EXPECT_NE(DeriveSeed(1, "a"), DeriveSeed(2, "a"));
}

}  // namespace
}  // namespace hemafed
