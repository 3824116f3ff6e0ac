// SPDX-License-Identifier: Apache-2.0
#include "studies/uacl/study_outputs.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "learning/data/csv.h"
#include "studies/report/html_report.h"
#include "studies/report/raster.h"
#include "studies/report/svg.h"

namespace hemafed::studies {

namespace {

using learning::OverRuns;
using nlohmann::json;

// Tables that say what came out; those by method follow in the report only.
std::vector<Table> MainTables(const ExperimentResults& results) {
  std::vector<Table> tables{ResultsTable(results)};
  if (results.methods.size() > 1) tables.push_back(DifferencesTable(results));
  if (auto published = PublishedTable(results)) tables.push_back(std::move(*published));
  return tables;
}

struct NamedFigure {
  std::string name;  // of the file
  Figure figure;
};

std::vector<NamedFigure> Figures(const ExperimentResults& results) {
  const std::string prefix = results.description().name + "-";
  std::vector<NamedFigure> figures;
  const auto add = [&](const std::string& name, Drawing drawing, std::string caption) {
    figures.push_back({prefix + name, {std::move(drawing), std::move(caption)}});
  };
  if (results.description().tasks.size() > 1) {
    add("average", DrawLineChart(AverageChart(results)), "Average accuracy on the tasks learned so far.");
    add("first-task", DrawLineChart(FirstTaskChart(results)), "What becomes of the first task.");
    add("forgetting", DrawBarChart(ForgettingChart(results)), "Two conventions of forgetting; less is better.");
  }
  if (results.description().budgets.size() > 1) {
    add("budgets", DrawLineChart(BudgetChart(results)), "What more exemplars buy.");
  }
  for (const MethodResults& method : results.methods) {
    const std::string name = method.budget
                                 ? results.study->methods[method.method].name + "-K" + std::to_string(*method.budget)
                                 : results.study->methods[method.method].name;
    add("confusion-" + name, DrawConfusionChart(ConfusionOf(results, method)),
        "Rows are true classes; all seeds together.");
    const auto galleries = ExemplarGalleries(results, method);
    for (std::size_t i = 0; i < galleries.size(); ++i) {
      add("exemplars-" + name + (galleries.size() > 1 ? "-" + std::to_string(i + 1) : ""), DrawGallery(galleries[i]),
          "Kept pictures: 'mean' ones bring the kept pictures' mean closest to the class mean (herding), 'unsure' ones "
          "are those the model wavers most on.");
    }
  }
  return figures;
}

json Described(const OverRuns& over) { return {{"mean", over.mean}, {"sd", over.deviation}, {"seeds", over.runs}}; }

json SummaryOf(const ExperimentResults& results, const MethodResults& method) {
  const auto figures = FiguresOf(method, results.study->classes.size());
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
      for (std::size_t j = 0; j < result.columns.size(); ++j) row.push_back(result.Accuracy(t, j));
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

json Summary(const std::vector<ExperimentResults>& experiments) {
  json object = json::object();
  for (const ExperimentResults& results : experiments) {
    json columns = json::array();
    for (const TestColumn& column : results.data->Columns(results.experiment)) columns.push_back(column.title);
    json methods = json::object();
    for (const MethodResults& method : results.methods) methods[method.name] = SummaryOf(results, method);
    json differences = json::array();
    for (std::size_t i = 0; i < results.methods.size(); ++i) {
      for (std::size_t k = i + 1; k < results.methods.size(); ++k) {
        const auto interval = Difference(results.methods[i], results.methods[k], *results.data);
        differences.push_back({{"ours", results.methods[i].name},
                               {"theirs", results.methods[k].name},
                               {"difference", interval.estimate},
                               {"low", interval.low},
                               {"high", interval.high}});
      }
    }
    object[results.description().name] = {
        {"columns", columns}, {"methods", methods}, {"average_accuracy_differences", differences}};
  }
  return {{"experiments", object}};
}

std::string MatrixCsv(const std::vector<ExperimentResults>& experiments) {
  std::string csv = "experiment,method,seed,task,test_set,right,pictures\n";
  for (const ExperimentResults& results : experiments) {
    const auto& columns = results.data->Columns(results.experiment);
    for (const MethodResults& method : results.methods) {
      for (std::size_t i = 0; i < method.results.size(); ++i) {
        const RunResult& result = method.results[i];
        for (std::size_t t = 0; t < result.answers.size(); ++t) {
          for (std::size_t j = 0; j < columns.size(); ++j) {
            std::size_t right = 0;
            for (std::size_t k = 0; k < result.columns[j].size(); ++k) {
              right += result.columns[j][k] == result.answers[t][j][k] ? 1 : 0;
            }
            csv += learning::FormatCsvRow({results.description().name, method.name, std::to_string(method.seeds[i]),
                                           columns[t].title, columns[j].title, std::to_string(right),
                                           std::to_string(result.columns[j].size())});
          }
        }
      }
    }
  }
  return csv;
}

std::string PredictionsCsv(const std::vector<ExperimentResults>& experiments) {
  const std::vector<std::string>& classes = experiments.front().study->classes;
  std::vector<std::string> header{"experiment", "method", "seed", "test_set", "file", "truth", "prediction"};
  for (const std::string& name : classes) header.push_back("score_" + name);
  std::string csv = learning::FormatCsvRow(header);
  for (const ExperimentResults& results : experiments) {
    const auto& columns = results.data->Columns(results.experiment);
    for (const MethodResults& method : results.methods) {
      for (std::size_t i = 0; i < method.results.size(); ++i) {
        const RunResult& result = method.results[i];
        for (std::size_t j = 0; j < columns.size(); ++j) {
          const auto& pictures = results.data->Domain(columns[j].domain).index().pictures;
          for (std::size_t k = 0; k < columns[j].pictures.size(); ++k) {
            std::vector<std::string> fields{results.description().name,
                                            method.name,
                                            std::to_string(method.seeds[i]),
                                            columns[j].title,
                                            pictures[columns[j].pictures[k]].file,
                                            classes.at(static_cast<std::size_t>(result.columns[j][k])),
                                            classes.at(static_cast<std::size_t>(result.answers.back()[j][k]))};
            fields.resize(header.size());  // A class that was never learned has no score.
            const std::size_t scores = result.score_classes.size();
            for (std::size_t c = 0; c < scores; ++c) {
              std::ostringstream score;
              score << static_cast<double>(result.scores_millionths[j][k * scores + c]) / 1e6;
              fields[7 + static_cast<std::size_t>(result.score_classes[c])] = score.str();
            }
            csv += learning::FormatCsvRow(fields);
          }
        }
      }
    }
  }
  return csv;
}

ReportSection SectionOf(const ExperimentResults& results, const std::vector<NamedFigure>& figures) {
  ReportSection section{.title = results.description().title, .parts = {}};
  for (Table& table : MainTables(results)) section.parts.emplace_back(std::move(table));
  for (const NamedFigure& figure : figures) section.parts.emplace_back(figure.figure);
  for (const MethodResults& method : results.methods) {
    section.parts.emplace_back(MatrixTable(results, method));
    section.parts.emplace_back(ClassTable(results, method));
  }
  return section;
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

}  // namespace

std::string StudyText(const std::vector<ExperimentResults>& experiments) {
  std::string text;
  for (const ExperimentResults& results : experiments) {
    for (const Table& table : MainTables(results)) text += TextTable(table) + "\n";
  }
  return text;
}

void WriteStudy(FileSystem& files, const Path& folder, const std::vector<ExperimentResults>& experiments,
                const RunRecord& record) {
  const StudyFile& study = *experiments.front().study;
  files.CreateFolders(folder / "plots");
  HtmlReport report{.title = study.title, .summary = "", .settings = {}, .sections = {}};
  report.summary =
      "Study \"" + study.name + "\", " + record.program_version + ", LibTorch " + record.torch_version +
      (study.part == StudyPart::kTest ? "." : ". Scored on the validation fifth of the training pictures.");
  CollectSettings(record.settings, "", report.settings);
  std::string markdown;
  for (const ExperimentResults& results : experiments) {
    const auto figures = Figures(results);
    for (const NamedFigure& figure : figures) {
      WriteFileAtomically(files, folder / "plots" / (figure.name + ".svg"), RenderSvg(figure.figure.drawing));
      WriteFileAtomically(files, folder / "plots" / (figure.name + ".png"), AsText(RenderPng(figure.figure.drawing)));
    }
    report.sections.push_back(SectionOf(results, figures));
    for (const Table& table : MainTables(results)) markdown += MarkdownTable(table) + "\n";
  }
  WriteHtml(files, folder / "report.html", report);
  WriteFileAtomically(files, folder / "tables.md", markdown);
  WriteFileAtomically(files, folder / "tables.txt", StudyText(experiments));
  WriteFileAtomically(files, folder / "summary.json", Summary(experiments).dump(2) + "\n");
  WriteFileAtomically(files, folder / "matrix.csv", MatrixCsv(experiments));
  WriteFileAtomically(files, folder / "predictions.csv", PredictionsCsv(experiments));
  WriteRunRecord(files, folder / "record.json", record);
}

}  // namespace hemafed::studies
