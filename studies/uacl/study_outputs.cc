// SPDX-License-Identifier: Apache-2.0
#include "studies/uacl/study_outputs.h"

#include <nlohmann/json.hpp>

#include "common/report/html_report.h"
#include "common/report/svg.h"
#include "studies/report/raster.h"
#include "studies/report/report_names.h"
#include "studies/uacl/comparison_outputs.h"

namespace hemafed::studies {

namespace {

using nlohmann::json;

// Tables that say what came out; those by method follow in the report only.
std::vector<Table> MainTables(const ExperimentResults& results) {
  std::vector<Table> tables{ResultsTable(results)};
  if (results.methods.size() > 1) tables.push_back(DifferencesTable(results));
  if (auto published = PublishedTable(results)) tables.push_back(std::move(*published));
  return tables;
}

std::vector<NamedFigure> Figures(const ExperimentResults& results) {
  const std::string prefix = results.name + "-";
  std::vector<NamedFigure> figures = SharedFigures(results);
  const auto add = [&](const std::string& name, Drawing drawing, std::string caption) {
    figures.push_back({prefix + name, {std::move(drawing), std::move(caption)}});
  };
  if (results.description().budgets.size() > 1) {
    add("budgets", DrawLineChart(BudgetChart(results)), "What more exemplars buy.");
  }
  for (const MethodResults& method : results.methods) {
    const std::string name = method.budget
                                 ? results.study->methods[method.method].name + "-K" + std::to_string(*method.budget)
                                 : results.study->methods[method.method].name;
    figures.push_back(ConfusionFigure(results, method, name));
    const auto galleries = ExemplarGalleries(results, method);
    for (std::size_t i = 0; i < galleries.size(); ++i) {
      add("exemplars-" + name + (galleries.size() > 1 ? "-" + std::to_string(i + 1) : ""), DrawGallery(galleries[i]),
          "Kept pictures: 'mean' ones bring the kept pictures' mean closest to the class mean (herding), 'unsure' ones "
          "are those the model wavers most on.");
    }
  }
  return figures;
}

json Summary(const std::vector<ExperimentResults>& experiments) {
  json object = json::object();
  for (const ExperimentResults& results : experiments) object[results.name] = SummaryOf(results);
  return {{"experiments", object}};
}

ReportSection SectionOf(const ExperimentResults& results, const std::vector<NamedFigure>& figures) {
  ReportSection section{.title = results.title, .parts = {}};
  for (Table& table : MainTables(results)) section.parts.emplace_back(std::move(table));
  for (const NamedFigure& figure : figures) section.parts.emplace_back(figure.figure);
  for (const MethodResults& method : results.methods) {
    section.parts.emplace_back(MatrixTable(results, method));
    section.parts.emplace_back(ClassTable(results, method));
  }
  return section;
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
  std::vector<const Comparison*> comparisons;
  for (const ExperimentResults& results : experiments) comparisons.push_back(&results);
  WriteFileAtomically(files, folder / "matrix.csv", MatrixCsv(comparisons));
  WriteFileAtomically(files, folder / "predictions.csv", PredictionsCsv(comparisons));
  WriteRunRecord(files, folder / "record.json", record);
}

}  // namespace hemafed::studies
