// SPDX-License-Identifier: Apache-2.0
//
// Numbers named "scikit-learn" come from reference_numbers.py.
#include "learning/metrics/roc_auc.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "codec/score_histograms.h"
#include "common/random.h"
#include "tests/expect_error.h"
#include "tests/learning/metrics/predictions.h"

namespace hemafed::learning {
namespace {

// The definition, pair by pair.
double AreaByPairs(const std::vector<double>& scores, const std::vector<std::uint8_t>& positive) {
  double won = 0.0;
  double pairs = 0.0;
  for (std::size_t p = 0; p < scores.size(); ++p) {
    for (std::size_t n = 0; n < scores.size(); ++n) {
      if (positive[p] == 0 || positive[n] != 0) continue;
      pairs += 1.0;
      won += scores[p] > scores[n] ? 1.0 : scores[p] == scores[n] ? 0.5 : 0.0;
    }
  }
  return won / pairs;
}

struct Drawn {
  std::vector<double> scores;
  std::vector<std::uint8_t> positive;
};
// `levels` distinct scores at most, so that few levels mean many ties.
Drawn Draw(std::uint64_t seed, std::uint32_t levels, std::size_t pictures) {
  RandomStream random(seed);
  Drawn drawn;
  for (std::size_t i = 0; i < pictures; ++i) {
    drawn.positive.push_back(i < 2 ? static_cast<std::uint8_t>(i) : random.NextBelow(3) == 0);
    drawn.scores.push_back(static_cast<double>(random.NextBelow(levels)) / levels);
  }
  return drawn;
}

TEST(RocAuc, OfTheTextbookExampleIsThreeQuarters) {
  EXPECT_DOUBLE_EQ(*RocAuc(std::vector<double>{.1, .4, .35, .8}, std::vector<std::uint8_t>{0, 0, 1, 1}), 0.75);
}

TEST(RocAuc, CountsEveryPairOnceAndTiesHalf) {
  for (const std::uint32_t levels : {1u, 2u, 5u, 40u, 100'000u}) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const Drawn drawn = Draw(seed, levels, 2 + seed * 7);
      EXPECT_NEAR(*RocAuc(drawn.scores, drawn.positive), AreaByPairs(drawn.scores, drawn.positive), 1e-13)
          << levels << " levels, seed " << seed;
    }
  }
  EXPECT_DOUBLE_EQ(*RocAuc(std::vector<double>(9, 0.3), std::vector<std::uint8_t>{1, 0, 1, 0, 0, 1, 0, 1, 0}), 0.5);
}

TEST(RocAuc, DependsOnTheOrderOfScoresOnly) {
  Drawn drawn = Draw(4, 30, 80);
  const double area = *RocAuc(drawn.scores, drawn.positive);
  for (double& score : drawn.scores) score = std::exp(7.0 * score) - 100.0;
  EXPECT_DOUBLE_EQ(*RocAuc(drawn.scores, drawn.positive), area);
  for (double& score : drawn.scores) score = -score;
  EXPECT_DOUBLE_EQ(*RocAuc(drawn.scores, drawn.positive), 1.0 - area);
}

TEST(RocAuc, DoesNotExistWithoutBothKinds) {
  EXPECT_FALSE(RocAuc(std::vector<double>{.1, .2}, std::vector<std::uint8_t>{1, 1}));
  EXPECT_FALSE(RocAuc(std::vector<double>{.1, .2}, std::vector<std::uint8_t>{0, 0}));
  EXPECT_FALSE(RocAuc({}, {}));
}

TEST(RocAuc, OfEachClassAgainstTheRestIsThatOfScikitLearn) {
  const testing_support::Predictions given;
  const OneVersusRest got = RocAucOfClasses(given.probabilities, given.labels, given.kClasses);
  const std::vector<double> want = {0.760515603799186, 0.778860398860399, 0.805549172794118, 0.873846153846154};
  for (std::size_t c = 0; c < want.size(); ++c) EXPECT_NEAR(*got.classes[c], want[c], 1e-14);
  EXPECT_NEAR(*got.macro, 0.804692832324964, 1e-14);
  EXPECT_NEAR(*got.weighted, 0.783721668023633, 1e-14);
}

TEST(RocAuc, LeavesClassesWithoutPicturesOutOfTheMeans) {
  const std::vector<double> probabilities = {.7, .2, .1, .4, .5, .1, .3, .6, .1};
  const OneVersusRest got = RocAucOfClasses(probabilities, std::vector<std::uint32_t>{0, 1, 0}, 3);
  EXPECT_FALSE(got.classes[2]);
  EXPECT_DOUBLE_EQ(*got.macro, (*got.classes[0] + *got.classes[1]) / 2.0);
  EXPECT_DOUBLE_EQ(*got.weighted, (2.0 * *got.classes[0] + *got.classes[1]) / 3.0);
  EXPECT_FALSE(RocAucOfClasses(probabilities, std::vector<std::uint32_t>{1, 1, 1}, 3).macro);
}

TEST(RocCurve, IsThatOfScikitLearnAndHasTheAreaUnderIt) {
  const std::vector<double> scores = {.1, .4, .35, .8, .8, .35};
  const std::vector<std::uint8_t> positive = {0, 0, 1, 1, 0, 1};
  const std::vector<RocPoint> curve = RocCurve(scores, positive);
  const std::vector<double> fpr = {0, 1.0 / 3, 2.0 / 3, 2.0 / 3, 1};
  const std::vector<double> tpr = {0, 1.0 / 3, 1.0 / 3, 1, 1};
  const std::vector<double> thresholds = {std::numeric_limits<double>::infinity(), .8, .4, .35, .1};
  ASSERT_EQ(curve.size(), fpr.size());
  double area = 0.0;
  for (std::size_t i = 0; i < curve.size(); ++i) {
    EXPECT_DOUBLE_EQ(curve[i].false_positive_rate, fpr[i]);
    EXPECT_DOUBLE_EQ(curve[i].true_positive_rate, tpr[i]);
    EXPECT_DOUBLE_EQ(curve[i].threshold, thresholds[i]);
    if (i > 0) area += (fpr[i] - fpr[i - 1]) * (tpr[i] + tpr[i - 1]) / 2.0;  // Trapezoids halve ties.
  }
  EXPECT_NEAR(*RocAuc(scores, positive), area, 1e-15);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "there are 2 and 0",
               (void)RocCurve(std::vector<double>{.1, .2}, std::vector<std::uint8_t>{1, 1}));
}

TEST(ScoreHistogram, GivesTheExactAreaOfScoresOnItsGridAndElseOneWithinItsBound) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Drawn coarse = Draw(seed, 256, 300);  // Multiples of 1/256 lie in bins of their own.
    const Drawn fine = Draw(seed, 100'000, 300);
    ScoreHistogram exact;
    ScoreHistogram rounded;
    for (std::size_t i = 0; i < 300; ++i) {
      exact.Add(coarse.scores[i], coarse.positive[i] != 0);
      rounded.Add(fine.scores[i], fine.positive[i] != 0);
    }
    EXPECT_DOUBLE_EQ(*exact.RocAuc(), *RocAuc(coarse.scores, coarse.positive));
    EXPECT_LE(std::abs(*rounded.RocAuc() - *RocAuc(fine.scores, fine.positive)), rounded.RocAucBound() + 1e-15);
    EXPECT_LT(rounded.RocAucBound(), 0.01);
    EXPECT_GT(rounded.RocAucBound(), 0.0);
  }
}

TEST(ScoreHistogram, AgreesWithTheIntegersOfCoordinatorAndAuditor) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Drawn drawn = Draw(seed, seed % 2 == 0 ? 50 : 100'000, 400);
    ScoreHistogram histogram;
    ClassHistogram integers;
    for (std::size_t i = 0; i < drawn.scores.size(); ++i) {
      histogram.Add(drawn.scores[i], drawn.positive[i] != 0);
      const auto bin = static_cast<std::size_t>(drawn.scores[i] * 1024);
      ++(drawn.positive[i] != 0 ? integers.positives : integers.negatives)[bin];
    }
    EXPECT_NEAR(*histogram.RocAuc(), static_cast<double>(*integers.AucMillionths()) / 1e6, 0.5e-6 + 1e-12);
  }
}

TEST(ScoreHistogram, OfSitesMergesToThatOfAllPictures) {
  const Drawn drawn = Draw(1, 5000, 90);
  ScoreHistogram all;
  ScoreHistogram merged;
  for (std::size_t site = 0; site < 3; ++site) {
    ScoreHistogram one;
    for (std::size_t i = 30 * site; i < 30 * site + 30; ++i) {
      one.Add(drawn.scores[i], drawn.positive[i] != 0);
      all.Add(drawn.scores[i], drawn.positive[i] != 0);
    }
    merged.Merge(one);
  }
  EXPECT_EQ(merged, all);
}

TEST(ScoreHistogram, PutsOneIntoTheLastBinAndCountsBeyond64Bits) {
  ScoreHistogram histogram;
  EXPECT_FALSE(histogram.RocAuc());
  EXPECT_DOUBLE_EQ(histogram.RocAucBound(), 0.0);
  histogram.Add(1.0, true);
  histogram.Add(1023.0 / 1024, true);
  histogram.Add(0.0, false);
  EXPECT_EQ(histogram.positives[kScoreBins - 1], 2u);
  EXPECT_EQ(histogram.negatives[0], 1u);
  EXPECT_DOUBLE_EQ(*histogram.RocAuc(), 1.0);
  // Pairs as a product of two 64-bit counts.
  histogram.positives[5] = histogram.negatives[5] = std::uint64_t{1} << 50;
  EXPECT_NEAR(*histogram.RocAuc(), 0.5, 1e-12);
}

TEST(RocAuc, RefusesDamagedScores) {
  const std::vector<std::uint8_t> two = {0, 1};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not a finite number",
               (void)RocAuc(std::vector<double>{.1, std::numeric_limits<double>::quiet_NaN()}, two));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 scores for 2", (void)RocAuc(std::vector<double>{.1}, two));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "3 probabilities",
               (void)RocAucOfClasses(std::vector<double>{.1, .2, .3}, std::vector<std::uint32_t>{0, 1}, 2));
  ScoreHistogram histogram;
  for (const double score : {-0.001, 1.001, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "is no probability", histogram.Add(score, true));
  }
}

}  // namespace
}  // namespace hemafed::learning
