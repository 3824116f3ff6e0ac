// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/assignment.h"

#include <algorithm>
#include <array>

#include "common/error.h"
#include "common/json_fields.h"
#include "protocol/federation/partner_word.h"

namespace hemafed {

using nlohmann::json;

namespace {

constexpr std::array<std::string_view, 4> kActionNames{"wait", "job", "acknowledge", "finished"};
constexpr std::size_t kMaxNoteBytes = 400;
constexpr std::array<std::string_view, 3> kAgreementNames{"none", "given", "ended"};

Job BaseJob(const FederationState& state, const std::string& site, JobKind kind) {
  Job job;
  job.kind = kind;
  job.plan = state.plan_digest();
  job.site = site;
  job.task = state.task();
  job.model = state.model();
  return job;
}

// Earlier tasks' models that the site's training is held to (ewc), or that answered its exemplars (derpp).
std::vector<JobAnchor> AnchorsFor(const FederationState& state, const std::string& site) {
  std::vector<JobAnchor> anchors;
  const StrategyKind strategy = state.plan().strategy.kind;
  if (strategy != StrategyKind::kEwc && strategy != StrategyKind::kDerpp) return anchors;
  for (std::uint32_t task = 0; task < state.task(); ++task) {
    if (strategy == StrategyKind::kDerpp && state.plan().tasks[task].site != site) continue;
    const TaskEnd& end = state.task_ends()[task];
    anchors.push_back({.task = task, .model = end.model, .fisher = end.fisher});
  }
  return anchors;
}

// Of the hospitals that the site's alignment term is about: for the source all others, for the others the source.
std::vector<JobMoments> MomentsFor(const FederationState& state, const std::string& site) {
  std::vector<JobMoments> moments;
  if (!state.plan().AlignsLatents()) return moments;
  const std::string& source = state.plan().strategy.source;
  for (const std::string& other : state.participants()) {
    const auto stated = state.moments().find(other);
    if (other == site || stated == state.moments().end() || (site != source && other != source)) continue;
    moments.push_back({.site = other, .moments = stated->second.values});
  }
  return moments;
}

std::optional<Job> JobFor(const FederationState& state, const std::string& site) {
  const auto& participants = state.participants();
  const bool takes_part = std::find(participants.begin(), participants.end(), site) != participants.end();
  const std::vector<std::string> awaited = state.Awaited();
  const bool is_awaited = std::find(awaited.begin(), awaited.end(), site) != awaited.end();
  const bool rehearsing = takes_part && state.Rehearses(site);
  // Before anything else, so that nothing more is learned from withdrawn pictures.
  if (const Withdrawal* withdrawal = state.WithdrawalToRemove(site)) {
    Job job = BaseJob(state, site, JobKind::kRemove);
    job.partner = PartnerOf(withdrawal->lab, withdrawal->entry);
    // The same text however long it takes: of the task that the bundle is of, and about no model.
    job.task = state.bundles()[withdrawal->bundle].entry.statement.task;
    job.model = state.plan().model.weights;
    return job;
  }
  if (state.phase() == Phase::kBetweenTasks && state.task() == 0) {
    // Every lab concerned says whether pictures may travel before anything is trained.
    const bool agrees = !state.agreements().contains(site) && !ExchangePartners(state.plan(), site).empty();
    if (agrees) return BaseJob(state, site, JobKind::kAgree);
  }
  if (state.phase() == Phase::kCommitting && is_awaited && site == participants.front()) {
    if (const SentBundle* bundle = state.BundleToReceive()) {
      Job job = BaseJob(state, site, JobKind::kReceive);
      job.partner = PartnerOf(state.admission(bundle->sender()), bundle->entry);
      return job;
    }
  }
  if (state.phase() == Phase::kCommitting && is_awaited) {
    Job job = BaseJob(state, site, JobKind::kCommit);
    job.rehearsing = rehearsing;
    return job;
  }
  if (state.phase() == Phase::kComparing && is_awaited) {
    Job job = BaseJob(state, site, JobKind::kDrift);
    for (const DescribedLatents& other : state.described()) {
      job.moments.push_back({.site = other.site, .moments = other.moments.values});
    }
    job.drift = state.ExpectedDrift();
    return job;
  }
  if (state.phase() == Phase::kMeasuring && is_awaited) {
    Job job = BaseJob(state, site, JobKind::kMoments);
    job.round = state.round();
    return job;
  }
  if (state.phase() == Phase::kRoundOpen && is_awaited) {
    Job job = BaseJob(state, site, JobKind::kTrain);
    job.round = state.round();
    job.rehearsing = rehearsing;
    job.teacher = state.TrainingTeacher();
    job.carry_residual = state.carries_residual(site);
    job.anchors = AnchorsFor(state, site);
    job.slow = state.slow();
    job.moments = MomentsFor(state, site);
    return job;
  }
  if (state.phase() == Phase::kJudging) {
    if (!is_awaited) return std::nullopt;
    Job job = BaseJob(state, site, JobKind::kJudge);
    job.round = state.round();
    job.model = state.candidate()->model;
    job.teacher = state.teacher();
    return job;
  }
  if (state.phase() == Phase::kSumming && is_awaited) return BaseJob(state, site, JobKind::kSum);
  // Selecting comes before scoring, so that the slower step starts first.
  if (takes_part && !rehearsing && state.exemplars_pending()) return BaseJob(state, site, JobKind::kSelect);
  if (state.phase() == Phase::kSummarising && is_awaited) return BaseJob(state, site, JobKind::kMeans);
  if (state.phase() != Phase::kEvaluating) return std::nullopt;
  if (takes_part && !rehearsing && state.fisher_pending()) return BaseJob(state, site, JobKind::kFisher);
  if (const auto due = state.BundlesToSend(); takes_part && !rehearsing && !due.empty()) {
    Job job = BaseJob(state, site, JobKind::kSeal);
    job.partner = PartnerOf(state.admission(due.front()), state.agreements().at(due.front()));
    return job;
  }
  if (!is_awaited || state.evaluations().contains(site)) return std::nullopt;
  Job job = BaseJob(state, site, JobKind::kEvaluate);
  job.model = state.scored_model();
  job.trunk = state.Trunk();
  return job;
}

std::string Note(const FederationState& state) {
  if (!state.has_plan()) return "no plan yet";
  if (const std::vector<std::string> missing = state.SitesToJoin();
      state.phase() == Phase::kBetweenTasks && !missing.empty()) {
    std::string note = "waiting for labs to join:";
    for (const std::string& name : missing) note += " " + name;
    return note.substr(0, kMaxNoteBytes);
  }
  if (const auto missing = state.MissingAgreements();
      state.task() == 0 && !missing.empty() && state.phase() == Phase::kBetweenTasks) {
    std::string waiting = "this plan moves pictures between labs; agreements are missing:";
    for (const std::string& site : missing) waiting += " " + site + (state.ended_agreement(site) ? " (ended)" : "");
    return waiting.substr(0, kMaxNoteBytes);
  }
  const std::size_t tasks = state.plan().tasks.size();
  if (state.task() >= tasks) return "plan " + state.plan().name + " is finished";
  const TaskPlan& task = state.plan().tasks[state.task()];
  std::string note = "task " + std::to_string(state.task() + 1) + "/" + std::to_string(tasks) + " (" + task.site + ")";
  if (!state.plan().SolvesHead()) {
    note += ", round " + std::to_string(std::min(state.round() + 1, task.rounds)) + "/" + std::to_string(task.rounds);
  }
  return note + ": " + std::string(PhaseName(state.phase())) + (state.paused() ? ", paused" : "");
}

}  // namespace

Assignment AssignmentFor(const FederationState& state, const std::string& site) {
  Assignment assignment;
  assignment.note = Note(state);
  if (!state.has_plan() || !state.roster().contains(site)) return assignment;
  assignment.plan = state.plan_digest();
  assignment.plan_signature = state.plan_signature();
  assignment.task = state.task();
  assignment.round = state.round();
  if (state.agreements().contains(site)) {
    assignment.agreement = state.ended_agreement(site) ? AgreementState::kEnded : AgreementState::kGiven;
  }
  // Pictures can be withdrawn after the plan, too.
  if (state.phase() == Phase::kClosed && state.WithdrawalToRemove(site) == nullptr) {
    assignment.action = Action::kFinished;
    assignment.model = state.scored_model();
    assignment.trunk = state.Trunk();
    return assignment;
  }
  const std::vector<std::string> awaited = state.Awaited();
  if (state.phase() == Phase::kAcknowledging && std::find(awaited.begin(), awaited.end(), site) != awaited.end()) {
    assignment.action = Action::kAcknowledge;
    assignment.model = state.model();
    return assignment;
  }
  assignment.job = JobFor(state, site);
  if (assignment.job) assignment.action = Action::kRunJob;
  if (assignment.job && assignment.job->kind == JobKind::kReceive) {
    assignment.bundle = state.BundleToReceive()->report.file;
  }
  return assignment;
}

std::vector<Digest> Assignment::Objects(const Plan* plan_content) const {
  std::vector<Digest> objects;
  if (plan) objects.push_back(*plan);
  if (model) objects.push_back(*model);
  if (trunk) objects.push_back(*trunk);
  if (job) {
    if (job->NeedsModel()) objects.push_back(job->model);
    if (job->teacher) objects.push_back(*job->teacher);
    if (job->trunk) objects.push_back(*job->trunk);
    if (job->slow) objects.push_back(*job->slow);
    for (const JobMoments& other : job->moments) objects.push_back(other.moments);
    for (const JobAnchor& anchor : job->anchors) {
      objects.push_back(anchor.model);
      if (anchor.fisher) objects.push_back(*anchor.fisher);
    }
  }
  if (bundle) objects.push_back(*bundle);
  const bool sees_pictures = action == Action::kFinished || (job && job->NeedsModel());
  if (sees_pictures && plan_content != nullptr) {
    const std::vector<Digest> frozen = plan_content->model.FrozenFiles();
    objects.insert(objects.end(), frozen.begin(), frozen.end());
  }
  return objects;
}

std::string Assignment::ToText() const {
  const auto optional_hex = [](const std::optional<Digest>& value) {
    return value ? json(value->Hex()) : json(nullptr);
  };
  return json{{"action", kActionNames[static_cast<std::size_t>(action)]},
              {"plan", optional_hex(plan)},
              {"plan_signature", plan_signature ? json(HexEncode(*plan_signature)) : json(nullptr)},
              {"task", task},
              {"round", round},
              {"job", job ? json(job->ToText()) : json(nullptr)},
              {"model", optional_hex(model)},
              {"trunk", optional_hex(trunk)},
              {"agreement", kAgreementNames[static_cast<std::size_t>(agreement)]},
              {"bundle", optional_hex(bundle)},
              {"note", note}}
      .dump();
}

Assignment Assignment::FromText(std::string_view text) {
  const json object = ParseJsonObject(text, "assignment");
  JsonFields fields(object, "assignment");
  Assignment assignment;
  const std::string action = fields.Text("action", 16);
  const auto found = std::find(kActionNames.begin(), kActionNames.end(), action);
  if (found == kActionNames.end()) fields.Fail("action", "is not known to this version of the agent");
  assignment.action = static_cast<Action>(found - kActionNames.begin());
  assignment.plan = fields.OptionalDigest("plan");
  if (!fields.Raw("plan_signature").is_null()) {
    Ed25519Signature signature;
    const Bytes bytes = fields.HexBytes("plan_signature", signature.size());
    std::copy(bytes.begin(), bytes.end(), signature.begin());
    assignment.plan_signature = signature;
  }
  assignment.task = static_cast<std::uint32_t>(fields.Unsigned("task", kMaxTasks));
  assignment.round = static_cast<std::uint32_t>(fields.Unsigned("round", kMaxRounds));
  if (!fields.Raw("job").is_null()) assignment.job = Job::FromText(fields.Text("job", kMaxJobBytes), "assignment: job");
  assignment.model = fields.OptionalDigest("model");
  assignment.trunk = fields.OptionalDigest("trunk");
  const std::string agreed = fields.Text("agreement", 16);
  const auto given = std::find(kAgreementNames.begin(), kAgreementNames.end(), agreed);
  if (given == kAgreementNames.end()) fields.Fail("agreement", "is not none, given or ended");
  assignment.agreement = static_cast<AgreementState>(given - kAgreementNames.begin());
  assignment.bundle = fields.OptionalDigest("bundle");
  assignment.note = fields.Text("note", kMaxNoteBytes);
  fields.RequireAllRead();

  const bool needs_plan = assignment.action != Action::kWait;
  if (needs_plan && (!assignment.plan || !assignment.plan_signature)) fields.Fail("plan", "is missing for this action");
  if ((assignment.action == Action::kRunJob) != assignment.job.has_value())
    fields.Fail("job", "does not fit the action");
  const bool takes_bundle = assignment.job && assignment.job->kind == JobKind::kReceive;
  if (takes_bundle != assignment.bundle.has_value()) fields.Fail("bundle", "does not fit the job");
  const bool needs_model = assignment.action == Action::kAcknowledge || assignment.action == Action::kFinished;
  if (needs_model && !assignment.model) fields.Fail("model", "is missing for this action");
  return assignment;
}

}  // namespace hemafed
