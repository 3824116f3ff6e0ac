// SPDX-License-Identifier: Apache-2.0
#include "studies/uacl/run_result.h"

#include <nlohmann/json.hpp>

#include "codec/plan.h"
#include "common/error.h"
#include "common/json_fields.h"

namespace hemafed::studies {

namespace {

using nlohmann::json;

constexpr std::uint64_t kFormat = 1;
constexpr std::uint64_t kMaxCount = (std::uint64_t{1} << 53) - 1;

[[noreturn]] void Fail(const std::string& where, const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, where + ": " + problem + "; remove the run's folder and run it again");
}

void CheckLabels(const std::vector<std::int64_t>& labels, const std::string& where) {
  for (const std::int64_t label : labels) {
    if (label < 0 || label >= static_cast<std::int64_t>(kMaxClasses)) Fail(where, "a class index is out of range");
  }
}

// Answers for the same pictures as the columns, and class indices that are some.
void CheckShapes(const RunResult& result, const std::string& where) {
  for (const auto& column : result.columns) CheckLabels(column, where);
  CheckLabels(result.score_classes, where);
  for (const auto& row : result.answers) {
    if (row.size() != result.columns.size()) Fail(where, "a task has answers for another number of test sets");
    for (std::size_t j = 0; j < row.size(); ++j) {
      if (row[j].size() != result.columns[j].size()) Fail(where, "a test set has another number of answers");
      CheckLabels(row[j], where);
    }
  }
  if (result.scores_millionths.size() != result.columns.size()) Fail(where, "scores are not of all test sets");
  for (std::size_t j = 0; j < result.columns.size(); ++j) {
    if (result.scores_millionths[j].size() != result.columns[j].size() * result.score_classes.size()) {
      Fail(where, "a test set has another number of scores");
    }
  }
}

}  // namespace

std::string RunResult::ToText() const {
  const json object = {{"format", kFormat},
                       {"made_from", made_from.Hex()},
                       {"model", model.Hex()},
                       {"train_pictures", train_pictures},
                       {"seconds_thousandths", seconds_thousandths},
                       {"columns", columns},
                       {"answers", answers},
                       {"score_classes", score_classes},
                       {"scores_millionths", scores_millionths},
                       {"exemplars", learning::ExemplarStoreToJson(exemplars)}};
  return object.dump();
}

RunResult RunResult::FromText(std::string_view text, const std::string& where) {
  const json object = ParseJsonObject(text, where);
  JsonFields fields(object, where);
  if (fields.Unsigned("format", UINT32_MAX) != kFormat) Fail(where, "was written by another version");
  RunResult result;
  result.made_from = fields.Sha256Digest("made_from");
  result.model = fields.Sha256Digest("model");
  result.train_pictures = fields.Unsigned("train_pictures", kMaxCount);
  result.seconds_thousandths = fields.Unsigned("seconds_thousandths", kMaxCount);
  try {
    fields.Raw("columns").get_to(result.columns);
    fields.Raw("answers").get_to(result.answers);
    fields.Raw("score_classes").get_to(result.score_classes);
    fields.Raw("scores_millionths").get_to(result.scores_millionths);
  } catch (const json::exception& error) {
    Fail(where, std::string("has a list of another form: ") + error.what());
  }
  result.exemplars = learning::ExemplarStoreFromJson(fields.Text("exemplars", learning::kMaxExemplarStoreBytes));
  fields.RequireAllRead();
  CheckShapes(result, where);
  return result;
}

double RunResult::Accuracy(std::size_t task, std::size_t column) const {
  const auto& truth = columns.at(column);
  const auto& predicted = answers.at(task).at(column);
  std::size_t right = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) right += truth[i] == predicted[i] ? 1 : 0;
  return truth.empty() ? 0.0 : static_cast<double>(right) / static_cast<double>(truth.size());
}

}  // namespace hemafed::studies
