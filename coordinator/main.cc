// SPDX-License-Identifier: Apache-2.0
//
// hemafed-coordinator: the operator's program. Parses, loads keys and settings, calls one function, maps errors to exit
// codes.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "codec/plan.h"
#include "common/digest_of_file.h"
#include "common/error.h"
#include "common/folder_lock.h"
#include "common/program.h"
#include "common/safetensors.h"
#include "common/stop_signal.h"
#include "coordinator/consortium_folder.h"
#include "coordinator/enrolment.h"
#include "coordinator/preview.h"
#include "coordinator/published_state.h"
#include "coordinator/server.h"
#include "coordinator/solver_process.h"
#include "protocol/objects/object_store.h"

namespace hemafed::coordinator {
namespace {

std::function<void()> wake_loop;

void WakeLoop() noexcept {
  if (wake_loop) wake_loop();
}

struct Options {
  std::string folder, operator_key, name, host = "127.0.0.1", bind = "127.0.0.1", slot, fingerprint, plan, file, digest;
  std::uint16_t work_port = 7301, enrol_port = 7302;
  bool until_finished = false;
  std::string sums, totals, out;  // Of solve-head.
  pid_t parent = 0;
};

void Init(const Options& options) {
  const auto endpoint = [](const std::string& host, std::uint16_t port) {
    return "tcp://" + host + ":" + std::to_string(port);
  };
  ConsortiumSettings settings{.name = options.name,
                              .work_endpoint = endpoint(options.host, options.work_port),
                              .enrol_endpoint = endpoint(options.host, options.enrol_port),
                              .work_bind = endpoint(options.bind, options.work_port),
                              .enrol_bind = endpoint(options.bind, options.enrol_port),
                              .operator_key = {}};
  CreateConsortium(RealFileSystem(), {options.folder}, std::move(settings), options.operator_key);
  std::cout << "consortium " << options.name << " made in " << options.folder << "\n"
            << "operator's key: " << options.operator_key
            << " (keep it on another disk; plans and admissions need it)\n";
}

void PrintTrust(const Consortium& consortium) {
  nlohmann::json labs = nlohmann::json::object();
  const FederationState state = ReadPublishedState(RealFileSystem(), consortium);
  for (const auto& [site, lab] : state.roster()) {
    labs[site] = lab.statement_key.Hex();
  }
  const nlohmann::json trust = {
      {"log", LogKeyOf(consortium).Encode()}, {"operator", consortium.operator_key.Hex()}, {"labs", labs}};
  std::cout << trust.dump(1) << "\n";
}

void RevokeBySlot(const Consortium& consortium, const Ed25519KeyPair& operator_key, const std::string& slot) {
  const FederationState state = ReadPublishedState(RealFileSystem(), consortium);
  const auto lab = state.roster().find(slot);
  if (lab == state.roster().end()) {
    throw Error(ErrorCode::kNotFound, "no lab of the roster is called " + slot);
  }
  Revoke(RealFileSystem(), consortium, operator_key, lab->second);
}

void DecideFromLog(const Consortium& consortium, const Ed25519KeyPair& operator_key, DecisionKind kind,
                   const std::string& slot) {
  Decide(RealFileSystem(), consortium, ReadPublishedState(RealFileSystem(), consortium), operator_key, kind, slot);
}

void AddWeights(const Consortium& consortium, const Options& options) {
  FileSystem& files = RealFileSystem();
  ObjectStore store(files, consortium.folder.root);
  const Path copy = consortium.folder.Scratch() / "weights.safetensors";
  std::filesystem::copy_file(options.file, copy, std::filesystem::copy_options::overwrite_existing);
  const Digest digest = DigestOfFile(files, copy);
  (void)SafetensorsReader::Open(files, copy);
  store.AdoptFile(copy, digest);
  std::cout << digest.Hex() << "\n";
}

void Run(const Consortium& consortium, const Options& options) {
  InstallStopSignals(WakeLoop);
  const FolderLock lock(consortium.folder.root, "coordinator");
  SystemClock clock;
  RunServer(RealFileSystem(), clock, consortium, options.until_finished,
            {.stop = StopRequested,
             .print = [](const std::string& line) { std::cout << line << std::endl; },
             .on_started = [](std::function<void()> wake) { wake_loop = std::move(wake); }});
  wake_loop = nullptr;
}

int Main(int argc, char** argv) {
  CLI::App app{
      "Runs a consortium: invites labs, runs a signed plan, merges their updates in integers and keeps the round log.\n"
      "It never sees a picture and needs no GPU."};
  app.footer(
      "Typical first day:\n"
      "  hemafed-coordinator init DIR --name mycons --operator-key ~/operator.pem --host coordinator.example\n"
      "  hemafed-coordinator run DIR &\n"
      "  hemafed-coordinator invite DIR munich            prints a token for the lab\n"
      "  hemafed-coordinator pending DIR                  shows who asked, with fingerprints\n"
      "  hemafed-coordinator approve DIR munich --fingerprint abcd-efgh-ijkl-mnop --operator-key ~/operator.pem\n"
      "  hemafed-coordinator add-weights DIR efficientnet_lite0.safetensors\n"
      "  hemafed-coordinator submit-plan DIR plan.toml --operator-key ~/operator.pem\n\n" +
      std::string(kExitCodeHelp));
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(kVersion));
  Options options;
  const auto with_folder = [&](const char* name, const char* text) {
    CLI::App* command = app.add_subcommand(name, text);
    command->add_option("folder", options.folder, "The consortium's folder")->required();
    return command;
  };
  const auto with_operator = [&](CLI::App* command) {
    command->add_option("--operator-key", options.operator_key, "The operator's private key (PEM)")->required();
    return command;
  };

  CLI::App* init = with_operator(with_folder("init", "Make a consortium: folder, keys, settings"));
  init->add_option("--name", options.name, "Name of consortium and log: a-z, 0-9, '_', '-'")->required();
  init->add_option("--host", options.host, "Host name that labs dial")->capture_default_str();
  init->add_option("--bind", options.bind, "Address to listen on; * for all")->capture_default_str();
  init->add_option("--work-port", options.work_port, "Port for admitted labs")->capture_default_str();
  init->add_option("--enrol-port", options.enrol_port, "Port for labs that join")->capture_default_str();

  CLI::App* invite = with_folder("invite", "Print a one-time token for a lab");
  invite->add_option("slot", options.slot, "The lab's name in plans and logs")->required();
  CLI::App* pending = with_folder("pending", "List labs that presented their token, with fingerprints");
  CLI::App* approve = with_operator(with_folder("approve", "Admit a pending lab after comparing fingerprints"));
  approve->add_option("slot", options.slot, "The lab's name")->required();
  approve->add_option("--fingerprint", options.fingerprint, "What the lab's screen shows")->required();
  CLI::App* revoke = with_operator(with_folder("revoke", "Remove a lab: its next message is refused"));
  revoke->add_option("slot", options.slot, "The lab's name")->required();
  CLI::App* leave_out = with_operator(with_folder("leave-out", "Let a paused task go on without a late lab"));
  leave_out->add_option("slot", options.slot, "The lab's name")->required();
  CLI::App* try_again =
      with_operator(with_folder("try-again", "Ask a lab whose update was refused to train the round again"));
  try_again->add_option("slot", options.slot, "The lab's name")->required();
  CLI::App* weights = with_folder(
      "add-weights", "Store files that plans name (initial weights, detector, autoencoder); prints their digest");
  weights->add_option("file", options.file, "A safetensors file")->required()->check(CLI::ExistingFile);
  CLI::App* check = app.add_subcommand("check", "Check a plan and say what it will do; needs no folder");
  check->add_option("plan", options.plan, "plan.toml")->required()->check(CLI::ExistingFile);
  CLI::App* submit = with_operator(with_folder("submit-plan", "Sign a plan and hand it to the coordinator"));
  submit->add_option("plan", options.plan, "plan.toml")->required()->check(CLI::ExistingFile);
  CLI::App* run = with_folder("run", "Serve: admit labs, run the plan, keep the log");
  run->add_flag("--until-finished", options.until_finished, "Stop once the plan is closed and all labs have left");
  CLI::App* status = with_folder("status", "Print what the running coordinator last said of itself");
  // What `run` starts for itself (coordinator/solver_process.h).
  CLI::App* solve = app.add_subcommand("solve-head", "")->group("");
  solve->add_option("--plan", options.plan)->required();
  solve->add_option("--sums", options.sums)->required();
  solve->add_option("--totals", options.totals);
  solve->add_option("--out", options.out)->required();
  solve->add_option("--parent", options.parent)->required();
  CLI::App* report = with_folder("report", "Print the consortium's report, from the published log");
  report->add_option("--out", options.file, "Folder for report.html, report.json and tables as CSV; made if missing");
  CLI::App* trust = with_folder("trust", "Print the trust file that auditors start from");
  CLI11_PARSE(app, argc, argv);

  FileSystem& files = RealFileSystem();
  if (*init) {
    Init(options);
    return 0;
  }
  if (*check) {
    std::cout << PreviewPlan(ParsePlan(ReadFile(files, options.plan, kMaxPlanBytes), options.plan));
    return 0;
  }
  if (*solve) {
    HeadSolveRequest request{.plan = options.plan, .input = {.sums = options.sums, .totals = {}}, .out = options.out};
    if (!options.totals.empty()) request.input.totals = options.totals;
    return RunSolveCommand(files, request, options.parent);
  }
  const Consortium consortium = LoadConsortium(files, {options.folder});
  const auto operator_key = [&] { return Ed25519KeyPair::Load(files, options.operator_key); };
  if (*invite) {
    std::cout << Invite(files, consortium, options.slot, SystemClock().WallMs()).ToToken() << "\n";
  } else if (*pending) {
    for (const PendingLab& lab : ListPending(files, consortium))
      std::cout << lab.lab.slot << " " << lab.fingerprint << "\n";
  } else if (*approve) {
    Approve(files, consortium, operator_key(), options.slot, options.fingerprint);
  } else if (*revoke) {
    RevokeBySlot(consortium, operator_key(), options.slot);
  } else if (*leave_out) {
    DecideFromLog(consortium, operator_key(), DecisionKind::kLeaveOut, options.slot);
  } else if (*try_again) {
    DecideFromLog(consortium, operator_key(), DecisionKind::kTryAgain, options.slot);
  } else if (*weights) {
    AddWeights(consortium, options);
  } else if (*submit) {
    SubmitPlan(files, consortium, operator_key(), options.plan);
  } else if (*run) {
    Run(consortium, options);
  } else if (*status) {
    std::cout << ReadFile(files, consortium.folder.StatusFile(), 1 << 20);
  } else if (*report) {
    const auto out = options.file.empty() ? std::nullopt : std::optional<Path>(options.file);
    std::cout << ReportPublished(files, consortium, out);
    if (out) std::cout << "\nreport: " << (*out / "report.html").string() << "\n";
  } else if (*trust) {
    PrintTrust(consortium);
  }
  return 0;
}

}  // namespace
}  // namespace hemafed::coordinator

int main(int argc, char** argv) {
  return hemafed::RunProgram("hemafed-coordinator", [&] { return hemafed::coordinator::Main(argc, argv); });
}
