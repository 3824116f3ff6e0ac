// SPDX-License-Identifier: Apache-2.0
#include "codec/evaluation.h"

#include <gtest/gtest.h>

#include "tests/expect_error.h"

namespace hemafed {
namespace {

using nlohmann::json;
using Row = EvaluationReport::Row;

ConfusionMatrix Matrix(const std::vector<Row>& rows) {
  ConfusionMatrix matrix(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = 0; j < rows.size(); ++j) matrix.Add(i, j, rows[i][j]);
  }
  return matrix;
}

TEST(EvaluationReport, ShowsEveryClassThatHasEnoughPictures) {
  const auto report = EvaluationReport::Of(Matrix({{8, 2}, {1, 29}}), 10);
  EXPECT_EQ(report.rows()[0], (Row{8, 2}));
  EXPECT_EQ(report.rows()[1], (Row{1, 29}));
  EXPECT_FALSE(report.pool());
  EXPECT_EQ(report.Total(), 40u);
  EXPECT_EQ(report.Right(), 37u);
  EXPECT_EQ(report.AccuracyMillionths(), 925'000u);
}

TEST(EvaluationReport, PoolsSmallClassesAndKeepsTheirRightOnes) {
  const auto report = EvaluationReport::Of(Matrix({{8, 2, 0}, {1, 5, 3}, {0, 4, 1}}), 10);
  EXPECT_EQ(report.rows()[0], (Row{8, 2, 0}));
  EXPECT_FALSE(report.rows()[1]);
  EXPECT_FALSE(report.rows()[2]);
  ASSERT_TRUE(report.pool());
  EXPECT_EQ(report.pool()->predicted, (Row{1, 9, 4}));
  EXPECT_EQ(report.pool()->right, 6u)
      << "5 of the second class and 1 of the third, not the 4 and 3 taken for each other";
  EXPECT_EQ(report.AccuracyMillionths(), 583'333u) << "14 of 24";
  EXPECT_TRUE(report.Withholds(10));
  EXPECT_FALSE(report.Withholds(11));
}

TEST(EvaluationReport, WithholdsAPoolThatIsTooSmall) {
  const auto report = EvaluationReport::Of(Matrix({{8, 2, 0}, {1, 4, 0}, {0, 1, 3}}), 10);
  EXPECT_FALSE(report.pool());
  EXPECT_EQ(report.Total(), 10u);
  EXPECT_EQ(report.AccuracyMillionths(), 800'000u) << "only what is reported counts";
  EXPECT_TRUE(report.Withholds(10));
}

TEST(EvaluationReport, WithholdsAnAbsentClassEvenWithoutALimit) {
  const auto report = EvaluationReport::Of(Matrix({{1, 0, 0}, {0, 0, 0}, {0, 0, 0}}), 0);
  EXPECT_EQ(report.rows()[0], (Row{1, 0, 0}));
  EXPECT_FALSE(report.rows()[1]);
  EXPECT_FALSE(report.pool());
}

TEST(EvaluationReport, OfNothingHasAccuracyZero) {
  const auto report = EvaluationReport::Of(ConfusionMatrix(3), 10);
  EXPECT_EQ(report.Total(), 0u);
  EXPECT_EQ(report.AccuracyMillionths(), 0u);
}

TEST(EvaluationReport, RoundsAccuracyHalfToEven) {
  const auto accuracy = [](std::uint64_t right, std::uint64_t wrong) {
    return EvaluationReport::Of(Matrix({{right, wrong}, {0, 1}}), 2).AccuracyMillionths();
  };
  EXPECT_EQ(accuracy(1, 1'999'999), 0u) << "half a millionth, and 0 is even";
  EXPECT_EQ(accuracy(3, 1'999'997), 2u) << "one and a half";
  EXPECT_EQ(accuracy(5, 1'999'995), 2u) << "two and a half";
  EXPECT_EQ(accuracy(2, 1), 666'667u);
}

TEST(EvaluationReport, TravelsAsJson) {
  for (const std::uint64_t min_pictures : {1u, 10u, 100u}) {
    const auto report = EvaluationReport::Of(Matrix({{8, 2, 0}, {1, 5, 3}, {0, 4, 1}}), min_pictures);
    EXPECT_EQ(EvaluationReport::FromJson(json::parse(report.ToJson().dump())), report);
  }
  EXPECT_EQ(EvaluationReport::Of(Matrix({{8, 2, 0}, {1, 5, 3}, {0, 4, 1}}), 10).ToJson().dump(),
            R"({"matrix":[[8,2,0],null,null],"pool":{"predicted":[1,9,4],"right":6}})");
}

struct BadReport {
  const char* name;
  std::string text;
  std::string words;
};
class EvaluationReportRefuses : public testing::TestWithParam<BadReport> {};
TEST_P(EvaluationReportRefuses, TheJson) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, GetParam().words,
               (void)EvaluationReport::FromJson(json::parse(GetParam().text)));
}
std::string ManyRows() {
  std::string rows = "null";
  for (int i = 0; i < 64; ++i) rows += ",null";
  return R"({"matrix":[)" + rows + R"(],"pool":null})";
}
INSTANTIATE_TEST_SUITE_P(
    Table, EvaluationReportRefuses,
    testing::ValuesIn(std::vector<BadReport>{
        {"NoObject", "[]", "not a JSON object"},
        {"NoMatrix", R"({"pool":null})", "'matrix' is missing"},
        {"NoPool", R"({"matrix":[[1]]})", "'pool' is missing"},
        {"EmptyMatrix", R"({"matrix":[],"pool":null})", "1 to 64 rows"},
        {"TooManyClasses", ManyRows(), "1 to 64 rows"},
        {"ShortRow", R"({"matrix":[[1],[1,2]],"pool":null})", "one count for each class"},
        {"NegativeCount", R"({"matrix":[[-1]],"pool":null})", "not a count"},
        {"Fraction", R"({"matrix":[[1.0]],"pool":null})", "not a count"},
        {"HugeCount", R"({"matrix":[[10000001]],"pool":null})", "not a count"},
        {"HugeSum", R"({"matrix":[[6000000,0],[6000000,0]],"pool":null})", "more than 10000000 pictures"},
        {"PoolOfOneClass", R"({"matrix":[[9,9],null],"pool":{"predicted":[9,9],"right":0}})", "fewer than two"},
        {"PoolTooRight", R"({"matrix":[[9,9,9],null,null],"pool":{"predicted":[5,1,1],"right":3}})", "more than its"},
        {"UnknownField", R"({"matrix":[[1]],"pool":null,"names":[]})", "'names'"},
        {"UnknownPoolField", R"({"matrix":[null,null],"pool":{"predicted":[5,5],"right":3,"x":1}})", "'x'"},
    }),
    [](const auto& row) { return row.param.name; });

TEST(ConfusionMatrix, RefusesClassesBeyondIt) {
  ConfusionMatrix matrix(2);
  EXPECT_ERROR(ErrorCode::kInternal, "class 2 of 2", matrix.Add(2, 0));
  EXPECT_ERROR(ErrorCode::kInternal, "class 2 of 2", matrix.Add(0, 2));
}

AccuracyMatrix Accuracies(const std::vector<std::vector<std::uint64_t>>& rows) {
  AccuracyMatrix matrix;
  for (const auto& row : rows) matrix.AddRow(row);
  return matrix;
}

TEST(AccuracyMatrix, OfAModelThatForgetsEverythingHasThePublishedFigures) {
  // UACL table 2 as reconstructed: fine-tuning that is perfect (0.96) at home and zero elsewhere gives a mean over
  // three steps of 0.587 and a first-task drop of 0.48 a step, while De Lange's forgetting is 0.96.
  const auto matrix = Accuracies({{960'000, 0, 0}, {0, 960'000, 0}, {0, 0, 960'000}});
  EXPECT_EQ(matrix.AverageAccuracyMillionths(), 320'000);
  EXPECT_EQ(matrix.MeanOverStepsMillionths(), 586'667);
  EXPECT_EQ(matrix.DeLangeForgettingMillionths(), 960'000);
  EXPECT_EQ(matrix.FirstTaskDropMillionths(), 480'000);
}

TEST(AccuracyMatrix, OfAModelThatForgetsNothingHasNoForgetting) {
  const auto matrix = Accuracies({{900'000, 100'000, 0}, {900'000, 800'000, 0}, {900'000, 800'000, 700'000}});
  EXPECT_EQ(matrix.AverageAccuracyMillionths(), 800'000);
  EXPECT_EQ(matrix.MeanOverStepsMillionths(), 850'000) << "mean of 0.9, 0.85 and 0.8";
  EXPECT_EQ(matrix.DeLangeForgettingMillionths(), 0);
  EXPECT_EQ(matrix.FirstTaskDropMillionths(), 0);
}

TEST(AccuracyMatrix, CountsAGainAsNegativeForgettingAndIgnoresHospitalsNotYetLearned) {
  const auto matrix = Accuracies({{500'000, 999'999, 999'999}, {600'000, 700'000, 999'999}});
  EXPECT_EQ(matrix.AverageAccuracyMillionths(), 650'000);
  EXPECT_EQ(matrix.DeLangeForgettingMillionths(), -100'000);
  EXPECT_EQ(matrix.FirstTaskDropMillionths(), -100'000);
}

TEST(AccuracyMatrix, RoundsEachFigureOnceHalfToEven) {
  const auto matrix = Accuracies({{3, 0, 0}, {2, 3, 0}, {1, 2, 9}});
  EXPECT_EQ(matrix.AverageAccuracyMillionths(), 4);
  EXPECT_EQ(matrix.MeanOverStepsMillionths(), 3) << "(3 + 2 + 4) / 3, where 2.5 became 2";
  EXPECT_EQ(matrix.DeLangeForgettingMillionths(), 2) << "(2 + 1) / 2 is 1.5";
  EXPECT_EQ(matrix.FirstTaskDropMillionths(), 1);
}

TEST(AccuracyMatrix, AfterOneTaskHasNoForgetting) {
  const auto matrix = Accuracies({{123'456, 0}});
  EXPECT_EQ(matrix.AverageAccuracyMillionths(), 123'456);
  EXPECT_EQ(matrix.DeLangeForgettingMillionths(), 0);
  EXPECT_EQ(matrix.FirstTaskDropMillionths(), 0);
}

TEST(AccuracyMatrix, TakesItsRowsFromReports) {
  AccuracyMatrix matrix;
  matrix.AddRow({EvaluationReport::Of(Matrix({{3, 1}, {0, 4}}), 1), EvaluationReport::Of(Matrix({{1, 1}, {1, 1}}), 1)});
  EXPECT_EQ(matrix.Millionths(0, 0), 875'000u);
  EXPECT_EQ(matrix.Millionths(0, 1), 500'000u);
}

TEST(AccuracyMatrix, RefusesRowsThatDoNotFit) {
  auto matrix = Accuracies({{1, 2}, {1, 2}});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "accuracy matrix", matrix.AddRow(std::vector<std::uint64_t>{1, 2}));
  matrix = Accuracies({{1, 2}});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "accuracy matrix", matrix.AddRow(std::vector<std::uint64_t>{1}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "accuracy matrix", matrix.AddRow(std::vector<std::uint64_t>{1, 1'000'001}));
  EXPECT_ERROR(ErrorCode::kConflict, "nothing to average", (void)AccuracyMatrix().AverageAccuracyMillionths());
}

}  // namespace
}  // namespace hemafed
