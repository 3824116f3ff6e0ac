// studies/uacl/analysis.h
// SPDX-License-Identifier: Apache-2.0
//
// From the answers of runs to figures: the accuracy matrix of each method over its seeds, every named metric of
// learning/metrics/task_accuracies.h, scores by class, and which of two methods is better on the same pictures.
//
// Figures over seeds are mean and sample standard deviation. A difference between two methods is the mean over test
// sets of the mean over their pictures of (right by ours - right by theirs), each averaged over seeds, with a 95 %
// paired bootstrap interval over test pictures, groups kept together (bootstrap.h).
//
// Thread-safety: free functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "codec/evaluation.h"
#include "learning/metrics/class_metrics.h"
#include "learning/metrics/confidence.h"
#include "learning/metrics/task_accuracies.h"
#include "studies/uacl/run_result.h"

namespace hemafed::studies {

// All runs of one method in one experiment.
struct MethodResults {
  std::size_t experiment = 0;
  std::size_t method = 0;
  std::optional<std::size_t> budget;
  std::string name;  // "uacl", "uacl K=125"
  std::vector<std::uint64_t> seeds;
  std::vector<RunResult> results;  // one a seed
};

// A test set as readers know it.
struct TestSet {
  std::string title;
  // One a picture, in the order of the answers. Pictures of one group are not independent; an empty one stands alone.
  std::vector<std::string> files, groups;
};

// Methods that learned the same tasks in the same order and answered for the same pictures. A method may lack the
// answers for an unseen test set: its column is then empty.
struct Comparison {
  std::string name;  // of its files
  std::string title;
  std::vector<std::string> classes;
  std::size_t tasks = 0;  // The first test sets are those of the tasks, in order; more are unseen ones.
  std::vector<TestSet> test_sets;
  std::vector<MethodResults> methods;
};

// Figures of one run, by the names of task_accuracies.h.
struct RunFigures {
  double average_accuracy = 0;  // A_T
  learning::OverSteps mean_over_steps;
  double de_lange = 0;
  double cl_survey = 0;
  double chaudhry = 0;
  learning::OverSteps first_task_drop;
  double backward_transfer = 0;
  double learning_accuracy = 0;
  double first_task = 0;              // a[T][1]
  std::vector<double> last_row;       // a[T][j], unseen columns included
  double macro_f1 = 0;                // over all test pictures of the tasks, last model
  std::optional<double> roc_auc;      // macro, one against the rest; where scores are comparable
  std::optional<double> calibration;  // expected calibration error; only where scores are probabilities
};

// a[t][j] of one run over the tasks' own columns.
[[nodiscard]] learning::TaskAccuracies MatrixOf(const RunResult& result);
// `classes`: of the study.
[[nodiscard]] RunFigures FiguresOf(const RunResult& result, std::size_t classes);
// Mean and spread over the seeds of one figure.
[[nodiscard]] learning::OverRuns Over(const std::vector<RunFigures>& runs, double RunFigures::*figure);
[[nodiscard]] std::vector<RunFigures> FiguresOf(const MethodResults& method, std::size_t classes);

// Truth x prediction of the last model over all test pictures of the tasks, summed over seeds.
[[nodiscard]] ConfusionMatrix LastConfusion(const MethodResults& method, std::size_t classes);

// Difference of average accuracy after the last task, ours minus theirs. Both must be of `comparison`.
[[nodiscard]] learning::Interval Difference(const MethodResults& ours, const MethodResults& theirs,
                                            const Comparison& comparison);

}  // namespace hemafed::studies
