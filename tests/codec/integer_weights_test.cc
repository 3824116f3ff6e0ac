// SPDX-License-Identifier: Apache-2.0
#include "codec/integer_weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "common/random.h"
#include "tests/expect_error.h"

namespace hemafed {
namespace {

struct Row {
  std::vector<std::uint64_t> pictures;
  double max_share;
  std::vector<std::uint32_t> weights;
};

TEST(IntegerWeights, EqualAnExactComputationInPython) {
  // The rule of the header, written again with Python's fractions.Fraction and its sorted().
  const std::vector<Row> rows{
      {{5}, 0.5, {32768}},
      {{300, 100}, 0.5, {24576, 8192}},
      {{0, 7, 0}, 0.5, {0, 32768, 0}},
      {{1000, 100, 100}, 0.5, {16384, 8192, 8192}},
      {{1, 1, 1}, 0.5, {10923, 10923, 10922}},
      {{380, 100, 60}, 0.5, {16384, 10240, 6144}},
      {{1000, 1000, 1}, 0.34, {11141, 11141, 10486}},
      {{100000, 10, 10, 10}, 0.4, {13107, 6554, 6554, 6553}},
      {{100000, 50000, 10, 20, 0}, 0.4, {13107, 13107, 2185, 4369, 0}},
      {{1, 1, 1}, 0.34, {10923, 10923, 10922}},
      {{10, 20, 30, 40}, 0.34, {3605, 7209, 10813, 11141}},
      {{1, 2, 3, 4, 5, 6, 7}, 0.5, {1170, 2341, 3511, 4681, 5851, 7022, 8192}},
      {{3, 1, 1, 1}, 0.1, {8192, 8192, 8192, 8192}},
      {{10000000, 9999999, 9999998, 1}, 0.5, {10923, 10923, 10922, 0}},
      {{7, 7, 7, 7, 7, 7}, 0.5, {5462, 5462, 5461, 5461, 5461, 5461}},
  };
  for (const Row& row : rows) EXPECT_EQ(IntegerWeights(row.pictures, row.max_share), row.weights);
}

TEST(IntegerWeights, SumTo2To15AndKeepTheShareAndTheOrder) {
  RandomStream random(2024);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::uint64_t> pictures(1 + random.NextBelow(64));
    for (auto& count : pictures) count = random.NextBelow(1u << (1 + random.NextBelow(23)));
    const auto updaters =
        pictures.size() - static_cast<std::size_t>(std::count(pictures.begin(), pictures.end(), std::uint64_t{0}));
    if (updaters == 0) continue;
    const double share = 0.34 + 0.001 * random.NextBelow(600);
    const auto weights = IntegerWeights(pictures, share);
    EXPECT_EQ(std::accumulate(weights.begin(), weights.end(), 0u), kWeightSum);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      EXPECT_TRUE(pictures[i] > 0 || weights[i] == 0);
      EXPECT_TRUE(updaters < 3 || weights[i] < share * kWeightSum + 1) << "round " << round;
      for (std::size_t j = 0; j < weights.size(); ++j) {
        // One unit either way: of two sites at the largest share the lower index may get the odd one.
        EXPECT_TRUE(pictures[i] <= pictures[j] || weights[i] + 1 >= weights[j]) << "round " << round;
      }
    }
  }
}

TEST(IntegerWeights, RefuseWhatCannotBeWeighed) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "nothing to weigh", (void)IntegerWeights({}, 0.5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "nothing to weigh", (void)IntegerWeights({0, 0}, 0.5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "more sites", (void)IntegerWeights(std::vector<std::uint64_t>(65, 1), 0.5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "more pictures", (void)IntegerWeights({10'000'001}, 0.5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "out of range", (void)IntegerWeightsOfAmounts({1, -1}, 0.5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "out of range",
               (void)IntegerWeightsOfAmounts({(static_cast<Int128>(1) << 80) + 1}, 0.5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "largest share", (void)IntegerWeights({1}, 0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "largest share", (void)IntegerWeights({1}, 1.5));
}

}  // namespace
}  // namespace hemafed
