// SPDX-License-Identifier: Apache-2.0
#include "studies/federation/federation_outputs.h"

#include <nlohmann/json.hpp>

#include "common/report/html_report.h"
#include "common/report/svg.h"
#include "learning/metrics/confidence.h"
#include "studies/federation/autoencoder_outputs.h"
#include "studies/report/raster.h"
#include "studies/report/report_names.h"
#include "studies/uacl/comparison_outputs.h"
#include "studies/uacl/study_tables.h"

namespace hemafed::studies {

namespace {

using nlohmann::json;

constexpr double kBytesOfAMegabyte = 1e6;

template <typename Millionths>
json Fraction(const std::optional<Millionths>& millionths) {
  return millionths ? json(static_cast<double>(*millionths) / 1e6) : json(nullptr);
}

Measurement Described(const std::vector<double>& values, int digits) {
  const learning::OverRuns over = learning::DescribeRuns(values);
  return {.value = over.mean, .spread = over.runs > 1 ? std::optional(over.deviation) : std::nullopt, .digits = digits};
}

// What a federation costs.
Table CostTable(const std::vector<ArmResults>& arms) {
  Table table;
  table.title = "What it cost";
  table.columns = {{"plan"},        {"MB to sites"},     {"MB from sites"}, {"MB moved"},
                   {"log entries"}, {"updates refused"}, {"seconds"},       {"auditor"}};
  for (const ArmResults& arm : arms) {
    std::vector<double> to, from, moved, entries, refused, seconds;
    std::string audit = "ok";
    for (const FederationResult& result : arm.results) {
      to.push_back(static_cast<double>(result.bytes_to_sites) / kBytesOfAMegabyte);
      from.push_back(static_cast<double>(result.bytes_from_sites) / kBytesOfAMegabyte);
      moved.push_back(to.back() + from.back());
      entries.push_back(static_cast<double>(result.entries));
      refused.push_back(static_cast<double>(result.refused));
      seconds.push_back(static_cast<double>(result.seconds_thousandths) / 1000);
      if (result.audit != "ok") audit = result.audit;
    }
    table.rows.push_back({arm.name, Described(to, 1), Described(from, 1), Described(moved, 1), Described(entries, 0),
                          Described(refused, 0), Described(seconds, 0), audit});
  }
  table.notes = {
      "Bytes on the wire as the coordinator counts them (1 MB = 10^6 bytes): frames with encryption and transport "
      "headers; a run that was interrupted moved a few more. Seconds of one run on this machine, with other runs "
      "beside "
      "it. Auditor: `hemafed-audit replay` over the run's log and objects."};
  return table;
}

// The digests by which a run can be compared with one of real processes.
Table DigestTable(const std::vector<ArmResults>& arms) {
  Table table;
  table.title = "Digests";
  table.columns = {{"plan"}, {"seed"}, {"model"}, {"log root"}};
  for (const ArmResults& arm : arms) {
    for (std::size_t i = 0; i < arm.results.size(); ++i) {
      table.rows.push_back(
          {arm.name, std::to_string(arm.seeds[i]), arm.results[i].model.Hex(), arm.results[i].log_root.Hex()});
    }
  }
  table.notes = {
      "Real processes end with the same model for the same plan, pictures and machine class; their log has "
      "other keys and times, hence another root."};
  return table;
}

// Hospitals that no task learned, with the interval of a share.
std::optional<Table> UnseenTable(const FederationComparison& comparison) {
  if (comparison.test_sets.size() == comparison.tasks) return std::nullopt;
  Table table;
  table.title = "Unseen hospitals after the last task";
  table.columns = {{"method"}, {"test set"}, {"seed"}, {"right"}, {"pictures"}, {"accuracy"}, {"low"}, {"high"}};
  for (const MethodResults& method : comparison.methods) {
    for (std::size_t j = comparison.tasks; j < comparison.test_sets.size(); ++j) {
      for (std::size_t i = 0; i < method.results.size(); ++i) {
        const RunResult& result = method.results[i];
        if (result.columns[j].empty()) continue;
        std::uint64_t right = 0;
        for (std::size_t k = 0; k < result.columns[j].size(); ++k) {
          right += result.columns[j][k] == result.answers.back()[j][k] ? 1 : 0;
        }
        const auto interval = learning::WilsonInterval(right, result.columns[j].size());
        table.rows.push_back({method.name, comparison.test_sets[j].title, std::to_string(method.seeds[i]),
                              Measurement{.value = static_cast<double>(right), .digits = 0},
                              Measurement{.value = static_cast<double>(result.columns[j].size()), .digits = 0},
                              Measurement{.value = interval.estimate}, Measurement{.value = interval.low},
                              Measurement{.value = interval.high}});
      }
    }
  }
  table.notes = {"95 % Wilson interval of each run's share."};
  return table;
}

std::vector<Table> MainTables(const FederationComparison& comparison) {
  std::vector<Table> tables{ResultsTable(comparison)};
  if (comparison.methods.size() > 1) tables.push_back(DifferencesTable(comparison));
  if (auto unseen = UnseenTable(comparison)) tables.push_back(std::move(*unseen));
  tables.push_back(CostTable(comparison.arms));
  tables.push_back(DigestTable(comparison.arms));
  return tables;
}

// Of one plan that trains an autoencoder.
std::vector<Table> MainTables(const ArmResults& autoencoder) {
  return {LossTable(autoencoder), CostTable({autoencoder}), DigestTable({autoencoder})};
}

// One run under the names of `make demo`'s summary: what the log says.
json CourseOf(const FederationResult& result, std::uint64_t seed) {
  return {{"seed", seed},
          {"bytes_to_sites", result.bytes_to_sites},
          {"bytes_from_sites", result.bytes_from_sites},
          {"bytes_sent", result.bytes_to_sites + result.bytes_from_sites},
          {"wall_s", static_cast<double>(result.seconds_thousandths) / 1000},
          {"model_digest", result.model.Hex()},
          {"log_root", result.log_root.Hex()},
          {"entries", result.entries},
          {"rounds", result.rounds},
          {"refused", result.refused},
          {"audit", result.audit},
          {"updates_kept", result.updates_kept}};
}

json SummaryOf(const FederationResult& result, std::uint64_t seed) {
  const AccuracyMatrix matrix = result.Matrix();
  json rows = json::array(), accuracy = json::object();
  for (const auto& row : result.matrix_millionths) {
    json values = json::array();
    for (const AccuracyMatrix::Cell& value : row) values.push_back(Fraction(value));
    rows.push_back(std::move(values));
  }
  for (std::size_t j = 0; j < result.columns.size(); ++j) accuracy[result.columns[j]] = rows.back()[j];
  json summary = CourseOf(result, seed);
  summary["matrix"] = rows;
  summary["accuracy"] = accuracy;
  summary["average_accuracy"] = Fraction(matrix.AverageAccuracyMillionths());
  summary["forgetting"] = {{"de_lange", Fraction(matrix.DeLangeForgettingMillionths())},
                           {"first_task_drop", Fraction(matrix.FirstTaskDropMillionths())}};
  return summary;
}

json Summary(const FederationOutcome& outcome) {
  json experiments = json::object(), autoencoders = json::object();
  for (const ArmResults& arm : outcome.autoencoders) {
    json runs = json::array();
    for (std::size_t i = 0; i < arm.results.size(); ++i) {
      json run = CourseOf(arm.results[i], arm.seeds[i]);
      run["losses"] = LossesJson(arm.results[i]);
      runs.push_back(std::move(run));
    }
    autoencoders[arm.name] = std::move(runs);
  }
  for (const FederationComparison& comparison : outcome.comparisons) {
    json object = SummaryOf(static_cast<const Comparison&>(comparison));
    json federated = json::object();
    for (const ArmResults& arm : comparison.arms) {
      json runs = json::array();
      for (std::size_t i = 0; i < arm.results.size(); ++i) runs.push_back(SummaryOf(arm.results[i], arm.seeds[i]));
      federated[arm.name] = std::move(runs);
    }
    object["federated"] = std::move(federated);
    experiments[comparison.name] = std::move(object);
  }
  json summary = {{"experiments", experiments}, {"stood_still", outcome.stood_still}};
  if (!autoencoders.empty()) summary["autoencoders"] = std::move(autoencoders);
  return summary;
}

}  // namespace

std::string FederationText(const FederationOutcome& outcome) {
  std::string text;
  for (const FederationComparison& comparison : outcome.comparisons) {
    for (const Table& table : MainTables(comparison)) text += TextTable(table) + "\n";
  }
  for (const ArmResults& arm : outcome.autoencoders) {
    for (const Table& table : MainTables(arm)) text += TextTable(table) + "\n";
  }
  for (const auto& [run, reason] : outcome.stood_still) text += run + " did not come to its end: " + reason + "\n";
  return text;
}

void WriteFederationStudy(FileSystem& files, const Path& folder, const FederationOutcome& outcome,
                          const RunRecord& record) {
  files.CreateFolders(folder / "plots");
  HtmlReport report{.title = "Simulated federations", .summary = "", .settings = {}, .sections = {}};
  report.summary = record.program_version + ", LibTorch " + record.torch_version +
                   ". Every run is a whole federation: coordinator, agents and trainers in one process, under virtual "
                   "time; its log and objects lie in the run's folder.";
  for (const auto& [run, reason] : outcome.stood_still)
    report.summary += " " + run + " did not come to its end: " + reason + ".";
  CollectSettings(record.settings, "", report.settings);
  std::string markdown;
  std::vector<const Comparison*> shared;
  for (const FederationComparison& comparison : outcome.comparisons) {
    shared.push_back(&comparison);
    ReportSection section{.title = comparison.title, .parts = {}};
    for (Table& table : MainTables(comparison)) {
      markdown += MarkdownTable(table) + "\n";
      section.parts.emplace_back(std::move(table));
    }
    std::vector<NamedFigure> figures = SharedFigures(comparison);
    for (const MethodResults& method : comparison.methods) {
      std::string name = method.name;
      for (char& c : name) c = c == ' ' || c == '=' ? '-' : c;
      figures.push_back(ConfusionFigure(comparison, method, name));
    }
    for (NamedFigure& figure : figures) {
      WriteFileAtomically(files, folder / "plots" / (figure.name + ".svg"), RenderSvg(figure.figure.drawing));
      WriteFileAtomically(files, folder / "plots" / (figure.name + ".png"), AsText(RenderPng(figure.figure.drawing)));
      section.parts.emplace_back(std::move(figure.figure));
    }
    for (const MethodResults& method : comparison.methods) {
      section.parts.emplace_back(MatrixTable(comparison, method));
      section.parts.emplace_back(ClassTable(comparison, method));
    }
    report.sections.push_back(std::move(section));
  }
  for (const ArmResults& arm : outcome.autoencoders) {
    ReportSection section{.title = arm.name + ": an autoencoder", .parts = {}};
    for (Table& table : MainTables(arm)) {
      markdown += MarkdownTable(table) + "\n";
      section.parts.emplace_back(std::move(table));
    }
    Figure figure = LossFigure(arm);
    WriteFileAtomically(files, folder / "plots" / ("loss-" + arm.name + ".svg"), RenderSvg(figure.drawing));
    WriteFileAtomically(files, folder / "plots" / ("loss-" + arm.name + ".png"), AsText(RenderPng(figure.drawing)));
    section.parts.emplace_back(std::move(figure));
    report.sections.push_back(std::move(section));
  }
  WriteHtml(files, folder / "report.html", report);
  WriteFileAtomically(files, folder / "tables.md", markdown);
  WriteFileAtomically(files, folder / "tables.txt", FederationText(outcome));
  WriteFileAtomically(files, folder / "summary.json", Summary(outcome).dump(2) + "\n");
  WriteFileAtomically(files, folder / "matrix.csv", MatrixCsv(shared));
  WriteFileAtomically(files, folder / "predictions.csv", PredictionsCsv(shared));
  if (!outcome.autoencoders.empty()) {
    WriteFileAtomically(files, folder / "losses.csv", LossesCsv(outcome.autoencoders));
  }
  WriteRunRecord(files, folder / "record.json", record);
}

}  // namespace hemafed::studies
