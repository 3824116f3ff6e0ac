// SPDX-License-Identifier: Apache-2.0
//
// Numbers come from scipy and numpy through reference_numbers.py, unless said otherwise.
#include "learning/metrics/confidence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

TEST(WilsonInterval, IsThatOfScipy) {
  struct Row {
    std::uint64_t right, pictures;
    double confidence, low, high;
  };
  for (const Row& row :
       {Row{0, 10, .95, 0, 0.277532799862889}, Row{10, 10, .95, 0.722467200137111, 1},
        Row{7, 10, .95, 0.396778147461145, 0.892208732593699}, Row{47, 94, .95, 0.400926698485989, 0.599073301514011},
        Row{1, 1, .99, 0.130977543280186, 1}, Row{81, 263, .9, 0.263313617188481, 0.356566349608488}}) {
    const Interval got = WilsonInterval(row.right, row.pictures, row.confidence);
    EXPECT_NEAR(got.low, row.low, 1e-13) << row.right << " of " << row.pictures;
    EXPECT_NEAR(got.high, row.high, 1e-13) << row.right << " of " << row.pictures;
    EXPECT_DOUBLE_EQ(got.estimate, static_cast<double>(row.right) / static_cast<double>(row.pictures));
  }
}

TEST(WilsonInterval, HoldsExactlyTheSharesThatTheScoreTestKeeps) {
  // Its definition: p belongs to it where |k/n - p| <= z sqrt(p (1-p) / n).
  const double z = 1.959963984540054;
  for (std::uint64_t n : {1u, 5u, 19u, 94u, 371u}) {
    for (std::uint64_t k = 0; k <= n; ++k) {
      const Interval got = WilsonInterval(k, n);
      const auto excess = [&](double p) {
        return std::abs(static_cast<double>(k) / static_cast<double>(n) - p) -
               z * std::sqrt(p * (1 - p) / static_cast<double>(n));
      };
      EXPECT_NEAR(excess(got.low), 0.0, 1e-12);
      EXPECT_NEAR(excess(got.high), 0.0, 1e-12);
      EXPECT_GE(got.low, 0.0);
      EXPECT_LE(got.high, 1.0);
      EXPECT_LT(got.low, got.high);
    }
  }
}

TEST(WilsonInterval, RefusesImpossibleShares) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "is no share", (void)WilsonInterval(0, 0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "3 of 2", (void)WilsonInterval(3, 2));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "between 0 and 1", (void)WilsonInterval(1, 2, 1.0));
}

TEST(NormalQuantile, IsThatOfScipyIntoTheFarTail) {
  const std::vector<std::pair<double, double>> rows = {{1e-300, -37.0470962993612},
                                                       {1e-10, -6.36134090240406},
                                                       {.025, -1.95996398454005},
                                                       {.3, -0.524400512708041},
                                                       {.5, 0},
                                                       {.9, 1.2815515655446},
                                                       {.975, 1.95996398454005},
                                                       {.995, 2.5758293035489}};
  for (const auto& [probability, want] : rows) EXPECT_NEAR(NormalQuantile(probability), want, 1e-12) << probability;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no finite normal quantile", (void)NormalQuantile(0.0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no finite normal quantile", (void)NormalQuantile(1.0));
}

TEST(Runs, AreDescribedByMeanAndSampleDeviation) {
  const OverRuns five = DescribeRuns(std::vector<double>{.81, .84, .79, .9, .66});
  EXPECT_NEAR(five.mean, 0.8, 1e-14);
  EXPECT_NEAR(five.deviation, 0.0886002257333467, 1e-14);
  EXPECT_EQ(five.runs, 5u);
  EXPECT_DOUBLE_EQ(DescribeRuns(std::vector<double>{.4}).deviation, 0.0);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no run", (void)DescribeRuns({}));
}

TEST(Quantile, InterpolatesAsNumpyDoes) {
  const std::vector<double> sorted = {.66, .79, .81, .84, .9};
  const std::vector<std::pair<double, double>> rows = {{0, .66},  {.1, .712},   {.25, .79},
                                                       {.5, .81}, {.77, .8448}, {1, .9}};
  for (const auto& [q, want] : rows) EXPECT_NEAR(Quantile(sorted, q), want, 1e-15) << q;
  EXPECT_DOUBLE_EQ(Quantile(std::vector<double>{3.0}, 0.7), 3.0);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "does not exist", (void)Quantile({}, 0.5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "does not exist", (void)Quantile(sorted, 1.5));
}

}  // namespace
}  // namespace hemafed::learning
