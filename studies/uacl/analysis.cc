// SPDX-License-Identifier: Apache-2.0
#include "studies/uacl/analysis.h"

#include <algorithm>
#include <cmath>

#include "common/error.h"
#include "learning/metrics/bootstrap.h"
#include "learning/metrics/calibration.h"
#include "learning/metrics/roc_auc.h"

namespace hemafed::studies {

namespace {

using learning::TaskAccuracies;

// How far scores of one picture may sum away from 1 and still be probabilities: C roundings to millionths.
constexpr double kSumTolerance = 1e-4;

std::vector<std::uint32_t> AsIndices(const std::vector<std::int64_t>& labels) { return {labels.begin(), labels.end()}; }

// Truth, predictions and scores of the last model over the tasks' columns.
struct Pooled {
  std::vector<std::uint32_t> truth;
  std::vector<std::uint32_t> predicted;
  std::vector<double> scores;  // [pictures x columns of the head], the class of column c being score_classes[c]
};

Pooled Pool(const RunResult& result) {
  Pooled pooled;
  const std::size_t tasks = result.answers.size();
  for (std::size_t j = 0; j < tasks; ++j) {
    const auto truth = AsIndices(result.columns[j]);
    const auto predicted = AsIndices(result.answers.back()[j]);
    pooled.truth.insert(pooled.truth.end(), truth.begin(), truth.end());
    pooled.predicted.insert(pooled.predicted.end(), predicted.begin(), predicted.end());
    for (const std::int64_t score : result.scores_millionths[j]) {
      pooled.scores.push_back(static_cast<double>(score) / 1e6);
    }
  }
  return pooled;
}

// Labels as columns of the head, so that scores and labels speak of the same things.
std::vector<std::uint32_t> AsColumns(const std::vector<std::uint32_t>& labels, const std::vector<std::int64_t>& head) {
  std::vector<std::uint32_t> columns;
  for (const std::uint32_t label : labels) {
    const auto found = std::find(head.begin(), head.end(), static_cast<std::int64_t>(label));
    if (found == head.end()) throw Error(ErrorCode::kInternal, "a test picture has a class that was never learned");
    columns.push_back(static_cast<std::uint32_t>(found - head.begin()));
  }
  return columns;
}

bool AreProbabilities(const std::vector<double>& scores, std::size_t classes) {
  for (std::size_t i = 0; i < scores.size(); i += classes) {
    double sum = 0;
    for (std::size_t c = 0; c < classes; ++c) {
      if (scores[i + c] < 0 || scores[i + c] > 1) return false;
      sum += scores[i + c];
    }
    if (std::abs(sum - 1) > kSumTolerance) return false;
  }
  return true;
}

double CalibrationError(const Pooled& pooled, std::size_t classes) {
  std::vector<double> confidence;
  std::vector<std::uint8_t> right;
  for (std::size_t i = 0; i < pooled.truth.size(); ++i) {
    const auto* row = pooled.scores.data() + i * classes;
    confidence.push_back(std::min(1.0, *std::max_element(row, row + classes)));
    right.push_back(pooled.truth[i] == pooled.predicted[i] ? 1 : 0);
  }
  return learning::MeasureCalibration(confidence, right).expected_error;
}

// Share of seeds that are right, for each picture of the tasks' test sets.
std::vector<double> RightShares(const MethodResults& method) {
  std::vector<double> shares;
  for (const RunResult& result : method.results) {
    std::size_t i = 0;
    for (std::size_t j = 0; j < result.answers.size(); ++j) {
      for (std::size_t k = 0; k < result.columns[j].size(); ++k, ++i) {
        if (i == shares.size()) shares.push_back(0);
        if (result.columns[j][k] == result.answers.back()[j][k]) {
          shares[i] += 1.0 / static_cast<double>(method.results.size());
        }
      }
    }
  }
  return shares;
}

}  // namespace

TaskAccuracies MatrixOf(const RunResult& result) {
  TaskAccuracies matrix;
  for (std::size_t t = 0; t < result.answers.size(); ++t) {
    std::vector<double> row;
    for (std::size_t j = 0; j < result.answers.size(); ++j) row.push_back(result.Accuracy(t, j));
    matrix.AddRow(row);
  }
  return matrix;
}

RunFigures FiguresOf(const RunResult& result, std::size_t classes) {
  const TaskAccuracies matrix = MatrixOf(result);
  RunFigures figures;
  figures.average_accuracy = matrix.AverageAccuracy();
  figures.mean_over_steps = matrix.MeanOverSteps();
  figures.de_lange = matrix.DeLangeForgetting();
  figures.cl_survey = matrix.ClSurveyForgetting();
  figures.chaudhry = matrix.ChaudhryForgetting();
  figures.first_task_drop = matrix.FirstTaskDrop();
  figures.backward_transfer = matrix.BackwardTransfer();
  figures.learning_accuracy = matrix.LearningAccuracy();
  figures.first_task = matrix.At(matrix.rows() - 1, 0);
  for (std::size_t j = 0; j < result.columns.size(); ++j) {
    figures.last_row.push_back(result.Accuracy(matrix.rows() - 1, j));
  }
  const Pooled pooled = Pool(result);
  figures.macro_f1 =
      learning::DescribeClasses(learning::CountPredictions(pooled.truth, pooled.predicted, classes)).macro.f1;
  const std::size_t columns = result.score_classes.size();
  figures.roc_auc =
      learning::RocAucOfClasses(pooled.scores, AsColumns(pooled.truth, result.score_classes), columns).macro;
  if (AreProbabilities(pooled.scores, columns)) figures.calibration = CalibrationError(pooled, columns);
  return figures;
}

learning::OverRuns Over(const std::vector<RunFigures>& runs, double RunFigures::*figure) {
  std::vector<double> values(runs.size());
  std::transform(runs.begin(), runs.end(), values.begin(), [&](const RunFigures& run) { return run.*figure; });
  return learning::DescribeRuns(values);
}

std::vector<RunFigures> FiguresOf(const MethodResults& method, std::size_t classes) {
  std::vector<RunFigures> figures;
  for (const RunResult& result : method.results) figures.push_back(FiguresOf(result, classes));
  return figures;
}

ConfusionMatrix LastConfusion(const MethodResults& method, std::size_t classes) {
  ConfusionMatrix matrix(classes);
  for (const RunResult& result : method.results) {
    const Pooled pooled = Pool(result);
    for (std::size_t i = 0; i < pooled.truth.size(); ++i) matrix.Add(pooled.truth[i], pooled.predicted[i]);
  }
  return matrix;
}

learning::Interval Difference(const MethodResults& ours, const MethodResults& theirs, const Comparison& comparison) {
  std::vector<std::string> groups;
  std::vector<std::uint32_t> strata;
  for (std::size_t j = 0; j < comparison.tasks; ++j) {
    const TestSet& set = comparison.test_sets.at(j);
    for (const std::string& group : set.groups) {
      // One name over all test sets: two hospitals may number their fields of view alike.
      groups.push_back(group.empty() ? group : set.title + "/" + group);
      strata.push_back(static_cast<std::uint32_t>(j));
    }
  }
  return learning::BootstrapDifference(RightShares(ours), RightShares(theirs), {groups, strata});
}

}  // namespace hemafed::studies
