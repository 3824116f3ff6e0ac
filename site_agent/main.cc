// SPDX-License-Identifier: Apache-2.0
//
// hemafed-site: the network side of a lab, and the launcher that starts both sides restricted.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <iostream>

#include "codec/site_settings.h"
#include "common/error.h"
#include "common/json_fields.h"
#include "common/program.h"
#include "common/stop_signal.h"
#include "site_agent/agent/agent_loop.h"
#include "site_agent/agent/agree.h"
#include "site_agent/agent/join.h"
#include "site_agent/agent/site_folder.h"
#include "site_agent/launcher/isolation_report.h"
#include "site_agent/launcher/site_programs.h"
#include "site_agent/launcher/supervise.h"

namespace hemafed::agent {
namespace {

constexpr std::int64_t kJoinPatienceMs = 30'000;
constexpr std::size_t kMaxEgressBytes = 256u << 20;  // About a million lines.

struct Options {
  std::string folder, token, pictures, labels, layout = "manifest", plan;
  std::vector<std::string> partners;
  bool until_finished = false, no_trainer = false, take_back = false;
};

void Print(const std::string& line) { std::cout << line << std::endl; }

// The program beside this one.
Path Sibling(const std::string& name) { return std::filesystem::canonical("/proc/self/exe").parent_path() / name; }

void RunJoin(const Options& options) {
  InstallStopSignals();
  FileSystem& files = RealFileSystem();
  const SiteFolder folder{std::filesystem::absolute(options.folder)};
  if (files.Exists(folder.MembershipFile())) {
    throw Error(ErrorCode::kConflict,
                folder.root.string() + " has joined already; use another folder for another consortium");
  }
  files.CreateFolders(folder.root);
  files.CreateFolders(folder.Trainer(), 0700);
  JobFolder{folder.Jobs()}.CreateAll(files);
  Join(files, SystemClock(), folder, options.token, kJoinPatienceMs, {.stop = StopRequested, .print = Print});
  SiteSettings settings;
  settings.site = Membership::Load(files, folder.MembershipFile()).slot;
  settings.pictures = std::filesystem::absolute(options.pictures);
  settings.layout = options.layout == "folders" ? PictureLayout::kFolders : PictureLayout::kManifest;
  settings.labels = std::filesystem::absolute(options.labels);
  WriteFileAtomically(files, folder.SettingsFile(), settings.ToToml());
  Print("settings: " + folder.SettingsFile().string() + "; now run `hemafed-site check` and `hemafed-site up`");
}

SiteFolders FoldersOf(const SiteFolder& folder, const SiteSettings& settings) {
  return {.keys = folder.Agent(),
          .jobs = folder.Jobs(),
          .trainer = {folder.Trainer()},
          .pictures = {settings.pictures},
          .agent_settings = {},
          .trainer_settings = {folder.SettingsFile(), settings.labels}};
}

struct Sides {
  ProgramSpec agent, trainer;
};

Sides SidesOf(const Options& options) {
  FileSystem& files = RealFileSystem();
  const SiteFolder folder{std::filesystem::canonical(options.folder)};
  const SiteSettings settings = SiteSettings::Load(files, folder.SettingsFile());
  if (!std::filesystem::is_directory(settings.pictures)) {
    throw Error(ErrorCode::kNotFound, "the pictures' folder " + settings.pictures.string() + " is missing; correct " +
                                          folder.SettingsFile().string());
  }
  SiteFolders folders = FoldersOf(folder, settings);
  for (Path& path : folders.pictures) path = std::filesystem::canonical(path);
  const Path agent = Sibling("hemafed-site"), trainer = Sibling("hemafed-train");
  Sides sides;
  sides.agent = {.name = "agent",
                 .arguments = {agent.string(), "agent", folder.root.string()},
                 .environment = {},
                 .working_folder = folder.Agent(),
                 .restrictions = AgentRestrictions(folders, agent)};
  if (options.until_finished) sides.agent.arguments.emplace_back("--until-finished");
  sides.trainer = {.name = "trainer",
                   .arguments = {trainer.string(), "serve", folder.root.string()},
                   .environment = {},
                   .working_folder = folder.Trainer(),
                   .restrictions = TrainerRestrictions(folders, trainer)};
  return sides;
}

int Up(const Options& options) {
  const Sides sides = SidesOf(options);
  std::vector<ProgramSpec> programs{sides.agent};
  if (!options.no_trainer) programs.push_back(sides.trainer);
  const SupervisionResult result = SuperviseSiblings(programs, RestartLimits{}, SystemClock());
  if (!result.reason.empty()) Print(result.reason);
  return result.asked_to_stop ? ExitStatus(ErrorCode::kInterrupted) : result.exit_status;
}

int Check(const Options& options) {
  const Sides sides = SidesOf(options);
  std::vector<CheckRow> rows = CheckMachine();
  for (const auto& more : {CheckAgent(sides.agent.restrictions), CheckTrainer(sides.trainer.restrictions)}) {
    rows.insert(rows.end(), more.begin(), more.end());
  }
  std::cout << FormatChecks(rows);
  return AllHold(rows) ? 0 : ExitStatus(ErrorCode::kRefused);
}

void ShowEgress(const Options& options) {
  const Path record = SiteFolder{options.folder}.EgressFile();
  if (!RealFileSystem().Exists(record)) {
    Print("nothing has left this lab yet");
    return;
  }
  std::istringstream lines(ReadFile(RealFileSystem(), record, kMaxEgressBytes));
  std::uint64_t count = 0, bytes = 0;
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json object = ParseJsonObject(line, record.string());
    JsonFields fields(object, record.string());
    const std::uint64_t size = fields.Unsigned("bytes", INT64_MAX);
    std::cout << fields.Text("job", 128) << "  " << fields.Text("what", 64) << "  " << size << " bytes  sha256 "
              << fields.Text("sha256", 64) << "\n";
    ++count;
    bytes += size;
  }
  std::cout << count << " things, " << bytes << " bytes in all\n";
}

void RunAgree(const Options& options) {
  FileSystem& files = RealFileSystem();
  const SiteFolder folder{std::filesystem::absolute(options.folder)};
  if (options.take_back) {
    EndAgreement(files, folder);
    Print(
        "taken back: nothing more is sent or taken in. What other labs hold already, they hold; ask them to remove it");
    return;
  }
  const std::string text = ReadFile(files, options.plan, kMaxPlanBytes);
  std::cout << ExplainExchange(ParsePlan(text, options.plan), Membership::Load(files, folder.MembershipFile()).slot);
  if (options.partners.empty()) {
    Print("nothing is agreed. To agree, name these labs with --with");
    return;
  }
  Agree(files, folder, text, options.partners);
  Print("agreed, for the plan " + Sha256Of(text).Hex() + "; `hemafed-site agree FOLDER --take-back` ends it");
}

int Main(int argc, char** argv) {
  CLI::App app{
      "A lab's side of a consortium. The agent has the network and cannot read pictures; the trainer (hemafed-train) "
      "has\n"
      "the pictures and no network. `up` starts both, each restricted before it runs."};
  app.footer(
      "Typical first day:\n"
      "  hemafed-site join /srv/hemafed/munich --token hemafed1.… --pictures /data/cells --labels labels.toml\n"
      "  hemafed-site check /srv/hemafed/munich     shows what keeps pictures and network apart here\n"
      "  hemafed-site up /srv/hemafed/munich        runs until stopped\n"
      "  hemafed-site egress /srv/hemafed/munich    lists everything that has left\n\n" +
      std::string(kExitCodeHelp));
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(kVersion));
  Options options;
  const auto add = [&](const char* name, const char* text) {
    CLI::App* command = app.add_subcommand(name, text);
    command->add_option("folder", options.folder, "The lab's folder")->required();
    return command;
  };
  CLI::App* join = add("join", "Make keys, present an invitation, wait for approval");
  join->add_option("--token", options.token, "The one line that the operator sent")->required();
  join->add_option("--pictures", options.pictures, "Folder with this lab's pictures")->required();
  join->add_option("--labels", options.labels,
                   "Label map (configs/labels/) from its labels to the consortium's classes")
      ->required();
  join->add_option("--layout", options.layout,
                   "manifest: manifest.csv beside the pictures; folders: one folder per class")
      ->check(CLI::IsMember({"manifest", "folders"}))
      ->capture_default_str();
  CLI::App* up = add("up", "Start agent and trainer, restricted, and keep them running");
  up->add_flag("--until-finished", options.until_finished, "Stop when the plan is done");
  up->add_flag("--no-trainer", options.no_trainer, "Start the agent only; the trainer runs elsewhere and shares jobs/");
  CLI::App* agent = add("agent", "The agent itself, without restrictions; `up` calls this");
  agent->add_flag("--until-finished", options.until_finished, "Stop when the plan is done");
  CLI::App* check = add("check", "Show what keeps pictures and network apart, by trying");
  CLI::App* egress = add("egress", "List everything that has left this lab");
  CLI::App* agree = add("agree", "Say whether pictures may travel from and to this lab under a plan (policy sealed)");
  CLI::Option* plan = agree->add_option("--plan", options.plan, "The plan that you have read; alone: show what moves")
                          ->check(CLI::ExistingFile);
  agree->add_option("--with", options.partners, "All labs that it names for this one, separated by commas")
      ->delimiter(',')
      ->needs(plan);
  CLI::Option* take_back = agree->add_flag("--take-back", options.take_back, "End the agreement for good");
  take_back->excludes(plan);
  CLI11_PARSE(app, argc, argv);
  if (*agree && !options.take_back && options.plan.empty()) {
    throw Error(ErrorCode::kInvalidInput, "agree needs --plan, or --take-back");
  }

  if (*join) {
    RunJoin(options);
  } else if (*up) {
    return Up(options);
  } else if (*agent) {
    InstallStopSignals();
    RunAgent(RealFileSystem(), SystemClock(), {std::filesystem::absolute(options.folder)}, options.until_finished,
             {.stop = StopRequested, .print = Print});
  } else if (*check) {
    return Check(options);
  } else if (*egress) {
    ShowEgress(options);
  } else if (*agree) {
    RunAgree(options);
  }
  return 0;
}

}  // namespace
}  // namespace hemafed::agent

int main(int argc, char** argv) {
  return hemafed::RunProgram("hemafed-site", [&] { return hemafed::agent::Main(argc, argv); });
}
