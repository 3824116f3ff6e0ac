// codec/evaluation.h
// SPDX-License-Identifier: Apache-2.0
//
// How well a model does, in integers: what a site reports about its test pictures, and what everybody derives from it.
//
// A site counts truth x prediction (ConfusionMatrix). What leaves the lab (EvaluationReport) shows a class's row only
// if it has at least n_min pictures (plan, design 11.5). Smaller classes of one task are pooled into one row; if the
// pool is below n_min too it is withheld, and nothing but "fewer than n_min" is said. Accuracy counts what is reported.
// Which classes may be pooled together is the plan's: those of one column of the accuracy matrix (Plan::PoolsOf).
//
// Errors: kInvalidInput, naming the field, for a malformed report; kConflict for a metric of an empty matrix.
// Thread-safety: value types.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "codec/plan.h"
#include "common/json_fields.h"
#include "common/sha256.h"

namespace hemafed {

// The file of score histograms that goes with a report (codec/score_histograms.h).
struct ScoresFile {
  Digest values;  // SHA-256 of the canonical form.
  Digest file;    // SHA-256 of the compressed file.
  std::uint64_t file_bytes = 0;

  // {"file":digest,"file_bytes":count,"values":digest}
  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static ScoresFile FromJson(JsonFields fields);
  bool operator==(const ScoresFile&) const = default;
};

// Rows: true class; columns: predicted class.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(std::size_t classes);

  // Classes beyond the matrix are an Error(kInternal).
  void Add(std::size_t truth, std::size_t predicted, std::uint64_t pictures = 1);
  [[nodiscard]] std::size_t classes() const { return classes_; }
  [[nodiscard]] std::uint64_t At(std::size_t truth, std::size_t predicted) const;
  // Pictures of one true class.
  [[nodiscard]] std::uint64_t RowSum(std::size_t truth) const;

 private:
  std::size_t classes_;
  std::vector<std::uint64_t> counts_;  // classes x classes, row-major.
};

class EvaluationReport {
 public:
  using Row = std::vector<std::uint64_t>;  // Pictures by predicted class.
  struct Pool {
    Row predicted;            // Pictures of all pooled classes by predicted class.
    std::uint64_t right = 0;  // Those among them whose own class was predicted.
    bool operator==(const Pool&) const = default;
  };

  // What may be said about the matrix; `min_pictures` is the plan's n_min. `pools`: disjoint sets of classes; classes
  // in none of them are not reported.
  [[nodiscard]] static EvaluationReport Of(const ConfusionMatrix& matrix, std::uint64_t min_pictures,
                                           const std::vector<ClassSet>& pools);

  [[nodiscard]] std::size_t class_count() const { return rows_.size(); }
  // By true class; nothing for a class that is pooled, withheld or in no pool.
  [[nodiscard]] const std::vector<std::optional<Row>>& rows() const { return rows_; }
  [[nodiscard]] const std::vector<std::optional<Pool>>& pools() const { return pools_; }
  // Classes of each pool.
  [[nodiscard]] const std::vector<ClassSet>& pool_classes() const { return classes_; }

  // Classes with a row of their own whose pool shows at least `min_pictures` (and one) pictures of others: those whose
  // score histograms may be shown. Ascending.
  [[nodiscard]] ClassSet ScoredClasses(std::uint64_t min_pictures) const;
  // Their file; none where there is no such class.
  [[nodiscard]] const std::optional<ScoresFile>& scores() const { return scores_; }
  void set_scores(const std::optional<ScoresFile>& scores) { scores_ = scores; }

  // Pictures of one pool's classes that are reported, and those of them predicted right.
  [[nodiscard]] std::uint64_t Total(std::size_t pool) const;
  [[nodiscard]] std::uint64_t Right(std::size_t pool) const;
  // round_half_even(10^6 right / total); 0 if nothing is reported.
  [[nodiscard]] std::uint64_t AccuracyMillionths(std::size_t pool) const;
  // Whether every row and every pool have at least `min_pictures` pictures: what may leave a lab.
  [[nodiscard]] bool Withholds(std::uint64_t min_pictures) const;

  // {"matrix":[[counts] or null, ...],"pools":[null or {"predicted":[counts],"right":count}, ...],
  //  "scores":null or {"file":digest,"file_bytes":count,"values":digest}}
  [[nodiscard]] nlohmann::json ToJson() const;
  // `classes`: of the plan; `pools` as above. Bounds: kMaxPictures pictures in all (codec/plan.h).
  [[nodiscard]] static EvaluationReport FromJson(const nlohmann::json& object, std::size_t classes,
                                                 const std::vector<ClassSet>& pools);
  bool operator==(const EvaluationReport&) const = default;

 private:
  std::vector<ClassSet> classes_;  // Of each pool.
  std::vector<std::optional<Row>> rows_;
  std::vector<std::optional<Pool>> pools_;
  std::optional<ScoresFile> scores_;
};

// a[t][j]: accuracy in millionths of the model after task t on the test pictures of task j, not yet learned ones too;
// columns beyond the tasks are hospitals that never train. Row t and column t belong together. Tasks count from 1 in
// the formulas; T is the number of rows. Each figure is an exact sum of the millionths above it, divided once and
// rounded half to even, so that anybody gets the same last digit from the published numbers.
//
// A cell is empty where a hospital was away or had not joined yet. Every mean is over the terms whose cells are there;
// without any there is no figure.
class AccuracyMatrix {
 public:
  using Cell = std::optional<std::uint64_t>;
  using Figure = std::optional<std::int64_t>;

  // One accuracy for each column; all rows have the same length.
  void AddRow(const std::vector<Cell>& millionths);

  [[nodiscard]] std::size_t rows() const { return rows_.size(); }
  [[nodiscard]] std::size_t columns() const { return rows_.empty() ? 0 : rows_.front().size(); }
  [[nodiscard]] const Cell& Millionths(std::size_t task, std::size_t column) const { return rows_.at(task).at(column); }

  // A_T = (1/T) sum_{j<=T} a[T][j].  (De Lange et al., TPAMI 2022, call it ACC.)
  [[nodiscard]] Figure AverageAccuracyMillionths() const;
  // (1/T) sum_t A_t with A_t = (1/t) sum_{j<=t} a[t][j], each A_t rounded first: the UACL paper's "Acc" as far as its
  // table can be reconstructed.
  [[nodiscard]] Figure MeanOverStepsMillionths() const;
  // (1/(T-1)) sum_{j<T} (a[j][j] - a[T][j]); 0 after the first task.  (De Lange et al., eq. of forgetting.)
  [[nodiscard]] Figure DeLangeForgettingMillionths() const;
  // (1/(T-1)) sum_{t=2..T} (a[t-1][1] - a[t][1]): the first task's drop per step, which the UACL table seems to show; 0
  // after the first task.
  [[nodiscard]] Figure FirstTaskDropMillionths() const;
  // (1/(T-1)) sum_{j<T} (a[T][j] - a[j][j]), what later tasks did to earlier ones; 0 after the first task.  (Lopez-Paz
  // and Ranzato, NeurIPS 2017, BWT.)  It is minus De Lange's forgetting, to the last digit.
  //
  // Their forward transfer, FWT = (1/(T-1)) sum_{j>1} (a[j-1][j] - b[j]), is not here: b[j] is the accuracy of a model
  // that has not learned anything, which no site of a federation scores. UnseenMillionths says how good a model is
  // where it has not trained, without such a baseline.
  [[nodiscard]] Figure BackwardTransferMillionths() const;
  // (1/(T-1)) sum_{j<T} (max_{l<T} a[l][j] - a[T][j]); 0 after the first task.  (Chaudhry et al., ECCV 2018, eq. 3.)
  [[nodiscard]] Figure ChaudhryForgettingMillionths() const;
  // (1/T) sum_j a[j][j]: how well each task was learned when it was new.  (Riemer et al., ICLR 2019.)
  [[nodiscard]] Figure LearningAccuracyMillionths() const;

  // Of one task, counting from 0: A_t; what the tasks before lost since each was new, (1/(t-1)) sum_{j<t} (a[j][j] -
  // a[t][j]), 0 for the first; the mean over the columns beyond t.
  [[nodiscard]] Figure AverageAfterMillionths(std::size_t task) const;
  [[nodiscard]] Figure ForgettingAfterMillionths(std::size_t task) const;
  [[nodiscard]] Figure UnseenMillionths(std::size_t task) const;

 private:
  // Rows so far; throws kConflict if there are none.
  [[nodiscard]] std::size_t Tasks() const;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace hemafed
