// SPDX-License-Identifier: Apache-2.0
#include "learning/metrics/task_accuracies.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "common/error.h"

namespace hemafed::learning {

namespace {

double Mean(std::span<const double> values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

OverSteps Describe(std::span<const double> values) {
  OverSteps result{Mean(values), 0.0};
  if (values.empty()) return result;
  double squares = 0.0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  result.deviation = std::sqrt(squares / static_cast<double>(values.size()));
  return result;
}

void RequireAccuracies(std::span<const double> values, const char* what) {
  for (const double value : values) {
    if (!(value >= 0.0 && value <= 1.0)) {  // NaN fails both.
      throw Error(ErrorCode::kInvalidInput, std::string(what) + " holds " + std::to_string(value) +
                                                ", which is no accuracy; give fractions from 0 to 1");
    }
  }
}

}  // namespace

TaskAccuracies::TaskAccuracies(const hemafed::AccuracyMatrix& millionths, std::size_t tasks) {
  for (std::size_t t = 0; t < millionths.rows(); ++t) {
    std::vector<double> row;
    for (std::size_t j = 0; j < tasks; ++j) {
      const auto& cell = millionths.Millionths(t, j);
      if (!cell) throw Error(ErrorCode::kInvalidInput, "the accuracy matrix has an empty cell");
      row.push_back(static_cast<double>(*cell) / 1e6);
    }
    AddRow(row);
  }
}

void TaskAccuracies::AddRow(std::span<const double> accuracies) {
  if (accuracies.empty() || (!rows_.empty() && accuracies.size() != columns()) || rows_.size() >= accuracies.size()) {
    throw Error(ErrorCode::kInvalidInput, "row " + std::to_string(rows_.size() + 1) + " of the accuracy matrix has " +
                                              std::to_string(accuracies.size()) +
                                              " entries; give one for each of its " + std::to_string(columns()) +
                                              " tasks, and one row a task");
  }
  RequireAccuracies(accuracies, "the accuracy matrix");
  rows_.emplace_back(accuracies.begin(), accuracies.end());
}

std::size_t TaskAccuracies::Last() const {
  if (rows_.empty()) throw Error(ErrorCode::kConflict, "no task has been evaluated yet: there is nothing to average");
  return rows_.size() - 1;
}

double TaskAccuracies::AverageAfter(std::size_t task) const { return Mean(std::span(rows_.at(task)).first(task + 1)); }

std::vector<double> TaskAccuracies::AverageAfterEachTask() const {
  std::vector<double> averages;
  for (std::size_t t = 0; t < rows_.size(); ++t) averages.push_back(AverageAfter(t));
  return averages;
}

double TaskAccuracies::AverageAccuracy() const { return AverageAfter(Last()); }

OverSteps TaskAccuracies::MeanOverSteps() const {
  (void)Last();
  return Describe(AverageAfterEachTask());
}

std::vector<double> TaskAccuracies::DeLangeForgettingByTask() const {
  const std::size_t last = Last();
  std::vector<double> forgetting;
  for (std::size_t j = 0; j < last; ++j) forgetting.push_back(rows_[j][j] - rows_[last][j]);
  return forgetting;
}

double TaskAccuracies::DeLangeForgetting() const { return Mean(DeLangeForgettingByTask()); }

double TaskAccuracies::ClSurveyForgetting() const {
  const auto tasks = static_cast<double>(Last() + 1);
  return DeLangeForgetting() * (tasks - 1.0) / tasks;
}

std::vector<double> TaskAccuracies::ChaudhryForgettingByTask() const {
  const std::size_t last = Last();
  std::vector<double> forgetting;
  for (std::size_t j = 0; j < last; ++j) {
    double best = 0.0;
    for (std::size_t l = 0; l < last; ++l) best = std::max(best, rows_[l][j]);
    forgetting.push_back(best - rows_[last][j]);
  }
  return forgetting;
}

double TaskAccuracies::ChaudhryForgetting() const { return Mean(ChaudhryForgettingByTask()); }

OverSteps TaskAccuracies::FirstTaskDrop() const {
  const std::size_t last = Last();
  std::vector<double> drops;
  for (std::size_t t = 1; t <= last; ++t) drops.push_back(rows_[t - 1][0] - rows_[t][0]);
  return Describe(drops);
}

double TaskAccuracies::BackwardTransfer() const {
  const double forgetting = DeLangeForgetting();
  return forgetting == 0.0 ? 0.0 : -forgetting;  // No "-0" in tables.
}

double TaskAccuracies::ForwardTransfer(std::span<const double> untrained) const {
  const std::size_t last = Last();
  if (untrained.size() != columns()) {
    throw Error(ErrorCode::kInvalidInput, "the row of the untrained model has " + std::to_string(untrained.size()) +
                                              " entries; the accuracy matrix has " + std::to_string(columns()));
  }
  RequireAccuracies(untrained, "the row of the untrained model");
  std::vector<double> gains;
  for (std::size_t j = 1; j <= last; ++j) gains.push_back(rows_[j - 1][j] - untrained[j]);
  return Mean(gains);
}

double TaskAccuracies::LearningAccuracy() const {
  const std::size_t last = Last();
  std::vector<double> fresh;
  for (std::size_t j = 0; j <= last; ++j) fresh.push_back(rows_[j][j]);
  return Mean(fresh);
}

double TaskAccuracies::UnseenAfter(std::size_t task) const { return Mean(std::span(rows_.at(task)).subspan(task + 1)); }

double TaskAccuracies::PooledAfter(std::size_t task, std::span<const std::uint64_t> pictures) const {
  const std::vector<double>& row = rows_.at(task);
  if (pictures.size() != row.size()) {
    throw Error(ErrorCode::kInvalidInput, "numbers of pictures are given for " + std::to_string(pictures.size()) +
                                              " of " + std::to_string(row.size()) + " test sets");
  }
  double right = 0.0;
  double all = 0.0;
  for (std::size_t j = 0; j <= task; ++j) {
    right += static_cast<double>(pictures[j]) * row[j];
    all += static_cast<double>(pictures[j]);
  }
  return all == 0.0 ? 0.0 : right / all;
}

}  // namespace hemafed::learning
