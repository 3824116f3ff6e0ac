// SPDX-License-Identifier: Apache-2.0
#include "codec/evaluation.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <string>

#include "codec/exact.h"
#include "common/error.h"
#include "common/json_fields.h"

namespace hemafed {

using nlohmann::json;

namespace {

constexpr std::int64_t kMillion = 1'000'000;

// Histograms of kMaxClasses classes take less even if they do not compress; the exact bound is the file's
// (MaxScoreHistogramsFileBytes).
constexpr std::uint64_t kMaxScoresFileBytes = 1u << 20;

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

std::optional<EvaluationReport::Pool> ReadPool(const json& object,
                                               const std::vector<std::optional<EvaluationReport::Row>>& rows,
                                               const ClassSet& members) {
  if (object.is_null()) return std::nullopt;
  JsonFields fields(object, "evaluation: pool");
  EvaluationReport::Pool pool{ReadRow(fields.Raw("predicted"), rows.size(), fields, "predicted"),
                              fields.Unsigned("right", kMaxPictures)};
  fields.RequireAllRead();
  std::uint64_t most_right = 0;  // Predictions of pooled classes.
  std::size_t pooled = 0;
  for (const std::uint32_t label : members) {
    if (rows[label]) continue;
    ++pooled;
    most_right += pool.predicted[label];
  }
  if (pool.right > most_right) fields.Fail("right", "is more than its classes were predicted");
  // One small class alone is withheld: a pool of it would show it.
  if (pooled < 2) fields.Fail("predicted", "stands for fewer than two classes");
  return pool;
}

}  // namespace

json ScoresFile::ToJson() const { return {{"values", values.Hex()}, {"file", file.Hex()}, {"file_bytes", file_bytes}}; }

ScoresFile ScoresFile::FromJson(JsonFields fields) {
  const ScoresFile scores{.values = fields.Sha256Digest("values"),
                          .file = fields.Sha256Digest("file"),
                          .file_bytes = fields.Unsigned("file_bytes", kMaxScoresFileBytes)};
  fields.RequireAllRead();
  return scores;
}

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

EvaluationReport EvaluationReport::Of(const ConfusionMatrix& matrix, std::uint64_t min_pictures,
                                      const std::vector<ClassSet>& pools) {
  const std::size_t classes = matrix.classes();
  EvaluationReport report;
  report.classes_ = pools;
  report.rows_.resize(classes);
  for (const ClassSet& members : pools) {
    Pool pool{Row(classes), 0};
    for (const std::uint32_t truth : members) {
      if (matrix.RowSum(truth) >= std::max<std::uint64_t>(min_pictures, 1)) {
        Row row(classes);
        for (std::size_t predicted = 0; predicted < classes; ++predicted) row[predicted] = matrix.At(truth, predicted);
        report.rows_[truth] = std::move(row);
        continue;
      }
      for (std::size_t predicted = 0; predicted < classes; ++predicted) {
        pool.predicted[predicted] += matrix.At(truth, predicted);
      }
      pool.right += matrix.At(truth, truth);
    }
    const std::uint64_t pooled = Sum(pool.predicted);
    report.pools_.push_back(pooled > 0 && pooled >= min_pictures ? std::optional(std::move(pool)) : std::nullopt);
  }
  return report;
}

std::uint64_t EvaluationReport::Total(std::size_t pool) const {
  std::uint64_t total = pools_.at(pool) ? Sum(pools_[pool]->predicted) : 0;
  for (const std::uint32_t truth : classes_[pool]) total += rows_[truth] ? Sum(*rows_[truth]) : 0;
  return total;
}

std::uint64_t EvaluationReport::Right(std::size_t pool) const {
  std::uint64_t right = pools_.at(pool) ? pools_[pool]->right : 0;
  for (const std::uint32_t truth : classes_[pool]) right += rows_[truth] ? (*rows_[truth])[truth] : 0;
  return right;
}

std::uint64_t EvaluationReport::AccuracyMillionths(std::size_t pool) const {
  const std::uint64_t total = Total(pool);
  if (total == 0) return 0;
  return static_cast<std::uint64_t>(DivideHalfEven(static_cast<Int128>(Right(pool)) * kMillion, total));
}

bool EvaluationReport::Withholds(std::uint64_t min_pictures) const {
  const auto row_enough = [&](const std::optional<Row>& row) { return !row || Sum(*row) >= min_pictures; };
  const auto pool_enough = [&](const std::optional<Pool>& pool) {
    return !pool || Sum(pool->predicted) >= min_pictures;
  };
  return std::all_of(rows_.begin(), rows_.end(), row_enough) && std::all_of(pools_.begin(), pools_.end(), pool_enough);
}

ClassSet EvaluationReport::ScoredClasses(std::uint64_t min_pictures) const {
  const std::uint64_t least = std::max<std::uint64_t>(min_pictures, 1);
  ClassSet scored;
  for (std::size_t p = 0; p < classes_.size(); ++p) {
    for (const std::uint32_t label : classes_[p]) {
      if (!rows_[label]) continue;
      const std::uint64_t own = Sum(*rows_[label]);
      if (own >= least && Total(p) - own >= least) scored.push_back(label);
    }
  }
  std::sort(scored.begin(), scored.end());
  return scored;
}

json EvaluationReport::ToJson() const {
  json matrix = json::array(), pools = json::array();
  for (const auto& row : rows_) matrix.push_back(row ? json(*row) : json(nullptr));
  for (const auto& pool : pools_) {
    pools.push_back(pool ? json{{"predicted", pool->predicted}, {"right", pool->right}} : json(nullptr));
  }
  return {{"matrix", matrix}, {"pools", pools}, {"scores", scores_ ? scores_->ToJson() : json(nullptr)}};
}

EvaluationReport EvaluationReport::FromJson(const json& object, std::size_t classes,
                                            const std::vector<ClassSet>& pools) {
  JsonFields fields(object, "evaluation");
  EvaluationReport report;
  report.classes_ = pools;
  const json& matrix = fields.Raw("matrix");
  if (!matrix.is_array() || matrix.size() != classes) {
    fields.Fail("matrix", "does not have a row for each of the plan's " + std::to_string(classes) + " classes");
  }
  for (const json& row : matrix) {
    report.rows_.push_back(row.is_null() ? std::nullopt : std::optional(ReadRow(row, classes, fields, "matrix")));
  }
  const json& list = fields.Raw("pools");
  if (!list.is_array() || list.size() != pools.size()) {
    fields.Fail("pools",
                "does not have an element for each of the site's " + std::to_string(pools.size()) + " columns");
  }
  std::set<std::uint32_t> in_pools;
  for (std::size_t p = 0; p < pools.size(); ++p) {
    in_pools.insert(pools[p].begin(), pools[p].end());
    report.pools_.push_back(ReadPool(list[p], report.rows_, pools[p]));
  }
  std::uint64_t total = 0;
  for (std::uint32_t truth = 0; truth < classes; ++truth) {
    if (report.rows_[truth] && !in_pools.contains(truth)) {
      fields.Fail("matrix", "shows class " + std::to_string(truth) + ", which the plan does not test at this site");
    }
  }
  for (std::size_t p = 0; p < pools.size(); ++p) total += report.Total(p);
  if (total > kMaxPictures) fields.Fail("matrix", "counts more than " + std::to_string(kMaxPictures) + " pictures");
  if (!fields.Raw("scores").is_null()) report.scores_ = ScoresFile::FromJson(fields.Object("scores"));
  fields.RequireAllRead();
  return report;
}

namespace {

// Sums what is there.
class PartialMean {
 public:
  void Add(std::optional<std::int64_t> value) {
    if (!value) return;
    sum_ += *value;
    ++count_;
  }
  // before - after, where both are there.
  void AddDrop(const AccuracyMatrix::Cell& before, const AccuracyMatrix::Cell& after) {
    if (before && after) Add(static_cast<std::int64_t>(*before) - static_cast<std::int64_t>(*after));
  }
  [[nodiscard]] AccuracyMatrix::Figure Get() const {
    return count_ == 0 ? AccuracyMatrix::Figure() : MeanOf(sum_, count_);
  }

 private:
  std::int64_t sum_ = 0;
  std::size_t count_ = 0;
};

}  // namespace

void AccuracyMatrix::AddRow(const std::vector<Cell>& millionths) {
  const bool same_length = rows_.empty() || rows_.front().size() == millionths.size();
  const bool in_range =
      std::all_of(millionths.begin(), millionths.end(), [](const Cell& a) { return a.value_or(0) <= kMillion; });
  if (!same_length || !in_range || rows_.size() >= millionths.size()) {
    throw Error(ErrorCode::kInvalidInput,
                "accuracy matrix: a row must give 0 to 1,000,000 millionths for each column, and there are no more "
                "rows than columns");
  }
  rows_.push_back(millionths);
}

std::size_t AccuracyMatrix::Tasks() const {
  if (rows_.empty()) throw Error(ErrorCode::kConflict, "no task has been evaluated yet: there is nothing to average");
  return rows_.size();
}

AccuracyMatrix::Figure AccuracyMatrix::AverageAfterMillionths(std::size_t task) const {
  PartialMean mean;
  for (std::size_t j = 0; j <= task; ++j) {
    if (const Cell& cell = rows_.at(task)[j]) mean.Add(static_cast<std::int64_t>(*cell));
  }
  return mean.Get();
}

AccuracyMatrix::Figure AccuracyMatrix::AverageAccuracyMillionths() const { return AverageAfterMillionths(Tasks() - 1); }

AccuracyMatrix::Figure AccuracyMatrix::MeanOverStepsMillionths() const {
  PartialMean mean;
  for (std::size_t t = 0; t < Tasks(); ++t) mean.Add(AverageAfterMillionths(t));
  return mean.Get();
}

AccuracyMatrix::Figure AccuracyMatrix::ForgettingAfterMillionths(std::size_t task) const {
  if (task == 0) return 0;
  PartialMean mean;
  for (std::size_t j = 0; j < task; ++j) mean.AddDrop(rows_.at(j)[j], rows_.at(task)[j]);
  return mean.Get();
}

AccuracyMatrix::Figure AccuracyMatrix::DeLangeForgettingMillionths() const {
  return ForgettingAfterMillionths(Tasks() - 1);
}

AccuracyMatrix::Figure AccuracyMatrix::BackwardTransferMillionths() const {
  const Figure forgetting = DeLangeForgettingMillionths();
  return forgetting ? Figure(-*forgetting) : Figure();
}

AccuracyMatrix::Figure AccuracyMatrix::ChaudhryForgettingMillionths() const {
  const std::size_t last = Tasks() - 1;
  if (last == 0) return 0;
  PartialMean mean;
  for (std::size_t j = 0; j < last; ++j) {
    Cell best;
    for (std::size_t l = 0; l < last; ++l) best = std::max(best, rows_[l][j]);  // An empty cell is the least.
    mean.AddDrop(best, rows_[last][j]);
  }
  return mean.Get();
}

AccuracyMatrix::Figure AccuracyMatrix::LearningAccuracyMillionths() const {
  PartialMean mean;
  for (std::size_t j = 0; j < Tasks(); ++j) {
    if (const Cell& cell = rows_[j][j]) mean.Add(static_cast<std::int64_t>(*cell));
  }
  return mean.Get();
}

AccuracyMatrix::Figure AccuracyMatrix::UnseenMillionths(std::size_t task) const {
  PartialMean mean;
  for (std::size_t j = task + 1; j < rows_.at(task).size(); ++j) {
    if (const Cell& cell = rows_[task][j]) mean.Add(static_cast<std::int64_t>(*cell));
  }
  return mean.Get();
}

AccuracyMatrix::Figure AccuracyMatrix::FirstTaskDropMillionths() const {
  const std::size_t last = Tasks() - 1;
  if (last == 0) return 0;
  PartialMean mean;
  for (std::size_t t = 1; t <= last; ++t) mean.AddDrop(rows_[t - 1][0], rows_[t][0]);
  return mean.Get();
}

}  // namespace hemafed
