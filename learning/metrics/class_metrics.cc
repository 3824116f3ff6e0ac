// SPDX-License-Identifier: Apache-2.0
#include "learning/metrics/class_metrics.h"

#include <string>

#include "common/error.h"

namespace hemafed::learning {

namespace {

double Quotient(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

void AddWeighed(Scores& sum, const Scores& scores, double weight) {
  sum.precision += weight * scores.precision;
  sum.sensitivity += weight * scores.sensitivity;
  sum.specificity += weight * scores.specificity;
  sum.f1 += weight * scores.f1;
}

}  // namespace

ClassReport DescribeClasses(const ConfusionMatrix& matrix) {
  ClassReport report;
  const std::size_t classes = matrix.classes();
  std::vector<std::uint64_t> taken_for(classes);  // Column sums.
  std::uint64_t right = 0;
  for (std::size_t truth = 0; truth < classes; ++truth) {
    for (std::size_t predicted = 0; predicted < classes; ++predicted) {
      taken_for[predicted] += matrix.At(truth, predicted);
    }
    report.pictures += matrix.RowSum(truth);
    right += matrix.At(truth, truth);
  }
  if (report.pictures == 0) {
    throw Error(ErrorCode::kConflict, "the confusion matrix counts no picture: evaluate the model first");
  }
  std::uint64_t with_support = 0;
  for (std::size_t c = 0; c < classes; ++c) {
    const std::uint64_t hits = matrix.At(c, c);
    ClassScores scores;
    scores.support = matrix.RowSum(c);
    const std::uint64_t strangers = report.pictures - scores.support;
    const std::uint64_t false_alarms = taken_for[c] - hits;
    scores.precision = Quotient(hits, taken_for[c]);
    scores.sensitivity = Quotient(hits, scores.support);
    scores.specificity = Quotient(strangers - false_alarms, strangers);
    scores.f1 = Quotient(2 * hits, scores.support + taken_for[c]);
    report.classes.push_back(scores);
    with_support += scores.support > 0 ? 1 : 0;
  }
  for (const ClassScores& scores : report.classes) {
    if (scores.support == 0) continue;
    AddWeighed(report.macro, scores, 1.0 / static_cast<double>(with_support));
    AddWeighed(report.weighted, scores, Quotient(scores.support, report.pictures));
  }
  report.accuracy = Quotient(right, report.pictures);
  return report;
}

ConfusionMatrix CountPredictions(std::span<const std::uint32_t> truth, std::span<const std::uint32_t> predicted,
                                 std::size_t classes) {
  if (truth.size() != predicted.size()) {
    throw Error(ErrorCode::kInvalidInput, "there are " + std::to_string(predicted.size()) + " predictions for " +
                                              std::to_string(truth.size()) + " pictures");
  }
  ConfusionMatrix matrix(classes);
  for (std::size_t i = 0; i < truth.size(); ++i) matrix.Add(truth[i], predicted[i]);
  return matrix;
}

}  // namespace hemafed::learning
