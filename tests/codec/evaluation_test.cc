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

// One pool of all classes, as a hospital with one task has it.
EvaluationReport Of(const ConfusionMatrix& matrix, std::uint64_t min_pictures) {
  ClassSet all;
  for (std::uint32_t label = 0; label < matrix.classes(); ++label) all.push_back(label);
  return EvaluationReport::Of(matrix, min_pictures, {all});
}

TEST(EvaluationReport, ShowsEveryClassThatHasEnoughPictures) {
  const auto report = Of(Matrix({{8, 2}, {1, 29}}), 10);
  EXPECT_EQ(report.rows()[0], (Row{8, 2}));
  EXPECT_EQ(report.rows()[1], (Row{1, 29}));
  EXPECT_FALSE(report.pools()[0]);
  EXPECT_EQ(report.Total(0), 40u);
  EXPECT_EQ(report.Right(0), 37u);
  EXPECT_EQ(report.AccuracyMillionths(0), 925'000u);
}

TEST(EvaluationReport, PoolsSmallClassesAndKeepsTheirRightOnes) {
  const auto report = Of(Matrix({{8, 2, 0}, {1, 5, 3}, {0, 4, 1}}), 10);
  EXPECT_EQ(report.rows()[0], (Row{8, 2, 0}));
  EXPECT_FALSE(report.rows()[1]);
  EXPECT_FALSE(report.rows()[2]);
  ASSERT_TRUE(report.pools()[0]);
  EXPECT_EQ(report.pools()[0]->predicted, (Row{1, 9, 4}));
  EXPECT_EQ(report.pools()[0]->right, 6u)
      << "5 of the second class and 1 of the third, not the 4 and 3 taken for each other";
  EXPECT_EQ(report.AccuracyMillionths(0), 583'333u) << "14 of 24";
  EXPECT_TRUE(report.Withholds(10));
  EXPECT_FALSE(report.Withholds(11));
}

TEST(EvaluationReport, WithholdsAPoolThatIsTooSmall) {
  const auto report = Of(Matrix({{8, 2, 0}, {1, 4, 0}, {0, 1, 3}}), 10);
  EXPECT_FALSE(report.pools()[0]);
  EXPECT_EQ(report.Total(0), 10u);
  EXPECT_EQ(report.AccuracyMillionths(0), 800'000u) << "only what is reported counts";
  EXPECT_TRUE(report.Withholds(10));
}

TEST(EvaluationReport, WithholdsAnAbsentClassEvenWithoutALimit) {
  const auto report = Of(Matrix({{1, 0, 0}, {0, 0, 0}, {0, 0, 0}}), 0);
  EXPECT_EQ(report.rows()[0], (Row{1, 0, 0}));
  EXPECT_FALSE(report.rows()[1]);
  EXPECT_FALSE(report.pools()[0]);
}

TEST(EvaluationReport, OfNothingHasAccuracyZero) {
  const auto report = Of(ConfusionMatrix(3), 10);
  EXPECT_EQ(report.Total(0), 0u);
  EXPECT_EQ(report.AccuracyMillionths(0), 0u);
}

TEST(EvaluationReport, RoundsAccuracyHalfToEven) {
  const auto accuracy = [](std::uint64_t right, std::uint64_t wrong) {
    return Of(Matrix({{right, wrong}, {0, 1}}), 2).AccuracyMillionths(0);
  };
  EXPECT_EQ(accuracy(1, 1'999'999), 0u) << "half a millionth, and 0 is even";
  EXPECT_EQ(accuracy(3, 1'999'997), 2u) << "one and a half";
  EXPECT_EQ(accuracy(5, 1'999'995), 2u) << "two and a half";
  EXPECT_EQ(accuracy(2, 1), 666'667u);
}

TEST(EvaluationReport, TravelsAsJson) {
  for (const std::uint64_t min_pictures : {1u, 10u, 100u}) {
    const auto report = Of(Matrix({{8, 2, 0}, {1, 5, 3}, {0, 4, 1}}), min_pictures);
    EXPECT_EQ(EvaluationReport::FromJson(json::parse(report.ToJson().dump()), 3, {{0, 1, 2}}), report);
    auto with_scores = report;
    with_scores.set_scores(ScoresFile{.values = Sha256Of("v"), .file = Sha256Of("f"), .file_bytes = 7});
    EXPECT_EQ(EvaluationReport::FromJson(json::parse(with_scores.ToJson().dump()), 3, {{0, 1, 2}}), with_scores);
  }
  EXPECT_EQ(Of(Matrix({{8, 2, 0}, {1, 5, 3}, {0, 4, 1}}), 10).ToJson().dump(),
            R"({"matrix":[[8,2,0],null,null],"pools":[{"predicted":[1,9,4],"right":6}],"scores":null})");
}

TEST(EvaluationReport, PoolsSmallClassesOfOneTaskTogetherAndNeverThoseOfTwo) {
  const ConfusionMatrix matrix = Matrix({{5, 1, 0, 0}, {1, 4, 1, 0}, {0, 0, 9, 2}, {0, 0, 1, 3}});
  const auto report = EvaluationReport::Of(matrix, 10, {{0, 1}, {2, 3}});
  ASSERT_EQ(report.pools().size(), 2u);
  EXPECT_EQ(report.pools()[0]->predicted, (Row{6, 5, 1, 0}));
  EXPECT_EQ(report.AccuracyMillionths(0), 750'000u) << "9 of 12";
  EXPECT_FALSE(report.pools()[1]) << "four pictures of one class";
  EXPECT_EQ(report.rows()[2], (Row{0, 0, 9, 2}));
  EXPECT_EQ(report.AccuracyMillionths(1), 818'182u) << "9 of 11: the small class is not counted";
  EXPECT_EQ(EvaluationReport::FromJson(report.ToJson(), 4, {{0, 1}, {2, 3}}), report);
  const auto one_task = EvaluationReport::Of(matrix, 1, {{1, 2}});
  EXPECT_FALSE(one_task.rows()[0]) << "not of this hospital's tasks";
  EXPECT_EQ(one_task.Total(0), 17u);
}

struct BadReport {
  const char* name;
  std::string text;
  std::string words;
};
class EvaluationReportRefuses : public testing::TestWithParam<BadReport> {};
TEST_P(EvaluationReportRefuses, TheJson) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, GetParam().words,
               (void)EvaluationReport::FromJson(json::parse(GetParam().text), 3, {{0, 1}}));
}
INSTANTIATE_TEST_SUITE_P(
    Table, EvaluationReportRefuses,
    testing::ValuesIn(std::vector<BadReport>{
        {"NoObject", "[]", "not a JSON object"},
        {"NoMatrix", R"({"pools":[null]})", "'matrix' is missing"},
        {"NoPools", R"({"matrix":[null,null,null]})", "'pools' is missing"},
        {"TooFewClasses", R"({"matrix":[null,null],"pools":[null]})", "the plan's 3 classes"},
        {"TooManyClasses", R"({"matrix":[null,null,null,null],"pools":[null]})", "the plan's 3 classes"},
        {"TooManyPools", R"({"matrix":[null,null,null],"pools":[null,null]})", "the site's 1 columns"},
        {"ForeignClass", R"({"matrix":[null,null,[0,0,20]],"pools":[null],"scores":null})",
         "class 2, which the plan does not test"},
        {"ShortRow", R"({"matrix":[[1,2],null,null],"pools":[null],"scores":null})", "one count for each class"},
        {"NegativeCount", R"({"matrix":[[-1,0,0],null,null],"pools":[null],"scores":null})", "not a count"},
        {"Fraction", R"({"matrix":[[1.0,0,0],null,null],"pools":[null],"scores":null})", "not a count"},
        {"HugeCount", R"({"matrix":[[10000001,0,0],null,null],"pools":[null],"scores":null})", "not a count"},
        {"HugeSum", R"({"matrix":[[6000000,0,0],[6000000,0,0],null],"pools":[null],"scores":null})",
         "more than 10000000 pictures"},
        {"PoolOfOneClass", R"({"matrix":[[9,9,9],null,null],"pools":[{"predicted":[9,9,9],"right":0}],"scores":null})",
         "fewer than two"},
        {"PoolTooRight", R"({"matrix":[null,null,null],"pools":[{"predicted":[1,1,7],"right":3}],"scores":null})",
         "more than its"},
        {"UnknownField", R"({"matrix":[null,null,null],"pools":[null],"names":[],"scores":null})", "'names'"},
        {"NoScores", R"({"matrix":[null,null,null],"pools":[null]})", "'scores' is missing"},
        {"ScoresWithoutDigest", R"({"matrix":[null,null,null],"pools":[null],"scores":{"file_bytes":1}})",
         "'values' is missing"},
        {"UnknownPoolField",
         R"({"matrix":[null,null,null],"pools":[{"predicted":[5,5,5],"right":3,"x":1}],"scores":null})", "'x'"},
    }),
    [](const auto& row) { return row.param.name; });

TEST(ConfusionMatrix, RefusesClassesBeyondIt) {
  ConfusionMatrix matrix(2);
  EXPECT_ERROR(ErrorCode::kInternal, "class 2 of 2", matrix.Add(2, 0));
  EXPECT_ERROR(ErrorCode::kInternal, "class 2 of 2", matrix.Add(0, 2));
}

AccuracyMatrix Accuracies(const std::vector<std::vector<std::uint64_t>>& rows) {
  AccuracyMatrix matrix;
  for (const auto& row : rows) matrix.AddRow({row.begin(), row.end()});
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

TEST(AccuracyMatrix, TellsTheDefinitionsApart) {
  // The second task lifts the first one, the third spoils both; the fourth column never trains.
  const auto matrix =
      Accuracies({{500'000, 300'000, 100'000, 9}, {600'000, 700'000, 100'000, 9}, {200'000, 400'000, 900'000, 10}});
  EXPECT_EQ(matrix.DeLangeForgettingMillionths(), 300'000) << "(0.5 - 0.2 + 0.7 - 0.4) / 2";
  EXPECT_EQ(matrix.BackwardTransferMillionths(), -300'000);
  EXPECT_EQ(matrix.ChaudhryForgettingMillionths(), 350'000) << "(0.6 - 0.2 + 0.7 - 0.4) / 2";
  EXPECT_EQ(matrix.LearningAccuracyMillionths(), 700'000);
  EXPECT_EQ(matrix.AverageAfterMillionths(1), 650'000);
  EXPECT_EQ(matrix.ForgettingAfterMillionths(0), 0);
  EXPECT_EQ(matrix.ForgettingAfterMillionths(1), -100'000);
  EXPECT_EQ(matrix.ForgettingAfterMillionths(2), 300'000);
  EXPECT_EQ(matrix.UnseenMillionths(1), 50'004) << "half of 100,009 is a tie";
  EXPECT_EQ(matrix.UnseenMillionths(2), 10);
  EXPECT_EQ(Accuracies({{1, 2}, {3, 4}}).UnseenMillionths(1), std::nullopt);
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

TEST(AccuracyMatrix, RefusesRowsThatDoNotFit) {
  auto matrix = Accuracies({{1, 2}, {1, 2}});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "accuracy matrix", matrix.AddRow({1, 2}));
  matrix = Accuracies({{1, 2}});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "accuracy matrix", matrix.AddRow({1}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "accuracy matrix", matrix.AddRow({1, 1'000'001}));
  EXPECT_ERROR(ErrorCode::kConflict, "nothing to average", (void)AccuracyMatrix().AverageAccuracyMillionths());
}

TEST(AccuracyMatrix, LeavesEmptyCellsOutOfItsMeans) {
  AccuracyMatrix matrix;
  matrix.AddRow({900'000, {}, {}});
  EXPECT_EQ(matrix.AverageAccuracyMillionths(), 900'000);
  matrix.AddRow({{}, 800'000, {}});
  EXPECT_EQ(matrix.AverageAccuracyMillionths(), 800'000);
  EXPECT_EQ(matrix.FirstTaskDropMillionths(), std::nullopt) << "the first hospital did not score after task 2";
  matrix.AddRow({700'000, 900'000, {}});
  EXPECT_EQ(matrix.AverageAccuracyMillionths(), 800'000);
  EXPECT_EQ(matrix.MeanOverStepsMillionths(), 833'333);
  EXPECT_EQ(matrix.DeLangeForgettingMillionths(), 50'000) << "(0.9 - 0.7 + 0.8 - 0.9) / 2";
  EXPECT_EQ(matrix.FirstTaskDropMillionths(), std::nullopt);
  AccuracyMatrix nobody;
  nobody.AddRow({{}});
  EXPECT_EQ(nobody.AverageAccuracyMillionths(), std::nullopt);
}

}  // namespace
}  // namespace hemafed
