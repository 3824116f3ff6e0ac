// protocol/report/report_figures.h
// SPDX-License-Identifier: Apache-2.0
//
// The figures that the report's tables, charts and JSON show, so that each is computed in one place.
//
// Thread-safety: value types and free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "codec/class_metrics.h"
#include "protocol/report/federation_history.h"

namespace hemafed {

// One column of the accuracy matrix after one task: test pictures of one hospital.
struct ColumnFigures {
  Column column;
  bool scored = false;  // Whether the hospital has scored this task's model; nothing below has a value otherwise.
  ColumnMetrics metrics;
  // Whether pictures of several classes are shown; else nothing can be mistaken for a class, and specificity is 0 / 0.
  bool has_strangers = false;
  std::vector<std::optional<std::uint64_t>> auc;  // By class of the plan, in millionths.
  std::optional<std::uint64_t> macro_auc;         // Mean over the classes that have one, rounded half to even.
};

// Classes whose test pictures a column has.
[[nodiscard]] ClassSet ClassesOf(const Plan& plan, const Column& column);

// In the order of Plan::Columns(); nothing for a task that is not closed.
[[nodiscard]] std::vector<ColumnFigures> FiguresOf(const Plan& plan, const TaskRecord& task);

// Millionths as the share that charts and sentences show.
template <typename Number>
[[nodiscard]] std::optional<double> ShareOf(const std::optional<Number>& millionths) {
  return millionths ? std::optional(static_cast<double>(*millionths) / 1e6) : std::nullopt;
}

// A class against the others of its column: sensitivities at kRocPoints equally spaced places of 1 - specificity.
inline constexpr std::size_t kRocPoints = 101;
[[nodiscard]] constexpr double RocPlace(std::size_t point) {
  return static_cast<double>(point) / static_cast<double>(kRocPoints - 1);
}
struct RocCurve {
  std::uint32_t label = 0;
  std::vector<std::uint64_t> positives;  // In millionths (ClassHistogram::RocMillionths).
};
// Of the classes that may show their scores.
[[nodiscard]] std::vector<RocCurve> RocCurvesOf(const Plan& plan, const TaskRecord& task, const Column& column);

// Figures of the whole matrix: name, what it means in a few words, value in millionths where it exists.
struct MatrixFigure {
  std::string name;
  std::string words;
  AccuracyMatrix::Figure millionths;
};
[[nodiscard]] std::vector<MatrixFigure> FiguresOf(const AccuracyMatrix& matrix);

// What a comparison under [drift] says, in one sentence: "unlike the consortium: ...".
[[nodiscard]] std::string DriftWords(const DriftRecord& record);

// Exemplars of one site that one round went without.
struct MissedRehearsal {
  std::uint32_t task = 0, round = 0;
  std::string site;
  std::uint64_t exemplars = 0;
  std::string why;
};
// Absences, from the round on that they begin in, and refused updates of rehearsing sites.
[[nodiscard]] std::vector<MissedRehearsal> MissedRehearsals(const Plan& plan, const FederationHistory& history);

// What one site sent, as far as the log knows: files of all kinds.
struct SiteTraffic {
  std::string site;
  std::uint64_t updates = 0, update_bytes = 0;
  std::uint64_t sums = 0, sums_bytes = 0;
  std::uint64_t evaluations = 0, score_bytes = 0;
  std::uint64_t others = 0, other_bytes = 0;  // Fisher information, class means, latent moments, bundles.
};
[[nodiscard]] std::vector<SiteTraffic> TrafficOf(const Plan& plan, const FederationHistory& history);

}  // namespace hemafed
