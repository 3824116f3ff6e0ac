// SPDX-License-Identifier: Apache-2.0
#include "learning/metrics/bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "common/random.h"
#include "learning/metrics/roc_auc.h"
#include "tests/expect_error.h"
#include "tests/learning/metrics/predictions.h"

namespace hemafed::learning {
namespace {

std::vector<double> Uniform(std::uint64_t seed, std::size_t count) {
  RandomStream random(seed);
  std::vector<double> values(count);
  for (double& value : values) value = random.NextUnit();
  return values;
}

double MeanOf(const std::vector<double>& values, std::span<const std::uint32_t> pictures) {
  double sum = 0.0;
  for (const std::uint32_t i : pictures) sum += values[i];
  return sum / static_cast<double>(pictures.size());
}

TEST(Bootstrap, OfTheMeanIsWhatDrawingPictureByPictureGives) {
  const std::vector<double> values = Uniform(1, 37);
  const BootstrapSettings settings{.resamples = 500, .confidence = 0.9, .seed = 8};
  // The header's rule, written out.
  std::vector<double> means;
  for (unsigned r = 0; r < settings.resamples; ++r) {
    RandomStream random(DeriveSeed(8, "bootstrap 1"), r);
    double sum = 0.0;
    for (std::size_t k = 0; k < values.size(); ++k) sum += values[random.NextBelow(37)];
    means.push_back(sum / 37.0);
  }
  std::sort(means.begin(), means.end());
  const Interval got = BootstrapMean(values, {}, settings);
  EXPECT_NEAR(got.low, means[24] + (499 * 0.05 - 24) * (means[25] - means[24]), 1e-12);
  EXPECT_NEAR(got.high, means[474] + (499 * 0.95 - 474) * (means[475] - means[474]), 1e-12);
  EXPECT_NEAR(got.estimate, std::accumulate(values.begin(), values.end(), 0.0) / 37.0, 1e-14);
  const Interval general = BootstrapOf([&](auto pictures) { return MeanOf(values, pictures); }, 37, {}, settings);
  EXPECT_NEAR(general.low, got.low, 1e-12);
  EXPECT_NEAR(general.high, got.high, 1e-12);
}

TEST(Bootstrap, OfAnAccuracyIsTheIntervalThatNumpyFinds) {
  // reference_numbers.py draws with another generator: 0.485 and 0.625, on a grid of 1/200.
  const testing_support::Predictions given;
  const std::vector<double> right(given.right.begin(), given.right.end());
  const Interval got = BootstrapMean(right);
  EXPECT_DOUBLE_EQ(got.estimate, 0.555);
  EXPECT_NEAR(got.low, 0.485, 0.0051);
  EXPECT_NEAR(got.high, 0.625, 0.0051);
}

TEST(Bootstrap, OfManyPicturesHasTheWidthOfTheNormalInterval) {
  const std::vector<double> values = Uniform(3, 4000);
  const Interval got = BootstrapMean(values, {}, {.resamples = 4000});
  double squares = 0.0;
  for (const double value : values) squares += (value - got.estimate) * (value - got.estimate);
  const double reach = 1.96 * std::sqrt(squares / 4000.0 / 4000.0);
  EXPECT_NEAR(got.low, got.estimate - reach, 0.06 * reach);
  EXPECT_NEAR(got.high, got.estimate + reach, 0.06 * reach);
}

TEST(Bootstrap, CoversTheTruthAboutAsOftenAsItSays) {
  int covered = 0;
  constexpr int kTrials = 400;
  for (int trial = 0; trial < kTrials; ++trial) {
    const Interval got = BootstrapMean(Uniform(100 + static_cast<std::uint64_t>(trial), 60), {}, {.resamples = 400});
    covered += got.low <= 0.5 && 0.5 <= got.high ? 1 : 0;
  }
  // 95 % of 400 is 380 with a standard deviation of 4.4; percentile intervals of 60 values are a little narrow.
  EXPECT_GT(covered, 360);
  EXPECT_LT(covered, 396);
}

TEST(Bootstrap, IsDeterministicAndDependsOnTheSeed) {
  const std::vector<double> values = Uniform(4, 50);
  const BootstrapSettings settings{.resamples = 300, .seed = 1};
  const Interval one = BootstrapMean(values, {}, settings);
  EXPECT_EQ(BootstrapMean(values, {}, settings).low, one.low);
  EXPECT_NE(BootstrapMean(values, {}, {.resamples = 300, .seed = 2}).low, one.low);
}

TEST(Bootstrap, WidensWhereGroupsSayTheSameThing) {
  // 20 cells, each photographed five times with the same outcome: five times the pictures, no more knowledge.
  std::vector<double> cells = Uniform(6, 20);
  std::vector<double> pictures;
  std::vector<std::string> groups;
  for (std::size_t i = 0; i < 100; ++i) {
    pictures.push_back(cells[i % 20]);
    groups.push_back("cell " + std::to_string(i % 20));
  }
  const BootstrapSettings settings{.resamples = 2000};
  const Interval by_picture = BootstrapMean(pictures, {}, settings);
  const Interval by_cell = BootstrapMean(pictures, {.groups = groups}, settings);
  const Interval of_cells = BootstrapMean(cells, {}, settings);
  EXPECT_NEAR(by_cell.low, of_cells.low, 1e-12) << "drawn together, five copies are one";
  EXPECT_NEAR(by_cell.high, of_cells.high, 1e-12);
  const double ratio = (by_cell.high - by_cell.low) / (by_picture.high - by_picture.low);
  EXPECT_NEAR(ratio, std::sqrt(5.0), 0.25);
  // Pictures without a group stand alone.
  const Interval nameless = BootstrapMean(pictures, {.groups = std::vector<std::string>(100)}, settings);
  EXPECT_EQ(nameless.low, by_picture.low);
}

TEST(Bootstrap, WeighsTestSetsAlikeAndDrawsWithinEach) {
  // A large test set without spread and a small one with: only the small one's uncertainty is left, at half its size.
  std::vector<double> values(500, 1.0);
  std::vector<std::uint32_t> strata(500, 7);
  const std::vector<double> small = Uniform(9, 25);
  values.insert(values.end(), small.begin(), small.end());
  strata.insert(strata.end(), 25, 9);
  const BootstrapSettings settings{.resamples = 3000};
  const Interval both = BootstrapMean(values, {.strata = strata}, settings);
  const Interval alone = BootstrapMean(small, {}, settings);
  EXPECT_NEAR(both.estimate, (1.0 + alone.estimate) / 2.0, 1e-12);
  EXPECT_NEAR(both.high - both.low, (alone.high - alone.low) / 2.0, 0.1 * (alone.high - alone.low) / 2.0);
  const Interval every_picture_its_own =
      BootstrapMean(std::vector<double>{.2, .9}, {.strata = std::vector<std::uint32_t>{1, 2}}, settings);
  EXPECT_DOUBLE_EQ(every_picture_its_own.low, every_picture_its_own.high) << "nothing to draw from but itself";
}

TEST(PairedBootstrap, SeesADifferenceThatSeparateIntervalsHide) {
  // Two methods with the same hard pictures; ours is right on six more of 200.
  RandomStream random(2);
  std::vector<double> theirs(200);
  for (double& value : theirs) value = random.NextBelow(10) < 6 ? 1.0 : 0.0;
  std::vector<double> ours = theirs;
  int gained = 0;
  for (std::size_t i = 0; i < ours.size() && gained < 6; ++i) {
    if (ours[i] == 0.0) {
      ours[i] = 1.0;
      ++gained;
    }
  }
  const Interval difference = BootstrapDifference(ours, theirs);
  EXPECT_NEAR(difference.estimate, 0.03, 1e-12);
  EXPECT_TRUE(difference.ExcludesZero()) << difference.low << " to " << difference.high;
  const Interval one = BootstrapMean(ours);
  const Interval other = BootstrapMean(theirs);
  EXPECT_LT(one.low, other.high) << "the separate intervals overlap";
  const Interval back = BootstrapDifference(theirs, ours);
  EXPECT_TRUE(back.ExcludesZero());
  EXPECT_NEAR(back.low, -difference.high, 1e-12);
  const Interval none = BootstrapDifference(ours, ours);
  EXPECT_FALSE(none.ExcludesZero());
  EXPECT_DOUBLE_EQ(none.high, 0.0);
}

TEST(Bootstrap, OfTheRocAreaSkipsResamplesWithoutOneAndRefusesTooMany) {
  const testing_support::Predictions given;
  const auto area_of = [&](std::uint32_t label) {
    return [&given, label](std::span<const std::uint32_t> pictures) {
      std::vector<double> scores;
      std::vector<std::uint8_t> positive;
      for (const std::uint32_t i : pictures) {
        scores.push_back(given.probabilities[i * given.kClasses + label]);
        positive.push_back(given.labels[i] == label ? 1 : 0);
      }
      return RocAuc(scores, positive).value_or(std::numeric_limits<double>::quiet_NaN());
    };
  };
  const Interval rare = BootstrapOf(area_of(3), given.kPictures, {}, {.resamples = 1000});  // Five positives.
  EXPECT_NEAR(rare.estimate, 0.873846153846154, 1e-14);
  EXPECT_LT(rare.low, rare.estimate);
  EXPECT_LE(rare.high, 1.0);
  EXPECT_ERROR(ErrorCode::kConflict, "the test set is too small",
               (void)BootstrapOf(area_of(3), 9, {}, {.resamples = 1000}));  // One positive: none in every third.
}

TEST(Bootstrap, RefusesWhatDoesNotFit) {
  const std::vector<double> two = {0.0, 1.0};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "a bootstrap of 0 pictures", (void)BootstrapMean({}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "got 1 groups",
               (void)BootstrapMean(two, {.groups = std::vector<std::string>{"a"}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 strata",
               (void)BootstrapMean(two, {.strata = std::vector<std::uint32_t>{1}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'a' has pictures in two test sets",
               (void)BootstrapMean(
                   two, {.groups = std::vector<std::string>{"a", "a"}, .strata = std::vector<std::uint32_t>{1, 2}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not a finite number", (void)BootstrapMean(std::vector<double>{0.0, NAN}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "resamples", (void)BootstrapMean(two, {}, {.resamples = 99}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "same pictures", (void)BootstrapDifference(two, std::vector<double>{1.0}));
}

}  // namespace
}  // namespace hemafed::learning
