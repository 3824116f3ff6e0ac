// SPDX-License-Identifier: Apache-2.0
#include "studies/ae_cfe/ae_cfe_outputs.h"

#include <nlohmann/json.hpp>

#include "common/csv_row.h"
#include "common/report/html_report.h"
#include "common/report/svg.h"
#include "studies/ae_cfe/matrix_tables.h"

namespace hemafed::studies {

namespace {

using learning::DriftReport;
using nlohmann::json;

struct NamedFigure {
  std::string name;  // of the file
  Figure figure;
};

std::vector<NamedFigure> FiguresOf(const FeatureArmResults& arm, const ArmExtras& extras) {
  std::vector<NamedFigure> figures;
  if (extras.maps) {
    figures.push_back({arm.arm.name + "-tsne",
                       {DrawScatterChart(extras.maps->neighbours),
                        "Pictures that are alike in their features lie side by side; how far apart groups lie means "
                        "little. Shape: where from; colour: what."}});
    figures.push_back({arm.arm.name + "-components",
                       {DrawScatterChart(extras.maps->components), "The plane in which the features vary most."}});
  }
  figures.push_back(
      {arm.arm.name + "-confusion",
       {DrawConfusionChart(CrossDomainConfusion(arm)), "All seeds and pairs of domains counted together."}});
  return figures;
}

std::string PText(const DriftReport& report) {
  return FormatFixed(static_cast<double>(report.p_numerator) / static_cast<double>(report.p_denominator), 3);
}

Measurement Discrepancy(const DriftReport& report) {
  return {.value = static_cast<double>(report.mmd2_unbiased_millionths) / 1e6, .spread = {}, .digits = 4};
}

json Described(const learning::OverRuns& over) {
  return {{"mean", over.mean}, {"sd", over.deviation}, {"runs", over.runs}};
}

json CellsOf(const FeatureArmResults& arm) {
  json cells = json::array();
  const std::vector<std::string>& names = arm.runs.front().domains;
  for (std::size_t a = 0; a < names.size(); ++a) {
    for (std::size_t b = 0; b < names.size(); ++b) {
      cells.push_back({{"train", names[a]},
                       {"test", names[b]},
                       {"test_part", Described(arm.Cell(a, b, Reading::kTestPart, Score::kAccuracy))},
                       {"whole", Described(arm.Cell(a, b, Reading::kWhole, Score::kAccuracy))},
                       {"test_part_balanced", Described(arm.Cell(a, b, Reading::kTestPart, Score::kBalanced))},
                       {"whole_balanced", Described(arm.Cell(a, b, Reading::kWhole, Score::kBalanced))}});
    }
  }
  return cells;
}

json DriftOf(const ArmExtras& extras, const std::vector<std::string>& domains) {
  json object = json::object();
  for (std::size_t d = 0; d < extras.drift.size(); ++d) {
    object[domains[d]]["features"] = extras.drift[d].by_features.ToJson();
    if (extras.drift[d].by_moments) object[domains[d]]["moments"] = extras.drift[d].by_moments->ToJson();
  }
  return object;
}

}  // namespace

std::optional<Table> DriftTable(const AeCfeOutputs& outputs) {
  Table table{
      .title = "Each domain against the others: discrepancy of the features of training pictures",
      .columns = {{"arm"}, {"domain"}, {"MMD²"}, {"p"}, {"MMD² by moments"}, {"p by moments"}},
      .rows = {},
      .notes = {"Unbiased squared maximum mean discrepancy, Gaussian kernel, width by the median distance; p of "
                "the permutation test. By moments: against a sample drawn from the others' means and "
                "covariances, as a hospital can do that sees nobody's features."}};
  for (std::size_t i = 0; i < outputs.extras.size(); ++i) {
    const FeatureArmResults& arm = outputs.results.arms[i];
    for (std::size_t d = 0; d < outputs.extras[i].drift.size(); ++d) {
      const DomainDrift& drift = outputs.extras[i].drift[d];
      std::vector<Cell> row = {arm.arm.name, arm.runs.front().domains[d], Discrepancy(drift.by_features),
                               PText(drift.by_features)};
      row.push_back(drift.by_moments ? Cell(Discrepancy(*drift.by_moments)) : Cell());
      row.push_back(drift.by_moments ? Cell(PText(*drift.by_moments)) : Cell());
      table.rows.push_back(std::move(row));
    }
  }
  if (table.rows.empty()) return std::nullopt;
  return table;
}

std::vector<Table> MainTables(const AeCfeOutputs& outputs) {
  const AeCfeFile& study = *outputs.study;
  std::vector<Table> tables{CountsTable(outputs.results), SummaryTable(study, outputs.results),
                            CellTable(study, outputs.results, Reading::kTestPart, Score::kAccuracy),
                            CellTable(study, outputs.results, Reading::kWhole, Score::kAccuracy),
                            CellTable(study, outputs.results, Reading::kWhole, Score::kBalanced)};
  if (outputs.results.arms.size() > 1) tables.push_back(ArmDifferencesTable(outputs.results));
  if (auto sweep = SweepTable(study, outputs.results)) tables.push_back(std::move(*sweep));
  if (auto drift = DriftTable(outputs)) tables.push_back(std::move(*drift));
  return tables;
}

std::string MatrixCsv(const MatrixResults& results) {
  std::string text = FormatCsvRow({"arm", "seed", "train", "test", "reading", "right", "pictures"});
  for (const FeatureArmResults& arm : results.arms) {
    for (std::size_t s = 0; s < arm.seeds.size(); ++s) {
      const learning::CrossDomainMatrix& run = arm.runs[s];
      for (std::size_t a = 0; a < run.domains.size(); ++a) {
        for (std::size_t b = 0; b < run.domains.size(); ++b) {
          const auto add = [&](const char* reading, const ConfusionMatrix& matrix) {
            std::uint64_t right = 0, pictures = 0;
            for (std::size_t c = 0; c < matrix.classes(); ++c) {
              right += matrix.At(c, c);
              pictures += matrix.RowSum(c);
            }
            text += FormatCsvRow({arm.arm.name, std::to_string(arm.seeds[s]), run.domains[a], run.domains[b], reading,
                                  std::to_string(right), std::to_string(pictures)});
          };
          add("test_part", run.Cell(a, b).test_part);
          if (run.Cell(a, b).whole) add("whole", *run.Cell(a, b).whole);
        }
      }
    }
  }
  return text;
}

json SummaryOf(const AeCfeOutputs& outputs) {
  const MatrixResults& results = outputs.results;
  json arms = json::object();
  for (std::size_t i = 0; i < results.arms.size(); ++i) {
    const FeatureArmResults& arm = results.arms[i];
    arms[arm.arm.name] = {{"features", arm.columns},
                          {"seeds", arm.seeds},
                          {"in_domain", Described(arm.InDomain(Score::kAccuracy))},
                          {"in_domain_balanced", Described(arm.InDomain(Score::kBalanced))},
                          {"across_test_part", Described(arm.CrossDomain(Reading::kTestPart, Score::kAccuracy))},
                          {"across_whole", Described(arm.CrossDomain(Reading::kWhole, Score::kAccuracy))},
                          {"across_whole_balanced", Described(arm.CrossDomain(Reading::kWhole, Score::kBalanced))},
                          {"cells", CellsOf(arm)},
                          {"drift", DriftOf(outputs.extras[i], arm.runs.front().domains)}};
  }
  json differences = json::array();
  for (std::size_t i = 0; i < results.arms.size(); ++i) {
    for (std::size_t k = i + 1; k < results.arms.size(); ++k) {
      const auto interval = CrossDomainDifference(results, results.arms[i], results.arms[k]);
      differences.push_back({{"ours", results.arms[i].arm.name},
                             {"theirs", results.arms[k].arm.name},
                             {"difference", interval.estimate},
                             {"low", interval.low},
                             {"high", interval.high}});
    }
  }
  return {{"study", outputs.study->name},
          {"classes", results.arms.front().runs.front().used_classes},
          {"domains", results.arms.front().runs.front().domains},
          {"arms", arms},
          {"across_whole_differences", differences}};
}

void WriteAeCfe(FileSystem& files, const Path& folder, const AeCfeOutputs& outputs, const RunRecord& record) {
  const AeCfeFile& study = *outputs.study;
  files.CreateFolders(folder / "plots");
  HtmlReport report{
      .title = study.title,
      .summary = "Study \"" + study.name + "\", " + record.program_version + ", LibTorch " + record.torch_version + ".",
      .settings = {},
      .sections = {}};
  for (const auto& [key, value] : record.settings.items())
    report.settings.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
  const auto write_figure = [&](const std::string& name, const Drawing& drawing) {
    WriteFileAtomically(files, folder / "plots" / (name + ".svg"), RenderSvg(drawing));
  };
  std::string text, markdown;
  ReportSection measured{.title = "Measured", .parts = {}};
  for (Table& table : MainTables(outputs)) {
    text += TextTable(table) + "\n";
    markdown += MarkdownTable(table) + "\n";
    measured.parts.emplace_back(std::move(table));
  }
  Figure bars{DrawBarChart(ArmChart(outputs.results)), "Plain means over the cells of the matrix."};
  write_figure("accuracy", bars.drawing);
  measured.parts.emplace_back(std::move(bars));
  report.sections.push_back(std::move(measured));
  for (std::size_t i = 0; i < outputs.results.arms.size(); ++i) {
    ReportSection section{.title = outputs.results.arms[i].arm.title, .parts = {}};
    for (NamedFigure& figure : FiguresOf(outputs.results.arms[i], outputs.extras[i])) {
      write_figure(figure.name, figure.figure.drawing);
      section.parts.emplace_back(std::move(figure.figure));
    }
    report.sections.push_back(std::move(section));
  }
  ReportSection published{.title = "Published tables", .parts = {}};
  for (Table& table : PublishedAeCfeTables()) {
    markdown += MarkdownTable(table) + "\n";
    published.parts.emplace_back(std::move(table));
  }
  report.sections.push_back(std::move(published));
  WriteHtml(files, folder / "report.html", report);
  WriteFileAtomically(files, folder / "tables.txt", text);
  WriteFileAtomically(files, folder / "tables.md", markdown);
  WriteFileAtomically(files, folder / "summary.json", SummaryOf(outputs).dump(2) + "\n");
  WriteFileAtomically(files, folder / "matrix.csv", MatrixCsv(outputs.results));
  WriteRunRecord(files, folder / "record.json", record);
}

}  // namespace hemafed::studies
