// tests/learning/features/latent/cross_domain_test.cc
// SPDX-License-Identifier: Apache-2.0
#include "learning/features/latent/cross_domain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/expect_error.h"
#include "tests/learning/features/latent/synthetic_features.h"

namespace hemafed::learning {
namespace {

constexpr std::size_t kColumns = 12;

// Every fifth row is on the test side.
DomainFeatures Domain(const std::string& name, std::size_t first, std::size_t rows, float lift = 0.6f) {
  DomainFeatures domain{.domain = name, .classes = {"a", "b", "c", "d"}};
  domain.features = FormulaFeatures(first, rows, kColumns, lift);
  domain.labels = FormulaLabels(first, rows);
  for (std::size_t i = 0; i < rows; ++i) domain.test.push_back(i % 5 == 0 ? 1 : 0);
  return domain;
}

std::uint64_t Pictures(const ConfusionMatrix& matrix) {
  std::uint64_t sum = 0;
  for (std::size_t c = 0; c < matrix.classes(); ++c) sum += matrix.RowSum(c);
  return sum;
}

TEST(CrossDomain, HasNineCellsOfThreeDomainsWithBothReadingsOffTheDiagonal) {
  const std::vector<DomainFeatures> domains = {Domain("x", 0, 100), Domain("y", 1000, 150), Domain("z", 2000, 60)};
  const CrossDomainMatrix matrix = RunCrossDomain(domains, {.forest = {.trees = 20}});
  ASSERT_EQ(matrix.cells.size(), 9u);
  const std::vector<std::uint64_t> rows = {100, 150, 60};
  for (std::size_t a = 0; a < 3; ++a) {
    for (std::size_t b = 0; b < 3; ++b) {
      EXPECT_EQ(Pictures(matrix.Cell(a, b).test_part), rows[b] / 5);
      EXPECT_EQ(matrix.Cell(a, b).whole.has_value(), a != b);
      if (a != b) {
        EXPECT_EQ(Pictures(*matrix.Cell(a, b).whole), rows[b]);
      }
    }
  }
}

// The slow way: one forest, one row at a time, counted by hand.
TEST(CrossDomain, ACellIsWhatAForestOfTheOtherDomainsTrainingRowsAnswers) {
  const std::vector<DomainFeatures> domains = {Domain("x", 0, 100, 0.3f), Domain("y", 1000, 80, 0.3f)};
  const CrossDomainSettings settings{.forest = {.trees = 15, .seed = 3}};
  const CrossDomainMatrix matrix = RunCrossDomain(domains, settings);
  std::vector<std::uint32_t> train_rows, train_labels;
  for (std::uint32_t i = 0; i < 100; ++i) {
    if (i % 5 == 0) continue;
    train_rows.push_back(i);
    train_labels.push_back(domains[0].labels[i]);
  }
  const RandomForest forest =
      RandomForest::Train(TakeRows(domains[0].features, train_rows), train_labels, 4, settings.forest);
  std::uint64_t right = 0, right_of_test = 0;
  for (std::uint32_t i = 0; i < 80; ++i) {
    const std::uint32_t answer = forest.Predict(TakeRows(domains[1].features, std::vector{i})).front();
    EXPECT_EQ(matrix.Cell(0, 1).answers.at(i), answer);
    right += answer == domains[1].labels[i] ? 1 : 0;
    if (i % 5 == 0) right_of_test += answer == domains[1].labels[i] ? 1 : 0;
  }
  EXPECT_DOUBLE_EQ(AccuracyOf(*matrix.Cell(0, 1).whole), static_cast<double>(right) / 80);
  EXPECT_DOUBLE_EQ(AccuracyOf(matrix.Cell(0, 1).test_part), static_cast<double>(right_of_test) / 16);
}

TEST(CrossDomain, KeptAnswersGiveTheSameMatrixAndAreChecked) {
  const std::vector<DomainFeatures> domains = {Domain("x", 0, 100, 0.3f), Domain("y", 1000, 80, 0.3f)};
  const CrossDomainMatrix matrix = RunCrossDomain(domains, {.forest = {.trees = 5}});
  std::vector<std::vector<std::uint32_t>> answers;
  for (const CrossDomainCell& cell : matrix.cells) answers.push_back(cell.answers);
  const CrossDomainMatrix again = MatrixOfAnswers(domains, {}, answers);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(again.cells[i].answers, matrix.cells[i].answers);
    EXPECT_EQ(AccuracyOf(again.cells[i].test_part), AccuracyOf(matrix.cells[i].test_part));
  }
  EXPECT_EQ(AccuracyOf(*again.Cell(0, 1).whole), AccuracyOf(*matrix.Cell(0, 1).whole));
  answers[2][3] = 4;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not among", (void)MatrixOfAnswers(domains, {}, answers));
  answers[2].pop_back();
  EXPECT_ERROR(ErrorCode::kInvalidInput, "number of pictures", (void)MatrixOfAnswers(domains, {}, answers));
  answers.pop_back();
  EXPECT_ERROR(ErrorCode::kInvalidInput, "number of domains", (void)MatrixOfAnswers(domains, {}, answers));
}

TEST(CrossDomain, LeavesOutClassesThatADomainLacksOnlyWhereAsked) {
  std::vector<DomainFeatures> domains = {Domain("x", 0, 100), Domain("y", 1000, 80)};
  for (std::uint32_t& label : domains[1].labels) label = label == 2 ? 0 : label;
  const CrossDomainMatrix shared = RunCrossDomain(domains, {.forest = {.trees = 5}});
  EXPECT_EQ(shared.used_classes, (std::vector<std::string>{"a", "b", "d"}));
  EXPECT_EQ(Pictures(*shared.Cell(1, 0).whole), 75u);
  const CrossDomainMatrix all = RunCrossDomain(domains, {.shared_classes_only = false, .forest = {.trees = 5}});
  EXPECT_EQ(all.used_classes.size(), 4u);
  EXPECT_EQ(Pictures(*all.Cell(1, 0).whole), 100u);
  EXPECT_EQ(all.Cell(1, 0).whole->At(2, 2), 0u) << "a forest named a class it never saw";
}

TEST(CrossDomain, ShufflesAFifthRoundedUpIntoTheTestPartTheSameWayEachTime) {
  const DomainFeatures domain = Domain("x", 0, 101);
  const CrossDomainSettings settings{.split = MatrixSplit::kShuffled};
  const std::vector<bool> taken(4, true);
  const DomainSplit split = SplitDomain(domain, taken, settings);
  EXPECT_EQ(split.test.size(), 21u);
  std::set<std::uint32_t> seen(split.test.begin(), split.test.end());
  seen.insert(split.train.begin(), split.train.end());
  EXPECT_EQ(seen.size(), 101u);
  EXPECT_TRUE(std::is_sorted(split.test.begin(), split.test.end()));
  EXPECT_EQ(SplitDomain(domain, taken, settings).test, split.test);
  EXPECT_NE(SplitDomain(domain, taken, {.split = MatrixSplit::kShuffled, .split_seed = 43}).test, split.test);
}

TEST(CrossDomain, BalancedAccuracyCountsEachClassOnce) {
  ConfusionMatrix matrix(3);
  matrix.Add(0, 0, 90);
  matrix.Add(1, 0, 10);  // Class 2 has no pictures.
  EXPECT_DOUBLE_EQ(AccuracyOf(matrix), 0.9);
  EXPECT_DOUBLE_EQ(BalancedAccuracyOf(matrix), 0.5);
}

TEST(CrossDomain, RefusesDomainsThatDoNotGoTogether) {
  const auto run = [](std::vector<DomainFeatures> domains) { (void)RunCrossDomain(domains, {}); };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "needs 2", run({Domain("x", 0, 40)}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "there twice", run({Domain("x", 0, 40), Domain("x", 50, 40)}));
  DomainFeatures other = Domain("y", 0, 40);
  other.classes[0] = "e";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "other classes", run({Domain("x", 0, 40), other}));
  other = Domain("y", 0, 40);
  other.features = FormulaFeatures(0, 40, kColumns + 1, 1);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "13 features", run({Domain("x", 0, 40), other}));
  other = Domain("y", 0, 40);
  other.labels.assign(40, 1);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "fewer than two classes", run({Domain("x", 0, 40), other}));
  other = Domain("y", 0, 40);
  other.test.assign(40, 0);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "to test on", run({Domain("x", 0, 40), other}));
}

}  // namespace
}  // namespace hemafed::learning
