// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/herding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "common/random.h"
#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

using Row = std::vector<double>;

Row Normalised(Row row) {
  double squares = 0.0;
  for (const double value : row) squares += value * value;
  if (squares == 0.0) return row;
  for (double& value : row) value /= std::sqrt(squares);
  return row;
}

Row Mean(const std::vector<Row>& rows) {
  Row mean(rows[0].size());
  for (std::size_t j = 0; j < mean.size(); ++j) {
    for (const Row& row : rows) mean[j] += row[j];
    mean[j] /= static_cast<double>(rows.size());
  }
  return mean;
}

double Distance(const Row& a, const Row& b) {
  double squares = 0.0;
  for (std::size_t j = 0; j < a.size(); ++j) squares += (a[j] - b[j]) * (a[j] - b[j]);
  return std::sqrt(squares);
}

// Adds up everything chosen again for every candidate of every step.
std::vector<HerdingChoice> SlowHerding(const FeatureRows& features, std::size_t count, bool normalised) {
  std::vector<Row> rows;
  for (std::size_t i = 0; i < features.rows; ++i) {
    const auto start = features.values.begin() + static_cast<std::ptrdiff_t>(i * features.width);
    Row row(start, start + static_cast<std::ptrdiff_t>(features.width));
    rows.push_back(normalised ? Normalised(row) : row);
  }
  const Row mean = normalised ? Normalised(Mean(rows)) : Mean(rows);
  std::vector<HerdingChoice> choices;
  while (choices.size() < std::min(count, rows.size())) {
    std::vector<HerdingChoice> open;
    double best = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::vector<Row> candidate = {rows[i]};
      bool used = false;
      for (const HerdingChoice& choice : choices) {
        candidate.push_back(rows[choice.row]);
        used = used || choice.row == i;
      }
      if (used) continue;
      const Row running = normalised ? Normalised(Mean(candidate)) : Mean(candidate);
      open.push_back({i, Distance(mean, running)});
      best = std::min(best, open.back().distance);
    }
    choices.push_back(*std::find_if(
        open.begin(), open.end(), [&](const HerdingChoice& choice) { return choice.distance <= best + kHerdingTie; }));
  }
  return choices;
}

FeatureRows RandomFeatures(std::size_t rows, std::size_t width, std::uint64_t seed) {
  FeatureRows features{rows, width, {}};
  RandomStream random(seed);
  for (std::size_t i = 0; i < rows * width; ++i) {
    features.values.push_back(static_cast<float>(random.NextNormal() + 0.3 * static_cast<double>(i % width)));
  }
  return features;
}

TEST(Herding, MatchesTheWorkedExample) {
  // published-systems 2.9, check 5: features 0, 1, 3, 10.
  const std::vector<HerdingChoice> choices = Herd({4, 1, {0, 1, 3, 10}}, 4, HerdingVariant::kRaw);
  const std::vector<std::size_t> rows = {2, 1, 3, 0};
  const std::vector<double> distances = {0.5, 1.5, 1.166667, 0.0};
  ASSERT_EQ(choices.size(), 4u);
  for (std::size_t k = 0; k < 4; ++k) {
    EXPECT_EQ(choices[k].row, rows[k]);
    EXPECT_NEAR(choices[k].distance, distances[k], 5e-7);
  }
}

class HerdingVariants : public testing::TestWithParam<HerdingVariant> {};
INSTANTIATE_TEST_SUITE_P(Both, HerdingVariants, testing::Values(HerdingVariant::kRaw, HerdingVariant::kNormalised),
                         [](const auto& row) { return row.param == HerdingVariant::kRaw ? "Raw" : "Normalised"; });

TEST_P(HerdingVariants, EqualsASlowComputationThatAddsUpEveryTime) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    const FeatureRows features = RandomFeatures(30, 12, seed);
    const std::vector<HerdingChoice> want = SlowHerding(features, 30, GetParam() == HerdingVariant::kNormalised);
    const std::vector<HerdingChoice> got = Herd(features, 30, GetParam());
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t k = 0; k < want.size(); ++k) {
      EXPECT_EQ(got[k].row, want[k].row) << "seed " << seed << ", choice " << k;
      EXPECT_NEAR(got[k].distance, want[k].distance, 1e-12);
    }
  }
}

// Features for which ruling candidates out is hardest: what is stored of them is coarse, or almost nothing differs.
struct HardFeatures {
  const char* name;
  std::function<double(double normal, std::size_t row, std::size_t column)> value;
};
const std::vector<HardFeatures> kHard = {
    {"a few huge values among tiny ones", [](double x, std::size_t, std::size_t) { return std::pow(x, 9); }},
    {"mostly zeros", [](double x, std::size_t, std::size_t) { return std::max(x - 1.5, 0.0); }},
    {"a common part a thousand times larger", [](double x, std::size_t, std::size_t j) { return 1e3 + double(j) + x; }},
    {"rows in almost opposite pairs",
     [](double, std::size_t i, std::size_t j) {
       RandomStream random(77, i / 2);
       double value = 0;
       for (std::size_t k = 0; k <= j; ++k) value = random.NextNormal();
       return (i % 2 == 0 ? value : -value) + 0.01;
     }},
    {"two kinds of rows", [](double, std::size_t i, std::size_t j) { return double((i % 3 == 0) == (j % 2 == 0)); }},
    {"only zeros", [](double, std::size_t, std::size_t) { return 0.0; }},
    {"one row off", [](double, std::size_t i, std::size_t j) { return i == 17 && j == 2 ? 5.0 : 1.0; }},
    {"lengths over six orders",
     [](double x, std::size_t i, std::size_t) { return x * std::pow(10.0, double(i % 7) - 3); }}};

TEST_P(HerdingVariants, HardFeaturesGiveThePlainLoopsChoicesToo) {
  for (const HardFeatures& hard : kHard) {
    for (const std::size_t width : {5u, 300u}) {
      FeatureRows features{40, width, {}};
      RandomStream random(9);
      for (std::size_t i = 0; i < features.rows * width; ++i) {
        features.values.push_back(static_cast<float>(hard.value(random.NextNormal(), i / width, i % width)));
      }
      const std::vector<HerdingChoice> want = SlowHerding(features, 40, GetParam() == HerdingVariant::kNormalised);
      const std::vector<HerdingChoice> got = Herd(features, 40, GetParam());
      ASSERT_EQ(got.size(), want.size());
      for (std::size_t k = 0; k < want.size(); ++k) {
        EXPECT_EQ(got[k].row, want[k].row) << hard.name << ", width " << width << ", choice " << k;
        EXPECT_NEAR(got[k].distance, want[k].distance, 1e-9 * std::max(1.0, want[k].distance)) << hard.name;
      }
    }
  }
}

TEST_P(HerdingVariants, NoPictureIsChosenTwiceAndTheWholeClassIsAtDistanceZero) {
  const FeatureRows features = RandomFeatures(25, 8, 4);
  const std::vector<HerdingChoice> choices = Herd(features, 1000, GetParam());
  std::set<std::size_t> rows;
  for (const HerdingChoice& choice : choices) rows.insert(choice.row);
  EXPECT_EQ(rows.size(), 25u);
  EXPECT_NEAR(choices.back().distance, 0.0, 1e-12);
}

TEST_P(HerdingVariants, FewerChoicesAreAPrefixOfMore) {
  const FeatureRows features = RandomFeatures(20, 8, 5);
  const std::vector<HerdingChoice> all = Herd(features, 20, GetParam());
  const std::vector<HerdingChoice> few = Herd(features, 7, GetParam());
  ASSERT_EQ(few.size(), 7u);
  for (std::size_t k = 0; k < few.size(); ++k) EXPECT_EQ(few[k].row, all[k].row);
}

TEST(Herding, VariantsDifferWhereLengthsDo) {
  // Row 1 is closest to the mean (2, 2); its direction is off, row 2 has the direction but not the length.
  const FeatureRows features{3, 2, {0, 1, 2, 1.5f, 4, 3.5f}};
  EXPECT_EQ(Herd(features, 1, HerdingVariant::kRaw)[0].row, 1u);
  EXPECT_NE(Herd(features, 1, HerdingVariant::kNormalised)[0].distance,
            Herd(features, 1, HerdingVariant::kRaw)[0].distance);
}

TEST(Herding, EqualPicturesAreTakenInOrderOfTheirIndex) {
  const std::vector<HerdingChoice> choices = Herd({3, 2, {1, 2, 1, 2, 1, 2}}, 3, HerdingVariant::kRaw);
  for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(choices[k].row, k);
}

TEST(Herding, NothingToChooseFromGivesNothing) {
  EXPECT_TRUE(Herd({0, 4, {}}, 5, HerdingVariant::kNormalised).empty());
}

TEST(Herding, BrokenFeaturesAreRefused) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "rows times width", (void)Herd({2, 2, {1, 2, 3}}, 1, HerdingVariant::kRaw));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "rows times width", (void)Herd({2, 0, {}}, 1, HerdingVariant::kRaw));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not a finite number",
               (void)Herd({1, 1, {std::numeric_limits<float>::quiet_NaN()}}, 1, HerdingVariant::kRaw));
}

}  // namespace
}  // namespace hemafed::learning
