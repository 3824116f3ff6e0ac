// SPDX-License-Identifier: Apache-2.0
#include "codec/evaluation.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "codec/exact.h"
#include "codec/plan.h"
#include "common/error.h"
#include "common/json_fields.h"

namespace hemafed {

using nlohmann::json;

namespace {

constexpr std::int64_t kMillion = 1'000'000;

std::uint64_t Sum(const EvaluationReport::Row& row) {
  return std::accumulate(row.begin(), row.end(), std::uint64_t{0});
}

std::int64_t MeanOf(std::int64_t sum, std::size_t count) {
  return static_cast<std::int64_t>(DivideHalfEven(sum, static_cast<std::int64_t>(count)));
}

EvaluationReport::Row ReadRow(const json& list, std::size_t classes, JsonFields& fields, const std::string& key) {
  if (!list.is_array() || list.size() != classes) fields.Fail(key, "has a row that is not one count for each class");
  EvaluationReport::Row row;
  for (const json& count : list) {
    if (!count.is_number_unsigned() || count.get<std::uint64_t>() > kMaxPictures) {
      fields.Fail(key, "holds something that is not a count of at most " + std::to_string(kMaxPictures));
    }
    row.push_back(count.get<std::uint64_t>());
  }
  return row;
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(std::size_t classes) : classes_(classes), counts_(classes * classes) {}

void ConfusionMatrix::Add(std::size_t truth, std::size_t predicted, std::uint64_t pictures) {
  if (truth >= classes_ || predicted >= classes_) {
    throw Error(ErrorCode::kInternal, "confusion matrix: class " + std::to_string(std::max(truth, predicted)) + " of " +
                                          std::to_string(classes_) + " counted");
  }
  counts_[truth * classes_ + predicted] += pictures;
}

std::uint64_t ConfusionMatrix::At(std::size_t truth, std::size_t predicted) const {
  return counts_.at(truth * classes_ + predicted);
}

std::uint64_t ConfusionMatrix::RowSum(std::size_t truth) const {
  std::uint64_t sum = 0;
  for (std::size_t predicted = 0; predicted < classes_; ++predicted) sum += At(truth, predicted);
  return sum;
}

EvaluationReport EvaluationReport::Of(const ConfusionMatrix& matrix, std::uint64_t min_pictures) {
  const std::size_t classes = matrix.classes();
  EvaluationReport report;
  Pool pool{Row(classes), 0};
  for (std::size_t truth = 0; truth < classes; ++truth) {
    if (matrix.RowSum(truth) >= std::max<std::uint64_t>(min_pictures, 1)) {
      Row row(classes);
      for (std::size_t predicted = 0; predicted < classes; ++predicted) row[predicted] = matrix.At(truth, predicted);
      report.rows_.emplace_back(std::move(row));
      continue;
    }
    report.rows_.emplace_back();
    for (std::size_t predicted = 0; predicted < classes; ++predicted) {
      pool.predicted[predicted] += matrix.At(truth, predicted);
    }
    pool.right += matrix.At(truth, truth);
  }
  const std::uint64_t pooled = Sum(pool.predicted);
  if (pooled > 0 && pooled >= min_pictures) report.pool_ = std::move(pool);
  return report;
}

std::uint64_t EvaluationReport::Total() const {
  std::uint64_t total = pool_ ? Sum(pool_->predicted) : 0;
  for (const auto& row : rows_) total += row ? Sum(*row) : 0;
  return total;
}

std::uint64_t EvaluationReport::Right() const {
  std::uint64_t right = pool_ ? pool_->right : 0;
  for (std::size_t truth = 0; truth < rows_.size(); ++truth) right += rows_[truth] ? (*rows_[truth])[truth] : 0;
  return right;
}

std::uint64_t EvaluationReport::AccuracyMillionths() const {
  const std::uint64_t total = Total();
  if (total == 0) return 0;
  return static_cast<std::uint64_t>(DivideHalfEven(static_cast<Int128>(Right()) * kMillion, total));
}

bool EvaluationReport::Withholds(std::uint64_t min_pictures) const {
  const auto enough = [&](const std::optional<Row>& row) { return !row || Sum(*row) >= min_pictures; };
  return std::all_of(rows_.begin(), rows_.end(), enough) && (!pool_ || Sum(pool_->predicted) >= min_pictures);
}

json EvaluationReport::ToJson() const {
  json matrix = json::array();
  for (const auto& row : rows_) matrix.push_back(row ? json(*row) : json(nullptr));
  const json pool = pool_ ? json{{"predicted", pool_->predicted}, {"right", pool_->right}} : json(nullptr);
  return {{"matrix", matrix}, {"pool", pool}};
}

EvaluationReport EvaluationReport::FromJson(const json& object) {
  JsonFields fields(object, "evaluation");
  EvaluationReport report;
  const json& matrix = fields.Raw("matrix");
  if (!matrix.is_array() || matrix.empty() || matrix.size() > kMaxClasses) {
    fields.Fail("matrix", "is not a list of 1 to " + std::to_string(kMaxClasses) + " rows");
  }
  std::uint64_t pooled_columns = 0;  // Predictions of pooled classes: the most that the pool can have right.
  std::size_t pooled_classes = 0;
  for (const json& row : matrix) {
    if (row.is_null()) {
      report.rows_.emplace_back();
      ++pooled_classes;
    } else {
      report.rows_.emplace_back(ReadRow(row, matrix.size(), fields, "matrix"));
    }
  }
  if (!fields.Raw("pool").is_null()) {
    JsonFields pool = fields.Object("pool");
    report.pool_ =
        Pool{ReadRow(pool.Raw("predicted"), matrix.size(), pool, "predicted"), pool.Unsigned("right", kMaxPictures)};
    pool.RequireAllRead();
    for (std::size_t i = 0; i < report.rows_.size(); ++i) {
      pooled_columns += report.rows_[i] ? 0 : report.pool_->predicted[i];
    }
    if (report.pool_->right > pooled_columns) pool.Fail("right", "is more than its classes were predicted");
    // One small class alone is withheld: a pool of it would show it.
    if (pooled_classes < 2) fields.Fail("pool", "stands for fewer than two classes");
  }
  fields.RequireAllRead();
  if (report.Total() > kMaxPictures) {
    fields.Fail("matrix", "counts more than " + std::to_string(kMaxPictures) + " pictures");
  }
  return report;
}

void AccuracyMatrix::AddRow(const std::vector<EvaluationReport>& hospitals) {
  std::vector<std::uint64_t> row;
  row.reserve(hospitals.size());
  for (const EvaluationReport& report : hospitals) row.push_back(report.AccuracyMillionths());
  AddRow(row);
}

void AccuracyMatrix::AddRow(const std::vector<std::uint64_t>& millionths) {
  const bool same_length = rows_.empty() || rows_.front().size() == millionths.size();
  const bool in_range = std::all_of(millionths.begin(), millionths.end(), [](auto a) { return a <= kMillion; });
  if (!same_length || !in_range || rows_.size() >= millionths.size()) {
    throw Error(ErrorCode::kInvalidInput,
                "accuracy matrix: a row must give 0 to 1,000,000 millionths for each hospital, and each has one task");
  }
  rows_.push_back(millionths);
}

std::size_t AccuracyMatrix::Tasks() const {
  if (rows_.empty()) throw Error(ErrorCode::kConflict, "no task has been evaluated yet: there is nothing to average");
  return rows_.size();
}

std::int64_t AccuracyMatrix::AverageAfter(std::size_t task) const {
  std::int64_t sum = 0;
  for (std::size_t j = 0; j <= task; ++j) sum += static_cast<std::int64_t>(rows_[task][j]);
  return MeanOf(sum, task + 1);
}

std::int64_t AccuracyMatrix::AverageAccuracyMillionths() const { return AverageAfter(Tasks() - 1); }

std::int64_t AccuracyMatrix::MeanOverStepsMillionths() const {
  std::int64_t sum = 0;
  for (std::size_t t = 0; t < Tasks(); ++t) sum += AverageAfter(t);
  return MeanOf(sum, Tasks());
}

std::int64_t AccuracyMatrix::DeLangeForgettingMillionths() const {
  const std::size_t last = Tasks() - 1;
  std::int64_t sum = 0;
  for (std::size_t j = 0; j < last; ++j) {
    sum += static_cast<std::int64_t>(rows_[j][j]) - static_cast<std::int64_t>(rows_[last][j]);
  }
  return last == 0 ? 0 : MeanOf(sum, last);
}

std::int64_t AccuracyMatrix::FirstTaskDropMillionths() const {
  const std::size_t last = Tasks() - 1;
  std::int64_t sum = 0;
  for (std::size_t t = 1; t <= last; ++t) {
    sum += static_cast<std::int64_t>(rows_[t - 1][0]) - static_cast<std::int64_t>(rows_[t][0]);
  }
  return last == 0 ? 0 : MeanOf(sum, last);
}

}  // namespace hemafed
