// codec/class_metrics.h
// SPDX-License-Identifier: Apache-2.0
//
// What an evaluation report says about each class of one column, as exact integers in millionths, so that coordinator,
// auditor and study agree to the last digit (docs/report.md). Definitions as in learning/metrics/class_metrics.h, which
// has them in floating point; over the pictures that the report shows:
//
//     TP = right ones of the class's row      FN = the rest of the row
//     FP = pictures of other classes, the pooled ones too, that were taken for the class
//     TN = all others
//
//     precision    TP / (TP + FP)         sensitivity  TP / (TP + FN)
//     specificity  TN / (TN + FP)         F1           2 TP / (2 TP + FP + FN)
//
// 0 / 0 is 0. A class without a row of its own (pooled, withheld, of another column) has no figures. Each figure is
// rounded half to even once; means are taken of the rounded figures and rounded again, so that anybody gets them from
// the published numbers:
//
//     macro     plain mean over the classes with a row
//     weighted  mean weighed by their pictures
//
// Wilson interval of k right of n (Wilson, JASA 1927), 95 %: with z^2 = 3.841459,
//
//     (2k + z^2 -+ sqrt(z^2 (z^2 + 4 k (n - k) / n))) / (2 (n + z^2))
//
// the root taken to 10^-11 by integer arithmetic.
//
// Errors: kInternal for more pictures than kMaxPictures, for more right than there are or a column that does not exist.
// Thread-safety: value types and free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "codec/evaluation.h"

namespace hemafed {

struct ScoresMillionths {
  std::uint64_t precision = 0;
  std::uint64_t sensitivity = 0;
  std::uint64_t specificity = 0;
  std::uint64_t f1 = 0;
  bool operator==(const ScoresMillionths&) const = default;
};

struct ClassScoresMillionths : ScoresMillionths {
  std::uint64_t pictures = 0;
};

struct IntervalMillionths {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  bool operator==(const IntervalMillionths&) const = default;
};

struct ColumnMetrics {
  std::vector<std::optional<ClassScoresMillionths>> classes;  // By class of the plan.
  std::optional<ScoresMillionths> macro, weighted;            // Nothing without a class that has a row.
  std::uint64_t pictures = 0;                                 // Shown in rows and pool.
  std::uint64_t right = 0;
  std::uint64_t accuracy = 0;
  std::optional<IntervalMillionths> accuracy_interval;  // Nothing without pictures.
};

// `pool`: the column's place among the site's (Column::pool).
[[nodiscard]] ColumnMetrics MetricsOf(const EvaluationReport& report, std::size_t pool);

// 95 %; 1 <= pictures <= kMaxPictures.
[[nodiscard]] IntervalMillionths WilsonIntervalMillionths(std::uint64_t right, std::uint64_t pictures);

}  // namespace hemafed
