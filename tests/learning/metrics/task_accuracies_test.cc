// SPDX-License-Identifier: Apache-2.0
#include "learning/metrics/task_accuracies.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "common/random.h"
#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

constexpr double kTiny = 1e-12;

TaskAccuracies Matrix(const std::vector<std::vector<double>>& rows) {
  TaskAccuracies matrix;
  for (const auto& row : rows) matrix.AddRow(row);
  return matrix;
}

// Perfect (`accuracy`) on the newest task, nothing on the others: fine-tuning at its worst.
TaskAccuracies PerfectThenErased(std::size_t tasks, double accuracy) {
  TaskAccuracies matrix;
  for (std::size_t t = 0; t < tasks; ++t) {
    std::vector<double> row(tasks);
    row[t] = accuracy;
    matrix.AddRow(row);
  }
  return matrix;
}

// The published fine-tuning figures that this reading of the UACL table explains: three decimals as derived there.
TEST(TaskAccuracies, OfPerfectThenErasedTasksAreThePublishedFineTuningRows) {
  const TaskAccuracies three = PerfectThenErased(3, 0.96);
  EXPECT_NEAR(three.MeanOverSteps().mean, 0.587, 5e-4);
  EXPECT_NEAR(three.MeanOverSteps().deviation, 0.272, 5e-4);
  EXPECT_NEAR(three.FirstTaskDrop().mean, 0.48, kTiny);
  EXPECT_NEAR(three.FirstTaskDrop().deviation, 0.48, kTiny);
  EXPECT_NEAR(three.DeLangeForgetting(), 0.96, kTiny);
  EXPECT_NEAR(three.ClSurveyForgetting(), 0.64, kTiny);
  EXPECT_NEAR(three.AverageAccuracy(), 0.32, kTiny);

  const TaskAccuracies four = PerfectThenErased(4, 1.0);
  EXPECT_NEAR(four.MeanOverSteps().mean, 0.521, 5e-4);
  EXPECT_NEAR(four.MeanOverSteps().deviation, 0.291, 5e-4);
  EXPECT_NEAR(four.FirstTaskDrop().mean, 0.333, 5e-4);
  EXPECT_NEAR(four.FirstTaskDrop().deviation, 0.471, 5e-4);
  EXPECT_NEAR(four.DeLangeForgetting(), 1.0, kTiny);

  const TaskAccuracies twelve = PerfectThenErased(12, 0.9);
  EXPECT_NEAR(twelve.MeanOverSteps().mean, 0.233, 5e-4);
  EXPECT_NEAR(twelve.MeanOverSteps().deviation, 0.227, 5e-4);
  EXPECT_NEAR(twelve.FirstTaskDrop().mean, 0.082, 5e-4);
  EXPECT_NEAR(twelve.FirstTaskDrop().deviation, 0.259, 5e-4);
  EXPECT_NEAR(twelve.DeLangeForgetting(), 0.9, kTiny);
}

TEST(TaskAccuracies, OfAModelThatForgetsNothingShowNoForgettingByAnyDefinition) {
  const TaskAccuracies matrix = Matrix({{0.9, 0.1, 0.2}, {0.9, 0.8, 0.3}, {0.9, 0.8, 0.7}});
  EXPECT_DOUBLE_EQ(matrix.DeLangeForgetting(), 0.0);
  EXPECT_DOUBLE_EQ(matrix.ClSurveyForgetting(), 0.0);
  EXPECT_DOUBLE_EQ(matrix.ChaudhryForgetting(), 0.0);
  EXPECT_DOUBLE_EQ(matrix.FirstTaskDrop().mean, 0.0);
  EXPECT_DOUBLE_EQ(matrix.FirstTaskDrop().deviation, 0.0);
  EXPECT_DOUBLE_EQ(matrix.BackwardTransfer(), 0.0);
  EXPECT_FALSE(std::signbit(matrix.BackwardTransfer()));
  EXPECT_NEAR(matrix.AverageAccuracy(), 0.8, kTiny);
  EXPECT_NEAR(matrix.MeanOverSteps().mean, 0.85, kTiny);
  EXPECT_NEAR(matrix.MeanOverSteps().deviation, std::sqrt((0.0025 + 0.0025) / 3.0), kTiny);
}

TEST(TaskAccuracies, TellTheDefinitionsApartByHand) {
  // Task 1 falls, recovers and falls; task 2 was best before it was trained; task 3 is new.
  const TaskAccuracies matrix = Matrix({{0.8, 0.9, 0.3}, {0.5, 0.6, 0.4}, {0.7, 0.2, 1.0}});
  EXPECT_EQ(matrix.AverageAfterEachTask().size(), 3u);
  EXPECT_NEAR(matrix.AverageAfter(0), 0.8, kTiny);
  EXPECT_NEAR(matrix.AverageAfter(1), 0.55, kTiny);
  EXPECT_NEAR(matrix.AverageAfter(2), 1.9 / 3.0, kTiny);
  EXPECT_NEAR(matrix.DeLangeForgettingByTask()[0], 0.1, kTiny);
  EXPECT_NEAR(matrix.DeLangeForgettingByTask()[1], 0.4, kTiny);
  EXPECT_NEAR(matrix.DeLangeForgetting(), 0.25, kTiny);
  EXPECT_NEAR(matrix.ClSurveyForgetting(), 0.5 / 3.0, kTiny);
  EXPECT_NEAR(matrix.ChaudhryForgettingByTask()[1], 0.7, kTiny) << "0.9 counts, although task 2 came later";
  EXPECT_NEAR(matrix.ChaudhryForgetting(), 0.4, kTiny);
  EXPECT_NEAR(matrix.FirstTaskDrop().mean, 0.05, kTiny) << "0.3, then -0.2";
  EXPECT_NEAR(matrix.FirstTaskDrop().deviation, 0.25, kTiny);
  EXPECT_NEAR(matrix.BackwardTransfer(), -0.25, kTiny);
  EXPECT_NEAR(matrix.ForwardTransfer(std::vector<double>{0.9, 0.2, 0.1}), ((0.9 - 0.2) + (0.4 - 0.1)) / 2.0, kTiny);
  EXPECT_NEAR(matrix.LearningAccuracy(), 0.8, kTiny);
  EXPECT_NEAR(matrix.UnseenAfter(0), 0.6, kTiny);
  EXPECT_NEAR(matrix.UnseenAfter(1), 0.4, kTiny);
  EXPECT_DOUBLE_EQ(matrix.UnseenAfter(2), 0.0);
  EXPECT_NEAR(matrix.PooledAfter(1, std::vector<std::uint64_t>{30, 10, 500}), (15.0 + 6.0) / 40.0, kTiny);
}

TEST(TaskAccuracies, AgreeWithTheIntegersOfCoordinatorAndAuditor) {
  RandomStream random(11);
  for (int trial = 0; trial < 200; ++trial) {
    const std::size_t tasks = 1 + random.NextBelow(12);
    hemafed::AccuracyMatrix integers;
    const std::size_t rows = 1 + random.NextBelow(static_cast<std::uint32_t>(tasks));
    for (std::size_t t = 0; t < rows; ++t) {
      std::vector<hemafed::AccuracyMatrix::Cell> row;
      for (std::size_t j = 0; j < tasks; ++j) row.emplace_back(random.NextBelow(1'000'001));
      integers.AddRow(row);
    }
    const TaskAccuracies matrix(integers, tasks);
    ASSERT_EQ(matrix.rows(), rows);
    ASSERT_EQ(matrix.columns(), tasks);
    // Each integer figure is rounded once, to half a millionth; the mean over steps also rounds each A_t before.
    constexpr double kOnce = 0.5e-6 + 1e-12;
    const auto millionths = [](std::int64_t value) { return static_cast<double>(value) / 1e6; };
    EXPECT_NEAR(matrix.AverageAccuracy(), millionths(integers.AverageAccuracyMillionths().value()), kOnce);
    EXPECT_NEAR(matrix.MeanOverSteps().mean, millionths(integers.MeanOverStepsMillionths().value()), 2.0 * kOnce);
    EXPECT_NEAR(matrix.DeLangeForgetting(), millionths(integers.DeLangeForgettingMillionths().value()), kOnce);
    EXPECT_NEAR(matrix.FirstTaskDrop().mean, millionths(integers.FirstTaskDropMillionths().value()), kOnce);
    EXPECT_NEAR(matrix.ChaudhryForgetting(), millionths(integers.ChaudhryForgettingMillionths().value()), kOnce);
    EXPECT_NEAR(matrix.BackwardTransfer(), millionths(integers.BackwardTransferMillionths().value()), kOnce);
    EXPECT_NEAR(matrix.LearningAccuracy(), millionths(integers.LearningAccuracyMillionths().value()), kOnce);
    for (std::size_t t = 0; t < rows; ++t) {
      EXPECT_NEAR(matrix.AverageAfter(t), millionths(integers.AverageAfterMillionths(t).value()), kOnce);
      EXPECT_NEAR(matrix.UnseenAfter(t), millionths(integers.UnseenMillionths(t).value_or(0)), kOnce);
      EXPECT_EQ(integers.UnseenMillionths(t).has_value(), t + 1 < tasks);
    }
  }
}

TEST(TaskAccuracies, AfterOneTaskHaveNoForgettingAndNoTransfer) {
  const TaskAccuracies matrix = Matrix({{0.7, 0.2}});
  EXPECT_DOUBLE_EQ(matrix.AverageAccuracy(), 0.7);
  EXPECT_DOUBLE_EQ(matrix.MeanOverSteps().mean, 0.7);
  EXPECT_DOUBLE_EQ(matrix.MeanOverSteps().deviation, 0.0);
  EXPECT_DOUBLE_EQ(matrix.DeLangeForgetting(), 0.0);
  EXPECT_DOUBLE_EQ(matrix.ClSurveyForgetting(), 0.0);
  EXPECT_DOUBLE_EQ(matrix.ChaudhryForgetting(), 0.0);
  EXPECT_DOUBLE_EQ(matrix.FirstTaskDrop().mean, 0.0);
  EXPECT_DOUBLE_EQ(matrix.ForwardTransfer(std::vector<double>{0.5, 0.5}), 0.0);
}

TEST(TaskAccuracies, RefuseWhatIsNoMatrix) {
  TaskAccuracies matrix = Matrix({{0.5, 0.5}});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "row 2 of the accuracy matrix has 3",
               matrix.AddRow(std::vector<double>{0, 0, 0}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no accuracy", matrix.AddRow(std::vector<double>{0.5, 1.0001}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no accuracy",
               matrix.AddRow(std::vector<double>{0.5, std::numeric_limits<double>::quiet_NaN()}));
  EXPECT_EQ(matrix.rows(), 1u) << "a refused row leaves no trace";
  matrix.AddRow(std::vector<double>{0.5, 0.5});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "one row a task", matrix.AddRow(std::vector<double>{0.5, 0.5}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "untrained model has 1",
               (void)matrix.ForwardTransfer(std::vector<double>{0.5}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 of 2 test sets",
               (void)matrix.PooledAfter(0, std::vector<std::uint64_t>{5}));
  EXPECT_ERROR(ErrorCode::kConflict, "nothing to average", (void)TaskAccuracies().AverageAccuracy());
  EXPECT_ERROR(ErrorCode::kConflict, "nothing to average", (void)TaskAccuracies().MeanOverSteps());
}

}  // namespace
}  // namespace hemafed::learning
