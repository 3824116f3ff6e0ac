// SPDX-License-Identifier: Apache-2.0
#include "codec/merge_weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "codec/integer_weights.h"
#include "common/random.h"
#include "tests/expect_error.h"

namespace hemafed {
namespace {

constexpr std::uint64_t kTop = kMaxSensitivity;

struct Row {
  std::vector<std::uint64_t> pictures;
  std::vector<std::vector<std::uint64_t>> sensitivities;
  double max_share;
  std::vector<std::vector<std::uint32_t>> weights;
};

TEST(DistillationWeights, EqualAnExactComputationInPython) {
  // The rule of the headers, written again with Python's fractions.Fraction and its sorted().
  const std::vector<Row> rows{
      {{300, 100}, {{1, kTop, 1000}, {1, 1, 3000}}, 0.5, {{24576, 8192}, {32768, 0}, {16384, 16384}}},
      {{300, 100, 20},
       {{1, kTop, 1'000'000'000, kTop}, {1, 1, 2'000'000'000, kTop - 1}, {1, kTop, 1'000'000'000'000, kTop - 2}},
       0.5,
       {{16384, 13653, 2731}, {16384, 0, 16384}, {9830, 6554, 16384}, {16384, 13653, 2731}}},
      {{10'000'000, 10'000'000, 10'000'000, 1},
       {{kTop, 1, kTop}, {kTop - 1, kTop, 1}, {kTop - 2, kTop, 1}, {1, kTop, kTop}},
       0.34,
       {{10923, 10923, 10922, 0}, {0, 11141, 11141, 10486}, {11141, 5243, 5243, 11141}}},
      {{120, 0, 60, 60, 30},
       {{7, 1, kTop}, {kTop, kTop, kTop}, {9, 2, 1}, {1, 3, 1}, {std::uint64_t{1} << 40, 4, 1}},
       0.4,
       {{11469, 0, 7373, 819, 13107}, {7282, 0, 7282, 10922, 7282}, {13107, 0, 7865, 7864, 3932}}},
      {{3, 5}, {{(std::uint64_t{1} << 51) + 1}, {(std::uint64_t{1} << 50) - 3}}, 0.5, {{17873, 14895}}},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(DistillationWeights(row.pictures, row.sensitivities, row.max_share).rows, row.weights);
  }
}

TEST(DistillationWeights, AreThoseOfMeanWhereSensitivitiesAreEqual) {
  RandomStream random(5);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::uint64_t> pictures(1 + random.NextBelow(64));
    for (auto& count : pictures) count = 1 + random.NextBelow(1u << random.NextBelow(23));
    const std::uint64_t sensitivity = 1 + (static_cast<std::uint64_t>(random.NextWord()) << random.NextBelow(20));
    const double share = 0.01 * (1 + random.NextBelow(100));
    const MergeWeights weights =
        DistillationWeights(pictures, std::vector(pictures.size(), std::vector(3, sensitivity)), share);
    EXPECT_EQ(weights.rows, std::vector(3, IntegerWeights(pictures, share))) << "round " << round;
  }
}

TEST(DistillationWeights, KeepTheCapWhateverASiteReports) {
  RandomStream random(6);
  for (int round = 0; round < 300; ++round) {
    const std::size_t sites = 3 + random.NextBelow(62);
    std::vector<std::uint64_t> pictures(sites);
    std::vector<std::vector<std::uint64_t>> sensitivities(sites);
    for (std::size_t k = 0; k < sites; ++k) {
      pictures[k] = 1 + random.NextBelow(10'000'000);
      for (int l = 0; l < 4; ++l) sensitivities[k].push_back(std::uint64_t{1} << random.NextBelow(53));
    }
    for (const auto& row : DistillationWeights(pictures, sensitivities, 0.5).rows) {
      EXPECT_EQ(std::accumulate(row.begin(), row.end(), 0u), kWeightSum);
      EXPECT_LE(*std::max_element(row.begin(), row.end()), kWeightSum / 2);
    }
  }
}

TEST(DistillationWeights, GiveTheOnlyUpdaterEverything) {
  EXPECT_EQ(DistillationWeights({7}, {{1, kTop}}, 0.5).rows, (std::vector<std::vector<std::uint32_t>>(2, {32768})));
  EXPECT_EQ(DistillationWeights({0, 7, 0}, {{1}, {1}, {kTop}}, 0.5).rows,
            (std::vector<std::vector<std::uint32_t>>{{0, 32768, 0}}));
}

TEST(DistillationWeights, RefuseWhatCannotBeWeighed) {
  const auto refused = [](const std::string& words, const std::vector<std::uint64_t>& pictures,
                          const std::vector<std::vector<std::uint64_t>>& sensitivities) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)DistillationWeights(pictures, sensitivities, 0.5));
  };
  refused("sensitivities of 0 sites", {}, {});
  refused("sensitivities of 1 sites and pictures of 2", {1, 1}, {{1}});
  refused("site 1 gives 1 sensitivities, site 0 2", {1, 1}, {{1, 1}, {1}});
  refused("tensor 1 at site 0 is not between 1 and 2^52", {1, 1}, {{1, 0}, {1, 1}});
  refused("tensor 0 at site 1 is not between", {1, 1}, {{1, 1}, {kTop + 1, 1}});
  refused("site 0 claims more pictures", {10'000'001, 1}, {{1}, {1}});
  refused("nothing to weigh", {0, 0}, {{1}, {1}});
}

}  // namespace
}  // namespace hemafed
