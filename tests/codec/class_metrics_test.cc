// SPDX-License-Identifier: Apache-2.0
//
// Figures in exact integers, against slow ones in floating point.
#include "codec/class_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "codec/plan.h"
#include "common/random.h"
#include "tests/expect_error.h"

namespace hemafed {
namespace {

ConfusionMatrix RandomMatrix(std::size_t classes, std::uint64_t seed) {
  RandomStream random(seed);
  ConfusionMatrix matrix(classes);
  for (std::size_t truth = 0; truth < classes; ++truth) {
    for (std::size_t predicted = 0; predicted < classes; ++predicted) {
      matrix.Add(truth, predicted, random.NextBelow(truth == predicted ? 90 : 7));
    }
    matrix.Add(truth, truth, 10);  // Large enough to be shown.
  }
  return matrix;
}

double Share(double part, double whole) { return whole == 0 ? 0 : part / whole; }

TEST(ColumnMetrics, AreThoseOfTheirDefinitions) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const ConfusionMatrix matrix = RandomMatrix(5, seed);
    const ClassSet pool = seed % 2 == 0 ? ClassSet{0, 1, 2, 3, 4} : ClassSet{1, 2, 4};
    const ColumnMetrics metrics = MetricsOf(EvaluationReport::Of(matrix, 10, {pool}), 0);
    double pictures = 0, right = 0, macro_f1 = 0, weighted_precision = 0;
    for (const std::uint32_t t : pool) {
      pictures += static_cast<double>(matrix.RowSum(t));
      right += static_cast<double>(matrix.At(t, t));
    }
    for (const std::uint32_t k : pool) {
      const auto tp = static_cast<double>(matrix.At(k, k));
      double fn = 0, fp = 0;
      for (std::size_t other = 0; other < 5; ++other) fn += other == k ? 0 : static_cast<double>(matrix.At(k, other));
      for (const std::uint32_t t : pool) fp += t == k ? 0 : static_cast<double>(matrix.At(t, k));
      const double tn = pictures - tp - fn - fp;
      ASSERT_TRUE(metrics.classes[k]);
      const ClassScoresMillionths& scores = *metrics.classes[k];
      EXPECT_NEAR(static_cast<double>(scores.precision), 1e6 * Share(tp, tp + fp), 0.501);
      EXPECT_NEAR(static_cast<double>(scores.sensitivity), 1e6 * Share(tp, tp + fn), 0.501);
      EXPECT_NEAR(static_cast<double>(scores.specificity), 1e6 * Share(tn, tn + fp), 0.501);
      EXPECT_NEAR(static_cast<double>(scores.f1), 1e6 * Share(2 * tp, 2 * tp + fp + fn), 0.501);
      EXPECT_EQ(scores.pictures, matrix.RowSum(k));
      macro_f1 += Share(2 * tp, 2 * tp + fp + fn) / static_cast<double>(pool.size());
      weighted_precision += Share(tp, tp + fp) * static_cast<double>(matrix.RowSum(k)) / pictures;
    }
    EXPECT_NEAR(static_cast<double>(metrics.macro->f1), 1e6 * macro_f1, 1.001);
    EXPECT_NEAR(static_cast<double>(metrics.weighted->precision), 1e6 * weighted_precision, 1.001);
    EXPECT_NEAR(static_cast<double>(metrics.accuracy), 1e6 * right / pictures, 0.501);
    EXPECT_EQ(metrics.classes[0].has_value() || metrics.classes[3].has_value(), pool.size() == 5);
  }
}

TEST(ColumnMetrics, PooledPicturesAreStrangersToTheClassesShown) {
  ConfusionMatrix matrix(3);
  matrix.Add(0, 0, 20);
  matrix.Add(1, 0, 4);  // Taken for class 0.
  matrix.Add(1, 1, 3);
  matrix.Add(2, 2, 5);
  const auto report = EvaluationReport::Of(matrix, 10, {{0, 1, 2}});
  ASSERT_TRUE(report.pools()[0]);
  const ColumnMetrics metrics = MetricsOf(report, 0);
  EXPECT_EQ(metrics.classes[0]->precision, 833'333u);    // 20 / 24
  EXPECT_EQ(metrics.classes[0]->specificity, 666'667u);  // 8 / 12
  EXPECT_FALSE(metrics.classes[1] || metrics.classes[2]);
  EXPECT_EQ(metrics.pictures, 32u);
  EXPECT_EQ(metrics.right, 28u);
  EXPECT_EQ(*metrics.macro, static_cast<const ScoresMillionths&>(*metrics.classes[0]));
}

TEST(ColumnMetrics, NothingShownHasNoFigures) {
  ConfusionMatrix matrix(2);
  matrix.Add(0, 0, 3);
  const ColumnMetrics metrics = MetricsOf(EvaluationReport::Of(matrix, 10, {{0, 1}}), 0);
  EXPECT_FALSE(metrics.macro || metrics.weighted || metrics.accuracy_interval || metrics.classes[0]);
  EXPECT_EQ(metrics.pictures, 0u);
  EXPECT_ERROR(ErrorCode::kInternal, "no column 1", (void)MetricsOf(EvaluationReport::Of(matrix, 10, {{0, 1}}), 1));
}

TEST(WilsonInterval, IsTheClosedFormToAMillionth) {
  const double z = 1.959963984540054;
  for (const std::uint64_t n : {1u, 2u, 7u, 10u, 79u, 1000u, 99'991u, 10'000'000u}) {
    for (const double share : {0.0, 0.01, 0.3, 0.5, 0.77, 0.999, 1.0}) {
      const auto k = static_cast<std::uint64_t>(std::llround(share * static_cast<double>(n)));
      const auto count = static_cast<double>(n);
      const double p = static_cast<double>(k) / count;
      const double middle = p + z * z / (2 * count);
      const double reach = z * std::sqrt(p * (1 - p) / count + z * z / (4 * count * count));
      const double scale = 1 + z * z / count;
      const IntervalMillionths got = WilsonIntervalMillionths(k, n);
      EXPECT_NEAR(static_cast<double>(got.low), 1e6 * (middle - reach) / scale, 0.6) << k << " of " << n;
      EXPECT_NEAR(static_cast<double>(got.high), 1e6 * (middle + reach) / scale, 0.6) << k << " of " << n;
      EXPECT_EQ(got.low == 0, k == 0);
      EXPECT_EQ(got.high == 1'000'000, k == n);
    }
  }
  EXPECT_ERROR(ErrorCode::kInternal, "no share", (void)WilsonIntervalMillionths(3, 2));
  EXPECT_ERROR(ErrorCode::kInternal, "no share", (void)WilsonIntervalMillionths(0, 0));
}

}  // namespace
}  // namespace hemafed
