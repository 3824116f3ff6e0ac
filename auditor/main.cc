// SPDX-License-Identifier: Apache-2.0
//
// hemafed-audit: checks a round log offline, with public keys only.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "auditor/audit.h"
#include "auditor/audited_report.h"
#include "common/error.h"
#include "common/program.h"

namespace hemafed::auditor {
namespace {

nlohmann::json MetricsOf(const AuditResult& result) {
  const AccuracyMatrix& matrix = result.matrix;
  if (matrix.rows() == 0) return nullptr;
  const auto fraction = [](const auto& millionths) {
    return millionths ? nlohmann::json(static_cast<double>(*millionths) / 1e6) : nlohmann::json(nullptr);
  };
  nlohmann::json rows = nlohmann::json::array();
  for (std::size_t task = 0; task < matrix.rows(); ++task) {
    nlohmann::json row = nlohmann::json::array();
    for (std::size_t column = 0; column < matrix.columns(); ++column) {
      row.push_back(fraction(matrix.Millionths(task, column)));
    }
    rows.push_back(std::move(row));
  }
  return {{"columns", result.columns},
          {"matrix", std::move(rows)},
          {"average_accuracy", fraction(matrix.AverageAccuracyMillionths())},
          {"forgetting",
           {{"de_lange", fraction(matrix.DeLangeForgettingMillionths())},
            {"first_task_drop", fraction(matrix.FirstTaskDropMillionths())}}}};
}

int Report(const AuditResult& result, bool replay, bool as_json) {
  const std::string verdict = !result.finding ? "ok"
                              : result.finding->entry
                                  ? "entry " + std::to_string(*result.finding->entry) + ": " + result.finding->message
                                  : result.finding->message;
  if (as_json) {
    nlohmann::json out = {{"verdict", verdict},          {"entries", result.entries},   {"root", result.root.Hex()},
                          {"rounds", result.aggregates}, {"model", result.model.Hex()}, {"plan_closed", result.closed}};
    out["entry"] =
        result.finding && result.finding->entry ? nlohmann::json(*result.finding->entry) : nlohmann::json(nullptr);
    out["metrics"] = MetricsOf(result);
    std::cout << out.dump(1) << "\n";
  } else if (result.finding) {
    std::cout << "NOT OK: " << verdict << "\n";
  } else {
    std::cout << "ok: " << result.entries << " entries, root " << result.root.Hex() << "\n";
    if (replay) std::cout << "replayed " << result.aggregates << " rounds; model " << result.model.Hex() << "\n";
    if (!result.closed) std::cout << "the plan is not finished yet\n";
  }
  return result.finding ? ExitStatus(ErrorCode::kRefused) : 0;
}

int Main(int argc, char** argv) {
  CLI::App app{
      "Checks a consortium's round log from a short trust file. Needs no network, no GPU and no picture, and trusts\n"
      "nothing else in the folder: not the coordinator, not its stored models."};
  app.footer(
      "Example:\n  hemafed-audit replay /media/usb/consortium --trust trust.json\n\n"
      "Exit status 15 means that something is wrong; the first wrong entry is named.\n" +
      std::string(kExitCodeHelp));
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(kVersion));
  std::string folder, trust_file, scratch, out;
  bool as_json = false;
  const auto add = [&](const char* name, const char* text) {
    CLI::App* command = app.add_subcommand(name, text);
    command->add_option("folder", folder, "Folder with log/ and objects/ (read only)")
        ->required()
        ->check(CLI::ExistingDirectory);
    command->add_option("--trust", trust_file, "Trust file: operator's, log's and labs' public keys")
        ->required()
        ->check(CLI::ExistingFile);
    return command;
  };
  CLI::App* verify = add("verify", "Check signatures, tree and order of the log");
  CLI::App* replay = add("replay", "Check, and compute every head, aggregate and metric again");
  CLI::App* report = add("report", "Check as verify does, then print the consortium's report");
  report->add_option("--out", out, "Folder for report.html, report.json and tables as CSV; made if it is missing");
  for (CLI::App* command : {verify, replay}) command->add_flag("--json", as_json, "Print the result as JSON");
  replay->add_option("--scratch", scratch,
                     "Folder for models being computed (default: below the system's temporary folder)");
  CLI11_PARSE(app, argc, argv);

  FileSystem& files = RealFileSystem();
  if (*report) {
    const AuditedReport audited = WriteAuditedReport(files, Trust::Load(files, trust_file), folder,
                                                     out.empty() ? std::nullopt : std::optional<Path>(out));
    if (audited.audit.finding) return Report(audited.audit, false, false);
    std::cout << audited.text;
    if (!out.empty()) std::cout << "\nreport: " << (Path(out) / "report.html").string() << "\n";
    return 0;
  }
  const bool own_scratch = scratch.empty();
  if (own_scratch)
    scratch = (std::filesystem::temp_directory_path() / ("hemafed-audit-" + std::to_string(::getpid()))).string();
  const AuditResult result =
      Audit(files, Trust::Load(files, trust_file),
            {.folder = folder, .scratch = scratch, .replay = !*verify, .progress = [&](const std::string& line) {
               if (!as_json) std::cout << line << std::endl;
             }});
  if (own_scratch) files.Remove(scratch);
  return Report(result, !*verify, as_json);
}

}  // namespace
}  // namespace hemafed::auditor

int main(int argc, char** argv) {
  return hemafed::RunProgram("hemafed-audit", [&] { return hemafed::auditor::Main(argc, argv); });
}
