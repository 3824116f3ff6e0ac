// SPDX-License-Identifier: Apache-2.0
//
// Numbers named "scikit-learn" come from reference_numbers.py.
#include "learning/metrics/class_metrics.h"

#include <gtest/gtest.h>

#include <vector>

#include "codec/class_metrics.h"
#include "common/random.h"
#include "learning/metrics/confidence.h"
#include "tests/expect_error.h"
#include "tests/learning/metrics/predictions.h"

namespace hemafed::learning {
namespace {

constexpr double kPrinted = 1e-14;  // fifteen significant digits

TEST(ClassMetrics, AreThoseOfScikitLearn) {
  const testing_support::Predictions given;
  const ConfusionMatrix matrix = CountPredictions(given.labels, given.predicted, given.kClasses);
  const std::vector<std::vector<std::uint64_t>> counts = {{31, 19, 7, 9}, {9, 39, 8, 9}, {9, 10, 38, 7}, {0, 2, 0, 3}};
  for (std::size_t t = 0; t < 4; ++t) {
    for (std::size_t p = 0; p < 4; ++p) EXPECT_EQ(matrix.At(t, p), counts[t][p]);
  }
  const ClassReport report = DescribeClasses(matrix);
  const std::vector<double> precision = {0.63265306122449, 0.557142857142857, 0.716981132075472, 0.107142857142857};
  const std::vector<double> sensitivity = {0.46969696969697, 0.6, 0.59375, 0.6};
  const std::vector<double> specificity = {0.865671641791045, 0.77037037037037, 0.889705882352941, 0.871794871794872};
  const std::vector<double> f1 = {0.539130434782609, 0.577777777777778, 0.64957264957265, 0.181818181818182};
  const std::vector<std::uint64_t> support = {66, 65, 64, 5};
  for (std::size_t c = 0; c < 4; ++c) {
    EXPECT_NEAR(report.classes[c].precision, precision[c], kPrinted);
    EXPECT_NEAR(report.classes[c].sensitivity, sensitivity[c], kPrinted);
    EXPECT_NEAR(report.classes[c].specificity, specificity[c], kPrinted);
    EXPECT_NEAR(report.classes[c].f1, f1[c], kPrinted);
    EXPECT_EQ(report.classes[c].support, support[c]);
  }
  EXPECT_NEAR(report.macro.precision, 0.503479976896419, kPrinted);
  EXPECT_NEAR(report.macro.sensitivity, 0.565861742424242, kPrinted);
  EXPECT_NEAR(report.macro.f1, 0.487074760987805, kPrinted);
  EXPECT_NEAR(report.weighted.precision, 0.621959472468233, kPrinted);
  EXPECT_NEAR(report.weighted.sensitivity, 0.555, kPrinted);
  EXPECT_NEAR(report.weighted.f1, 0.578099523664741, kPrinted);
  EXPECT_NEAR(report.accuracy, 0.555, kPrinted);
  EXPECT_EQ(report.pictures, 200u);
}

TEST(ClassMetrics, AgreeWithTheIntegersOfCoordinatorAndAuditor) {
  RandomStream random(17);
  for (int trial = 0; trial < 50; ++trial) {
    const std::size_t classes = 2 + random.NextBelow(9);
    ConfusionMatrix matrix(classes);
    ClassSet all;
    for (std::uint32_t t = 0; t < classes; ++t) {
      all.push_back(t);
      for (std::size_t p = 0; p < classes; ++p) matrix.Add(t, p, random.NextBelow(t == p ? 500 : 60));
      matrix.Add(t, t, 10);
    }
    const ClassReport report = DescribeClasses(matrix);
    const ColumnMetrics integers = MetricsOf(EvaluationReport::Of(matrix, 10, {all}), 0);
    const auto agree = [](const Scores& scores, const ScoresMillionths& millionths) {
      EXPECT_NEAR(scores.precision, static_cast<double>(millionths.precision) / 1e6, 1e-6);
      EXPECT_NEAR(scores.sensitivity, static_cast<double>(millionths.sensitivity) / 1e6, 1e-6);
      EXPECT_NEAR(scores.specificity, static_cast<double>(millionths.specificity) / 1e6, 1e-6);
      EXPECT_NEAR(scores.f1, static_cast<double>(millionths.f1) / 1e6, 1e-6);
    };
    for (std::size_t c = 0; c < classes; ++c) {
      ASSERT_TRUE(integers.classes[c]);
      agree(report.classes[c], *integers.classes[c]);
      EXPECT_EQ(report.classes[c].support, integers.classes[c]->pictures);
    }
    agree(report.macro, *integers.macro);
    agree(report.weighted, *integers.weighted);
    EXPECT_NEAR(report.accuracy, static_cast<double>(integers.accuracy) / 1e6, 1e-6);
    EXPECT_EQ(report.pictures, integers.pictures);
    const Interval wilson = WilsonInterval(integers.right, integers.pictures);
    EXPECT_NEAR(wilson.low, static_cast<double>(integers.accuracy_interval->low) / 1e6, 1e-6);
    EXPECT_NEAR(wilson.high, static_cast<double>(integers.accuracy_interval->high) / 1e6, 1e-6);
  }
}

TEST(ClassMetrics, CountZeroByZeroAsZeroAndAverageOverClassesWithPictures) {
  // Class 1 is never right, class 2 has no picture but is predicted, class 3 is missed once.
  const ClassReport report = DescribeClasses(
      CountPredictions(std::vector<std::uint32_t>{0, 0, 0, 1, 3, 3}, std::vector<std::uint32_t>{0, 0, 1, 2, 0, 3}, 4));
  const std::vector<double> precision = {2.0 / 3, 0, 0, 1};
  const std::vector<double> sensitivity = {2.0 / 3, 0, 0, 0.5};
  const std::vector<double> f1 = {2.0 / 3, 0, 0, 2.0 / 3};
  for (std::size_t c = 0; c < 4; ++c) {
    EXPECT_NEAR(report.classes[c].precision, precision[c], kPrinted);
    EXPECT_NEAR(report.classes[c].sensitivity, sensitivity[c], kPrinted);
    EXPECT_NEAR(report.classes[c].f1, f1[c], kPrinted);
  }
  // scikit-learn with labels = {0, 1, 3}, the classes of y_true.
  EXPECT_NEAR(report.macro.precision, 0.555555555555555, 1e-14);
  EXPECT_NEAR(report.macro.sensitivity, 0.388888888888889, 1e-14);
  EXPECT_NEAR(report.macro.f1, 0.444444444444444, 1e-14);
  EXPECT_NEAR(report.weighted.precision, 0.666666666666667, 1e-14);
  EXPECT_NEAR(report.weighted.sensitivity, 0.5, kPrinted);
  EXPECT_NEAR(report.weighted.f1, 0.555555555555555, 1e-14);
}

TEST(ClassMetrics, OfOneClassOnlyHaveNoSpecificity) {
  ConfusionMatrix matrix(2);
  matrix.Add(0, 0, 5);
  const ClassReport report = DescribeClasses(matrix);
  EXPECT_DOUBLE_EQ(report.accuracy, 1.0);
  EXPECT_DOUBLE_EQ(report.macro.f1, 1.0);
  EXPECT_DOUBLE_EQ(report.classes[0].specificity, 0.0) << "0 / 0: there is nothing else to tell apart";
  EXPECT_DOUBLE_EQ(report.classes[1].specificity, 1.0);
}

TEST(ClassMetrics, AgreeWithCountingPictureByPicture) {
  RandomStream random(3);
  for (int trial = 0; trial < 100; ++trial) {
    const std::uint32_t classes = 2 + random.NextBelow(12);
    std::vector<std::uint32_t> truth(1 + random.NextBelow(80));
    std::vector<std::uint32_t> predicted(truth.size());
    for (std::size_t i = 0; i < truth.size(); ++i) {
      truth[i] = random.NextBelow(classes);
      predicted[i] = random.NextBelow(2) == 0 ? truth[i] : random.NextBelow(classes);
    }
    const ClassReport report = DescribeClasses(CountPredictions(truth, predicted, classes));
    double balanced = 0.0;
    int present = 0;
    for (std::uint32_t c = 0; c < classes; ++c) {
      double tp = 0, fp = 0, fn = 0, tn = 0;
      for (std::size_t i = 0; i < truth.size(); ++i) {
        (truth[i] == c ? (predicted[i] == c ? tp : fn) : (predicted[i] == c ? fp : tn)) += 1;
      }
      const ClassScores& got = report.classes[c];
      EXPECT_NEAR(got.precision, tp + fp > 0 ? tp / (tp + fp) : 0.0, kPrinted);
      EXPECT_NEAR(got.sensitivity, tp + fn > 0 ? tp / (tp + fn) : 0.0, kPrinted);
      EXPECT_NEAR(got.specificity, tn + fp > 0 ? tn / (tn + fp) : 0.0, kPrinted);
      const double sum = got.precision + got.sensitivity;
      EXPECT_NEAR(got.f1, sum > 0 ? 2 * got.precision * got.sensitivity / sum : 0.0, kPrinted)
          << "the harmonic mean of the two";
      if (tp + fn > 0) {
        balanced += tp / (tp + fn);
        ++present;
      }
    }
    EXPECT_NEAR(report.macro.sensitivity, balanced / present, kPrinted);
    EXPECT_NEAR(report.weighted.sensitivity, report.accuracy, kPrinted) << "true for every matrix";
  }
}

TEST(ClassMetrics, RefuseNothingAndUnevenLists) {
  EXPECT_ERROR(ErrorCode::kConflict, "counts no picture", (void)DescribeClasses(ConfusionMatrix(3)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 predictions for 2",
               (void)CountPredictions(std::vector<std::uint32_t>{0, 1}, std::vector<std::uint32_t>{0}, 2));
}

}  // namespace
}  // namespace hemafed::learning
