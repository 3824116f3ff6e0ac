// SPDX-License-Identifier: Apache-2.0
#include "studies/federation/simulation.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/copy_content.h"
#include "common/digest_of_file.h"
#include "common/error.h"
#include "common/json_fields.h"
#include "coordinator/published_state.h"
#include "site_agent/trainer/exchange_key.h"
#include "studies/local_federation/derived_keys.h"

namespace hemafed::studies {

using nlohmann::json;

namespace {

constexpr std::size_t kMaxSmallFileBytes = 16 << 10;
constexpr std::uint64_t kMaxCount = (std::uint64_t{1} << 53) - 1;
// One step of waiting, and how much of it is borne without a new entry: a year, longer than any lateness of a plan.
constexpr std::int64_t kIdleStepMs = 1'000;
constexpr std::int64_t kMaxIdleMs = 365ll * 24 * 3600 * 1000;
// Waiting steps at full size before they double: a site's answer is never that far away.
constexpr std::int64_t kPatientSteps = 100;

Path Begun(const Path& folder) { return folder / "begun.json"; }
Path CourseFile(const Path& folder) { return folder / "course.json"; }

void CopyFile(FileSystem& files, const Path& from, const Path& to) {
  const auto in = files.OpenForRead(from);
  if (in->Size() > kMaxWeightsBytes) {
    throw Error(ErrorCode::kInvalidInput, from.string() + " is larger than any model's weights");
  }
  const auto out = files.Create(to);
  (void)CopyContent(*in, *out);
  out->Close();
}

}  // namespace

Simulation::Simulation(FileSystem& files, const Clock& clock, PictureShelf& shelf, SimulationSettings settings,
                       Observer observer)
    : files_(files),
      machine_clock_(clock),
      shelf_(shelf),
      settings_(std::move(settings)),
      observer_(std::move(observer)),
      plan_(ParsePlan(settings_.plan, "the plan of " + settings_.folder.string())),
      clock_([this] { return EndOfLog(); }),
      federation_({.root = settings_.folder,
                   .sites = settings_.folder / "sites",
                   .coordinator_files = &files_,
                   .site_files = &files_,
                   .clock = &clock_,
                   .name = std::string(kConsortiumName),
                   .key_seed = settings_.key_seed,
                   .choose = {},
                   .on_delivery = [this] { clock_.PassMessage(); }}),
      started_ms_(clock.MonotonicMs()) {
  for (const std::string& site : plan_.Sites()) {
    if (!settings_.sites.contains(site)) {
      throw Error(ErrorCode::kInvalidInput, "the plan has the site '" + site +
                                                "', of which nothing is said where its "
                                                "pictures are; name it in the sites file");
    }
  }
  files_.CreateFolders(settings_.folder);
  lock_ = std::make_unique<FolderLock>(settings_.folder, "simulation");
  Begin();
  if (!finished_) {
    StartSites();
    StartPoison();
  }
}

void Simulation::Begin() {
  json begun = {{"plan", Sha256Of(settings_.plan).Hex()},
                {"weights", plan_.model.weights.Hex()},
                {"key_seed", settings_.key_seed},
                {"made_from", settings_.made_from.Hex()}};
  if (settings_.poison) begun["poison"] = settings_.poison->ToText();
  const Path marker = Begun(settings_.folder);
  if (files_.Exists(marker)) {
    if (ReadFile(files_, marker, kMaxSmallFileBytes) != begun.dump()) {
      throw Error(ErrorCode::kConflict, settings_.folder.string() +
                                            " was begun with another plan, other pictures or other weights; choose "
                                            "another output folder or remove it");
    }
    if (files_.Exists(CourseFile(settings_.folder))) {
      const json object = ParseJsonObject(ReadFile(files_, CourseFile(settings_.folder), kMaxSmallFileBytes),
                                          CourseFile(settings_.folder).string());
      JsonFields fields(object, CourseFile(settings_.folder).string());
      before_.bytes_to_sites = fields.Unsigned("bytes_to_sites", kMaxCount);
      before_.bytes_from_sites = fields.Unsigned("bytes_from_sites", kMaxCount);
      before_.seconds_thousandths = fields.Unsigned("seconds_thousandths", kMaxCount);
      finished_ = fields.Boolean("finished");
    }
    federation_.StartCoordinator();
    return;
  }
  // What a process left that was killed while the sites joined: a matter of milliseconds, done again.
  for (const char* part : {"consortium", "sites", "operator.pem", "course.json"}) {
    files_.Remove(settings_.folder / part);
  }
  federation_.Found();
  federation_.StartCoordinator();
  for (const std::string& site : plan_.Sites()) federation_.Enrol(site);
  for (const Digest& model : plan_.model.Files()) {
    const Path copy = settings_.folder / "consortium" / "scratch" / "weights";
    CopyFile(files_, settings_.models.at(model), copy);
    federation_.AdoptWeights(copy, model);
  }
  federation_.SubmitPlan(settings_.plan);
  if (plan_.rehearsal.policy == RehearsalPolicy::kSealed) {
    for (const std::string& site : plan_.Sites()) {
      const trainer::TrainerFolder folder{federation_.FolderOf(site).Trainer()};
      files_.CreateFolders(folder.Vault(), 0700);
      trainer::SaveExchangeKey(files_, folder.ExchangeKey(),
                               DerivedExchangeKey(settings_.key_seed, site + "/exchange"));
      federation_.Agree(site, settings_.plan);
    }
  }
  WriteTrust();
  WriteFileAtomically(files_, marker, begun.dump());
}

void Simulation::WriteTrust() {
  json labs = json::object();
  for (const auto& [site, lab] : state().roster()) labs[site] = lab.statement_key.Hex();
  const json trust = {{"log", LogKeyOf(federation_.consortium()).Encode()},
                      {"operator", federation_.consortium().operator_key.Hex()},
                      {"labs", labs}};
  WriteFileAtomically(files_, TrustFile(), trust.dump(1) + "\n");
}

void Simulation::StartSites() {
  for (const std::string& site : plan_.Sites()) {
    federation_.StartSite(site);
    const agent::SiteFolder folder = federation_.FolderOf(site);
    SiteSettings settings = settings_.sites.at(site);
    settings.site = site;
    runners_[site] = std::make_unique<trainer::JobRunner>(
        files_, clock_, JobFolder{folder.Jobs()}, trainer::TrainerFolder{folder.Trainer()}, settings,
        trainer::RunnerHooks{
            .stop =
                [this, site] {
                  ++steps_of_job_;
                  Observe(site + ": training");
                  return false;
                },
            .print = [](const std::string&) {},
            .pictures = [this](const SiteSettings& of, const Plan& plan) { return shelf_.Open(of, plan); },
            .ephemeral_key =
                [this](const BundleAddress& address) {
                  return DerivedExchangeKey(
                      settings_.key_seed,
                      address.sender + "/bundle " + std::to_string(address.task) + " " + address.recipient);
                }});
  }
}

void Simulation::StartPoison() {
  if (!settings_.poison) return;
  const agent::SiteFolder folder = federation_.FolderOf(settings_.poison->site);
  poison_.emplace(files_, JobFolder{folder.Jobs()}, *settings_.poison, settings_.folder / "poison");
  poison_->RewriteResults(plan_);  // A result that a process left that was killed before.
}

LogEnd Simulation::EndOfLog() const {
  if (!federation_.running()) return end_;
  const RoundLogWriter& log = federation_.service().log();
  if (log.size() != end_.entries) {
    log.ForEach(log.size() - 1, [&](std::uint64_t index, std::string_view text) {
      end_ = {.entries = index + 1, .at_ms = ParseEntry(text).at_ms};
    });
  }
  return end_;
}

void Simulation::Run() {
  NoteEntries();
  if (finished_) return;
  std::int64_t idle_steps = 0, idle_ms = 0;
  Observe("starting");
  while (true) {
    if (NoteEntries()) idle_steps = idle_ms = 0;
    if (federation_.DeliverOne()) continue;
    // Asked only when nothing is on its way: the last receipts belong to the bytes moved.
    if (federation_.Finished()) break;
    if (federation_.PollSites() || federation_.Tick()) continue;
    SaveCourse();  // A stop inside the job leaves the bytes counted that were moved for it.
    if (RunOneJob()) {
      idle_steps = idle_ms = 0;
      continue;
    }
    stood_still_ = federation_.service().Stuck();
    if (stood_still_) return;
    if (idle_ms >= kMaxIdleMs) {
      throw Error(ErrorCode::kConflict, "the federation in " + settings_.folder.string() + " stands still (" +
                                            std::string(PhaseName(state().phase())) + ", task " +
                                            std::to_string(state().task() + 1) + ", round " +
                                            std::to_string(state().round() + 1) + ")");
    }
    const std::int64_t step = idle_steps++ < kPatientSteps ? kIdleStepMs : idle_ms;
    clock_.PassIdle(step);
    idle_ms += step;
    Observe("waiting");
  }
  finished_ = true;
  SaveCourse();
  for (const std::string& site : plan_.Sites()) {
    // Models and results on their way; the final model stays with the agent.
    files_.Remove(federation_.FolderOf(site).Jobs());
    files_.Remove(trainer::TrainerFolder{federation_.FolderOf(site).Trainer()}.Residuals());
  }
  Observe("finished");
}

bool Simulation::RunOneJob() {
  for (auto& [site, runner] : runners_) {
    steps_of_job_ = 0;
    Observe(site + ": at work");
    const bool worked = runner->RunNext();
    steps_of_job_ = 0;
    if (worked && poison_) poison_->RewriteResults(plan_);
    if (worked) return true;
  }
  return false;
}

bool Simulation::NoteEntries() {
  const std::uint64_t size = log().size();
  if (size == noted_) return false;
  log().ForEach(noted_, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    const auto count = [&](std::uint32_t task) {
      const TrainingPlan& training = plan_.tasks.at(task).training;
      pictures_ += std::uint64_t{training.steps} * training.batch;
    };
    const auto* statement = std::get_if<StatementEntry>(&entry.body);
    if (statement != nullptr && statement->statement.kind == StatementKind::kUpdate) count(statement->statement.task);
    if (const auto* refused = std::get_if<RefusedEntry>(&entry.body)) count(refused->task);
  });
  noted_ = size;
  if (!finished_) SaveCourse();
  return true;
}

void Simulation::Observe(const std::string& what) {
  if (!observer_) return;
  const std::size_t task = std::min<std::size_t>(state().task(), plan_.tasks.size() - 1);
  observer_({.task = task,
             .tasks = plan_.tasks.size(),
             .round = state().round(),
             .what = what,
             .pictures = pictures_ + std::uint64_t{steps_of_job_} * plan_.tasks[task].training.batch});
}

SimulationCourse Simulation::Course() const {
  const wire::Traffic& traffic = federation_.traffic();
  return {.bytes_to_sites = before_.bytes_to_sites + traffic.sent_bytes,
          .bytes_from_sites = before_.bytes_from_sites + traffic.received_bytes,
          .seconds_thousandths =
              before_.seconds_thousandths + static_cast<std::uint64_t>(machine_clock_.MonotonicMs() - started_ms_)};
}

void Simulation::SaveCourse() const {
  const SimulationCourse course = Course();
  const json object = {{"bytes_to_sites", course.bytes_to_sites},
                       {"bytes_from_sites", course.bytes_from_sites},
                       {"seconds_thousandths", course.seconds_thousandths},
                       {"finished", finished_}};
  WriteFileAtomically(files_, CourseFile(settings_.folder), object.dump());
}

}  // namespace hemafed::studies
