// learning/metrics/class_metrics.h
// SPDX-License-Identifier: Apache-2.0
//
// What a confusion matrix says about each class and about all of them.
//
// With TP, FP, FN, TN of one class against the rest:
//
//   precision    TP / (TP + FP)             sensitivity  TP / (TP + FN)      (recall)
//   specificity  TN / (TN + FP)             F1           2 TP / (2 TP + FP + FN)
//   support      TP + FN
//
// Zero division: a quotient 0 / 0 is 0, as scikit-learn's zero_division=0. Averages run over the classes with support,
// so a class that the test set lacks neither helps nor hurts by itself; pictures taken for it still miss in their own
// class. (In scikit-learn: labels = the classes of y_true.)
//
//   macro     plain mean over these classes; macro sensitivity is the balanced accuracy
//   weighted  mean weighed by support
//   accuracy  pictures right / pictures
//
// Errors: kConflict for a matrix without pictures. Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/evaluation.h"

namespace hemafed::learning {

struct Scores {
  double precision = 0.0;
  double sensitivity = 0.0;
  double specificity = 0.0;
  double f1 = 0.0;
};

struct ClassScores : Scores {
  std::uint64_t support = 0;  // test pictures of the class
};

struct ClassReport {
  std::vector<ClassScores> classes;  // by class index
  Scores macro;
  Scores weighted;
  double accuracy = 0.0;
  std::uint64_t pictures = 0;
};

[[nodiscard]] ClassReport DescribeClasses(const ConfusionMatrix& matrix);

// Counts truth x prediction; both have one entry a picture, below `classes`.
[[nodiscard]] ConfusionMatrix CountPredictions(std::span<const std::uint32_t> truth,
                                               std::span<const std::uint32_t> predicted, std::size_t classes);

}  // namespace hemafed::learning
