// SPDX-License-Identifier: Apache-2.0
#include "studies/uacl/comparison_outputs.h"

#include <sstream>
#include <utility>

#include "common/csv_row.h"
#include "studies/uacl/study_tables.h"

namespace hemafed::studies {

using learning::OverRuns;
using nlohmann::json;

namespace {

json Described(const OverRuns& over) { return {{"mean", over.mean}, {"sd", over.deviation}, {"seeds", over.runs}}; }

json SummaryOfMethod(const Comparison& results, const MethodResults& method) {
  const auto figures = FiguresOf(method, results.classes.size());
  json object = {{"average_accuracy", Described(Over(figures, &RunFigures::average_accuracy))},
                 {"de_lange_forgetting", Described(Over(figures, &RunFigures::de_lange))},
                 {"clsurvey_forgetting", Described(Over(figures, &RunFigures::cl_survey))},
                 {"chaudhry_forgetting", Described(Over(figures, &RunFigures::chaudhry))},
                 {"backward_transfer", Described(Over(figures, &RunFigures::backward_transfer))},
                 {"learning_accuracy", Described(Over(figures, &RunFigures::learning_accuracy))},
                 {"first_task_accuracy", Described(Over(figures, &RunFigures::first_task))},
                 {"macro_f1", Described(Over(figures, &RunFigures::macro_f1))}};
  json runs = json::array();
  for (std::size_t i = 0; i < method.results.size(); ++i) {
    const RunResult& result = method.results[i];
    json matrix = json::array();
    for (std::size_t t = 0; t < result.answers.size(); ++t) {
      json row = json::array();
      for (std::size_t j = 0; j < result.columns.size(); ++j) {
        row.push_back(result.columns[j].empty() ? json() : json(result.Accuracy(t, j)));
      }
      matrix.push_back(std::move(row));
    }
    const RunFigures& run = figures[i];
    runs.push_back({{"seed", method.seeds[i]},
                    {"matrix", std::move(matrix)},
                    {"mean_over_steps", {{"mean", run.mean_over_steps.mean}, {"sd", run.mean_over_steps.deviation}}},
                    {"first_task_drop", {{"mean", run.first_task_drop.mean}, {"sd", run.first_task_drop.deviation}}},
                    {"roc_auc_macro", run.roc_auc ? json(*run.roc_auc) : json()},
                    {"calibration_error", run.calibration ? json(*run.calibration) : json()},
                    {"model", result.model.Hex()},
                    {"train_pictures", result.train_pictures},
                    {"seconds", static_cast<double>(result.seconds_thousandths) / 1000}});
  }
  object["runs"] = std::move(runs);
  return object;
}

}  // namespace

std::vector<NamedFigure> SharedFigures(const Comparison& results) {
  std::vector<NamedFigure> figures;
  if (results.tasks < 2) return figures;
  const std::string prefix = results.name + "-";
  figures.push_back(
      {prefix + "average", {DrawLineChart(AverageChart(results)), "Average accuracy on the tasks learned so far."}});
  figures.push_back(
      {prefix + "first-task", {DrawLineChart(FirstTaskChart(results)), "What becomes of the first task."}});
  figures.push_back({prefix + "forgetting",
                     {DrawBarChart(ForgettingChart(results)), "Two conventions of forgetting; less is better."}});
  return figures;
}

NamedFigure ConfusionFigure(const Comparison& results, const MethodResults& method, const std::string& name) {
  return {results.name + "-confusion-" + name,
          {DrawConfusionChart(ConfusionOf(results, method)), "Rows are true classes; all seeds together."}};
}

json SummaryOf(const Comparison& results) {
  json columns = json::array();
  for (const TestSet& set : results.test_sets) columns.push_back(set.title);
  json methods = json::object();
  for (const MethodResults& method : results.methods) methods[method.name] = SummaryOfMethod(results, method);
  json differences = json::array();
  for (std::size_t i = 0; i < results.methods.size(); ++i) {
    for (std::size_t k = i + 1; k < results.methods.size(); ++k) {
      const auto interval = Difference(results.methods[i], results.methods[k], results);
      differences.push_back({{"ours", results.methods[i].name},
                             {"theirs", results.methods[k].name},
                             {"difference", interval.estimate},
                             {"low", interval.low},
                             {"high", interval.high}});
    }
  }
  return {{"columns", columns}, {"methods", methods}, {"average_accuracy_differences", differences}};
}

std::string MatrixCsv(const std::vector<const Comparison*>& comparisons) {
  std::string csv = "experiment,method,seed,task,test_set,right,pictures\n";
  for (const Comparison* comparison : comparisons) {
    const Comparison& results = *comparison;
    const std::vector<TestSet>& columns = results.test_sets;
    for (const MethodResults& method : results.methods) {
      for (std::size_t i = 0; i < method.results.size(); ++i) {
        const RunResult& result = method.results[i];
        for (std::size_t t = 0; t < result.answers.size(); ++t) {
          for (std::size_t j = 0; j < columns.size(); ++j) {
            if (result.columns[j].empty()) continue;
            std::size_t right = 0;
            for (std::size_t k = 0; k < result.columns[j].size(); ++k) {
              right += result.columns[j][k] == result.answers[t][j][k] ? 1 : 0;
            }
            csv += FormatCsvRow({results.name, method.name, std::to_string(method.seeds[i]), columns[t].title,
                                 columns[j].title, std::to_string(right), std::to_string(result.columns[j].size())});
          }
        }
      }
    }
  }
  return csv;
}

std::string PredictionsCsv(const std::vector<const Comparison*>& comparisons) {
  static const std::vector<std::string> kNone;  // Where no run came to its end.
  const std::vector<std::string>& classes = comparisons.empty() ? kNone : comparisons.front()->classes;
  std::vector<std::string> header{"experiment", "method", "seed", "test_set", "file", "truth", "prediction"};
  for (const std::string& name : classes) header.push_back("score_" + name);
  std::string csv = FormatCsvRow(header);
  for (const Comparison* comparison : comparisons) {
    const Comparison& results = *comparison;
    const std::vector<TestSet>& columns = results.test_sets;
    for (const MethodResults& method : results.methods) {
      for (std::size_t i = 0; i < method.results.size(); ++i) {
        const RunResult& result = method.results[i];
        for (std::size_t j = 0; j < columns.size(); ++j) {
          for (std::size_t k = 0; k < result.columns[j].size(); ++k) {
            std::vector<std::string> fields{results.name,
                                            method.name,
                                            std::to_string(method.seeds[i]),
                                            columns[j].title,
                                            columns[j].files.at(k),
                                            classes.at(static_cast<std::size_t>(result.columns[j][k])),
                                            classes.at(static_cast<std::size_t>(result.answers.back()[j][k]))};
            fields.resize(header.size());  // A class that was never learned has no score.
            const std::size_t scores = result.score_classes.size();
            for (std::size_t c = 0; c < scores; ++c) {
              std::ostringstream score;
              score << static_cast<double>(result.scores_millionths[j][k * scores + c]) / 1e6;
              fields[7 + static_cast<std::size_t>(result.score_classes[c])] = score.str();
            }
            csv += FormatCsvRow(fields);
          }
        }
      }
    }
  }
  return csv;
}

void CollectSettings(const json& value, const std::string& place,
                     std::vector<std::pair<std::string, std::string>>& settings) {
  if (value.is_object() && !value.empty()) {
    for (const auto& [key, item] : value.items()) {
      std::string below = place;
      if (!below.empty()) below += '.';
      below += key;
      CollectSettings(item, below, settings);
    }
  } else {
    settings.emplace_back(place, value.is_string() ? value.get<std::string>() : value.dump());
  }
}

}  // namespace hemafed::studies
