// learning/metrics/task_accuracies.h
// SPDX-License-Identifier: Apache-2.0
//
// The accuracy matrix a[t][j] of a continual study, and every published figure that is taken from it, each under the
// name of its definition, because papers print different ones under one word.
//
// a[t][j]: accuracy (0 to 1) on the test set of task j of the model after training task t. Tasks count from 1 in the
// formulas and from 0 in the code. All tasks have a column from the first row on, so the entries above the diagonal,
// tasks not trained yet, are data like the others. T is the number of rows: tasks trained so far.
//
//   after task t     A_t = (1/t) sum_{j<=t} a[t][j]
//   average          A_T                                          De Lange et al., TPAMI 2022: "ACC"
//   mean over steps  mean of A_1 .. A_T, population sd over t     what the UACL table most likely prints as "Acc"
//   forgetting of j  f_j = a[j][j] - a[T][j]                      De Lange et al.
//     mean           (1/(T-1)) sum_{j<T} f_j
//     CLsurvey       (1/T) sum_{j<T} f_j                          the script of the same authors divides by T
//   Chaudhry         f_j = max_{l<T} a[l][j] - a[T][j],           Chaudhry et al., ECCV 2018, eq. 3; all l, also
//                    mean over j < T                              those before task j was trained
//   first-task drop  d_t = a[t-1][1] - a[t][1], t = 2..T,         what the UACL table most likely prints as "For"
//                    mean and population sd over t
//   backward         (1/(T-1)) sum_{j<T} (a[T][j] - a[j][j])      Lopez-Paz and Ranzato, NeurIPS 2017; minus the
//                                                                 mean of De Lange's f_j
//   forward          (1/(T-1)) sum_{j>1} (a[j-1][j] - b[j])       the same; b[j] is a model with random weights
//   learning         (1/T) sum_j a[j][j]                          Riemer et al., ICLR 2019: how well each task was
//                                                                 learned when it was new
//   unseen           (1/(J-t)) sum_{j>t} a[t][j]                  J columns; how the model does where it never trained
//
// After one task, figures that need two are 0. codec/evaluation.h computes four of these in integer millionths, for
// everyone who must get the same last digit; they agree with these within its rounding (tested).
//
// Errors: kInvalidInput for a row that does not fit; kConflict for a figure of an empty matrix.
// Thread-safety: value type.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "codec/evaluation.h"

namespace hemafed::learning {

// Mean and population standard deviation (divided by n) over the steps of one run: how far the figure moves during the
// run, not how well it is known. For several runs see confidence.h.
struct OverSteps {
  double mean = 0.0;
  double deviation = 0.0;
};

class TaskAccuracies {
 public:
  TaskAccuracies() = default;
  // All rows of a matrix in millionths; `tasks` is its number of columns. kInvalidInput for an empty cell.
  TaskAccuracies(const hemafed::AccuracyMatrix& millionths, std::size_t tasks);

  // The next task's row: one accuracy for each task, also those to come; rows have one length and cannot outnumber the
  // columns.
  void AddRow(std::span<const double> accuracies);

  [[nodiscard]] std::size_t rows() const { return rows_.size(); }
  [[nodiscard]] std::size_t columns() const { return rows_.empty() ? 0 : rows_.front().size(); }
  [[nodiscard]] double At(std::size_t task, std::size_t test_set) const { return rows_.at(task).at(test_set); }

  // A_t for each row; `task` counts from 0.
  [[nodiscard]] double AverageAfter(std::size_t task) const;
  [[nodiscard]] std::vector<double> AverageAfterEachTask() const;
  [[nodiscard]] double AverageAccuracy() const;
  [[nodiscard]] OverSteps MeanOverSteps() const;

  // f_1 .. f_{T-1}.
  [[nodiscard]] std::vector<double> DeLangeForgettingByTask() const;
  [[nodiscard]] double DeLangeForgetting() const;
  [[nodiscard]] double ClSurveyForgetting() const;
  [[nodiscard]] std::vector<double> ChaudhryForgettingByTask() const;
  [[nodiscard]] double ChaudhryForgetting() const;
  [[nodiscard]] OverSteps FirstTaskDrop() const;

  [[nodiscard]] double BackwardTransfer() const;
  // `untrained`: b, one accuracy for each column.
  [[nodiscard]] double ForwardTransfer(std::span<const double> untrained) const;
  [[nodiscard]] double LearningAccuracy() const;
  // 0 where every task has been trained.
  [[nodiscard]] double UnseenAfter(std::size_t task) const;

  // sum_{j<=t} n_j a[t][j] / sum_{j<=t} n_j: pictures right by pictures, where `pictures` gives n_j for each column.
  [[nodiscard]] double PooledAfter(std::size_t task, std::span<const std::uint64_t> pictures) const;

 private:
  // T - 1; throws if there is no row.
  [[nodiscard]] std::size_t Last() const;

  std::vector<std::vector<double>> rows_;
};

}  // namespace hemafed::learning
