// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/federation_state.h"

#include <algorithm>
#include <utility>

#include "codec/integer_weights.h"
#include "codec/merge.h"
#include "common/error.h"
#include "protocol/federation/signing.h"

namespace hemafed {

namespace {

[[noreturn]] void Refuse(const std::string& what) { throw Error(ErrorCode::kRefused, what); }
[[noreturn]] void OutOfPlace(const std::string& what) { throw Error(ErrorCode::kConflict, what); }

std::string InTask(std::uint32_t task) { return " in task " + std::to_string(task); }

}  // namespace

std::string_view PhaseName(Phase phase) noexcept {
  switch (phase) {
    case Phase::kNoPlan: return "waiting for a plan";
    case Phase::kBetweenTasks: return "between tasks";
    case Phase::kCommitting: return "collecting commitments";
    case Phase::kBetweenRounds: return "between rounds";
    case Phase::kRoundOpen: return "training";
    case Phase::kJudging: return "judging the merged model";
    case Phase::kAcknowledging: return "distributing the model";
    case Phase::kEvaluating: return "evaluating";
    case Phase::kClosed: return "finished";
  }
  return "unknown";
}

FederationState::FederationState(PlanLoader load_plan) : load_plan_(std::move(load_plan)) {}

const ConsortiumEntry& FederationState::consortium() const {
  if (!consortium_) OutOfPlace("the log is empty: its first entry names the consortium and its keys");
  return *consortium_;
}

const Plan& FederationState::plan() const {
  if (!plan_) OutOfPlace("there is no plan yet");
  return *plan_;
}

const Digest& FederationState::plan_digest() const {
  (void)plan();
  return plan_digest_;
}

bool FederationState::everyone_joined() const {
  const auto sites = plan().Sites();
  return std::all_of(sites.begin(), sites.end(), [&](const auto& site) { return roster_.contains(site); });
}

void FederationState::RequirePhase(Phase phase, std::string_view what) const {
  if (phase_ != phase) {
    OutOfPlace(std::string(what) + " cannot stand here: the federation is " + std::string(PhaseName(phase_)));
  }
}

void FederationState::Check(const Entry& entry) const {
  if ((entries_ == 0) != std::holds_alternative<ConsortiumEntry>(entry.body)) {
    OutOfPlace("the first entry, and only the first, names the consortium");
  }
  std::visit([&](const auto& body) { Check(body); }, entry.body);
}

void FederationState::Apply(const Entry& entry) {
  Check(entry);
  std::visit([&](const auto& body) { Advance(body); }, entry.body);
  ++entries_;
}

// --- who takes part ---

void FederationState::Check(const ConsortiumEntry& /*entry*/) const {}

void FederationState::Advance(const ConsortiumEntry& entry) { consortium_ = entry; }

void FederationState::Check(const RosterEntry& entry) const {
  const std::string& slot = entry.lab.slot;
  if (!VerifyOperatorRoster(consortium().operator_key, entry)) {
    throw Error(ErrorCode::kInvalidInput, "roster change for " + slot + ": not signed by the operator's key");
  }
  if (!entry.joins) {
    const auto found = roster_.find(slot);
    if (found == roster_.end() || found->second != entry.lab)
      OutOfPlace("revoked lab " + slot + " is not in the roster");
    return;
  }
  if (!VerifyLabIdentity(entry.lab, entry.lab_signature)) {
    throw Error(ErrorCode::kInvalidInput, "roster change for " + slot + ": the lab did not sign its own identity");
  }
  if (roster_.size() >= kMaxSites) Refuse("the roster is full: " + std::to_string(kMaxSites) + " labs");
  if (roster_.contains(slot)) OutOfPlace("the slot " + slot + " is taken");
  for (const auto& [name, lab] : roster_) {
    const bool shares_key = lab.curve_key == entry.lab.curve_key || lab.statement_key == entry.lab.statement_key;
    if (shares_key) Refuse(std::string("lab ").append(slot).append(" uses a key of lab ").append(name));
  }
}

void FederationState::Advance(const RosterEntry& entry) {
  if (entry.joins) {
    roster_[entry.lab.slot] = entry.lab;
  } else {
    roster_.erase(entry.lab.slot);
  }
}

// --- the plan and its tasks ---

void FederationState::Check(const PlanEntry& entry) const {
  RequirePhase(Phase::kNoPlan, "a plan");
  if (!VerifyOperatorPlan(consortium().operator_key, entry.plan, entry.operator_signature)) {
    throw Error(ErrorCode::kInvalidInput, "plan " + entry.plan.Hex() + ": not signed by the operator's key");
  }
  (void)LoadPlan(entry.plan);
}

Plan FederationState::LoadPlan(const Digest& digest) const {
  const std::string text = load_plan_(digest);
  if (Sha256Of(text) != digest) {
    throw Error(ErrorCode::kCorrupt, "plan " + digest.Hex() + ": the stored text has another digest");
  }
  return ParsePlan(text, "plan " + digest.Hex().substr(0, 8));
}

void FederationState::Advance(const PlanEntry& entry) {
  plan_ = LoadPlan(entry.plan);
  plan_digest_ = entry.plan;
  plan_signature_ = entry.operator_signature;
  model_ = plan_->model.weights;
  matrix_ = AccuracyMatrix();
  phase_ = Phase::kBetweenTasks;
}

void FederationState::Check(const TaskOpenedEntry& entry) const {
  RequirePhase(Phase::kBetweenTasks, "an opened task");
  if (entry.task != task_ || task_ >= plan().tasks.size()) {
    OutOfPlace("task " + std::to_string(entry.task) + " is not the next one");
  }
  if (!everyone_joined()) OutOfPlace("a task cannot open before every site of the plan has joined");
  if (entry.participants != plan().Participants(task_))
    Refuse("the participants" + InTask(task_) + " are not the plan's");
  const std::optional<Digest> teacher = task_ == 0 ? std::nullopt : std::optional(model_);
  if (entry.teacher != teacher) Refuse("the teacher" + InTask(task_) + " is not the model after the task before");
  if (!HeadGrows() && entry.base != model_) {
    Refuse("the base" + InTask(task_) + " is not the model after the task before");
  }
}

bool FederationState::HeadGrows() const {
  return task_ == 0 || plan().KnownClasses(task_) > plan().KnownClasses(task_ - 1);
}

std::size_t FederationState::OldClasses() const { return task_ == 0 ? 0 : plan().KnownClasses(task_ - 1); }

std::optional<Digest> FederationState::TrainingTeacher() const {
  return task_plan().gamma > 0 ? teacher_ : std::nullopt;
}

void FederationState::Advance(const TaskOpenedEntry& entry) {
  model_ = entry.base;
  teacher_ = entry.teacher;
  participants_ = entry.participants;
  round_ = 0;
  commitments_.clear();
  evaluations_.clear();
  carries_residual_.clear();
  absent_.clear();
  candidate_.reset();
  retained_.clear();
  last_step_.reset();  // Another task, and maybe another layout.
  exemplars_reported_ = false;
  phase_ = Phase::kCommitting;
}

void FederationState::Check(const RoundOpenedEntry& entry) const {
  RequirePhase(Phase::kBetweenRounds, "an opened round");
  if (entry.task != task_ || entry.round != round_)
    OutOfPlace("round " + std::to_string(entry.round) + " is not the next one");
  if (entry.base != model_) Refuse("the base of round " + std::to_string(round_) + " is not the current model");
}

void FederationState::Advance(const RoundOpenedEntry& /*entry*/) {
  updates_.clear();
  refused_.clear();
  acknowledged_.clear();
  phase_ = Phase::kRoundOpen;
}

// --- what sites say ---

void FederationState::CheckStatement(const std::string& site, const SiteStatement& statement,
                                     const Ed25519Signature& signature) const {
  Check(StatementEntry{site, statement, signature});
}

void FederationState::Check(const StatementEntry& entry) const {
  // Names, not a structured binding: clang 14 lets no lambda capture those.
  const std::string& site = entry.site;
  const SiteStatement& statement = entry.statement;
  const Ed25519Signature& signature = entry.signature;
  const std::string what = std::string(StatementKindName(statement.kind)) + " of " + site;
  const auto lab = roster_.find(site);
  if (lab == roster_.end()) Refuse(what + ": not in the roster");
  if (!VerifySiteStatement(lab->second.statement_key, plan_digest(), statement, signature)) {
    throw Error(ErrorCode::kInvalidInput, what + ": not signed by the lab's statement key for this plan");
  }
  if (statement.task != task_ ||
      (phase_ != Phase::kCommitting && phase_ != Phase::kEvaluating && statement.round != round_)) {
    OutOfPlace(what + ": it is about another task or round than the open one");
  }
  const Digest& subject = statement.kind == StatementKind::kJudgement && candidate_ ? candidate_->model : model_;
  if (statement.subject != subject) Refuse(what + ": it is about another model than the current one");
  const bool takes_part = std::find(participants_.begin(), participants_.end(), site) != participants_.end();
  const auto require_participant = [&] {
    if (!takes_part) Refuse(what + ": the site does not take part" + InTask(task_));
    if (absent_.contains(site))
      Refuse(what + ": it came too late, the others went on without this site" + InTask(task_));
  };
  JsonFields body(statement.body, what);

  switch (statement.kind) {
    case StatementKind::kCommitment: {
      RequirePhase(Phase::kCommitting, "a commitment");
      require_participant();
      if (commitments_.contains(site)) OutOfPlace(what + ": already committed" + InTask(task_));
      const auto report = CommitmentReport::FromJson(body);
      if (report.classes.size() != plan().classes.size()) Refuse(what + ": counts for another number of classes");
      if (site == participants_.front() && report.pictures < plan().min_pictures) {
        Refuse(what + ": fewer than the plan's " + std::to_string(plan().min_pictures) + " training pictures");
      }
      if (site == participants_.front()) break;
      // A budget shrinks earlier lists when later ones come (published-systems 2.3); m pictures a list stay.
      const std::uint64_t kept = exemplars_.at(site);
      if (report.pictures > kept || (plan().rehearsal.budget == 0 && report.pictures != kept)) {
        Refuse(what + ": the number of exemplars is not the one reported after its tasks");
      }
      break;
    }
    case StatementKind::kUpdate:
      RequirePhase(Phase::kRoundOpen, "an update");
      require_participant();
      if (RoundAnswered(site)) OutOfPlace(what + ": already answered in round " + std::to_string(round_));
      CheckUpdate(site, UpdateReport::FromJson(body));
      break;
    case StatementKind::kJudgement: {
      RequirePhase(Phase::kJudging, "a judgement");
      const std::vector<std::string> judges = plan().Judges(task_);
      if (std::find(judges.begin(), judges.end(), site) == judges.end()) Refuse(what + ": the site is no judge");
      if (absent_.contains(site)) Refuse(what + ": it came too late, the others went on without this site");
      if (judgements_.contains(site)) OutOfPlace(what + ": already judged this candidate");
      const auto report = JudgementReport::FromJson(body);
      if (report.pictures > plan().retention.pictures) Refuse(what + ": more pictures than the plan's");
      const auto before = retained_.find(site);
      if (before != retained_.end() && before->second.pictures != report.pictures) {
        Refuse(what + ": other pictures than it judged the round's base by");
      }
      break;
    }
    case StatementKind::kAcknowledgement:
      RequirePhase(Phase::kAcknowledging, "an acknowledgement");
      require_participant();
      if (acknowledged_.contains(site)) OutOfPlace(what + ": already acknowledged");
      body.RequireAllRead();
      break;
    case StatementKind::kExemplars: {
      RequirePhase(Phase::kEvaluating, "an exemplar report");
      if (site != participants_.front() || !exemplars_pending())
        OutOfPlace(what + ": no exemplars are due from this site");
      const auto report = ExemplarReport::FromJson(body);
      const std::uint64_t most = plan().ExemplarsPerList(task_ + 1) * ListsOf(site);
      if (report.kept > most) Refuse(what + ": more exemplars than the plan's " + std::to_string(most));
      break;
    }
    case StatementKind::kEvaluation: {
      RequirePhase(Phase::kEvaluating, "an evaluation");
      if (evaluations_.contains(site)) OutOfPlace(what + ": already evaluated" + InTask(task_));
      const auto sites = plan().Sites();
      if (std::find(sites.begin(), sites.end(), site) == sites.end())
        Refuse(what + ": the plan does not name this site");
      (void)EvaluationOf(entry);
      break;
    }
  }
}

void FederationState::CheckUpdate(const std::string& site, const UpdateReport& report) const {
  const std::string what = "update of " + site;
  if (report.teacher != TrainingTeacher()) {
    Refuse(what + ": made with another teacher than the task's");
  }
  if (report.probe.has_value() != TrainingTeacher().has_value()) {
    Refuse(what + (report.probe ? ": it has a probe of distillation, but there is no teacher"
                                : ": its probe of distillation is missing"));
  }
  if (report.probe && report.probe->pictures != std::min<std::uint64_t>(plan().strategy.probe, report.pictures)) {
    Refuse(what + ": its probe is of another number of pictures than the plan's");
  }
  if (report.pictures == 0) Refuse(what + ": made from no picture");
  if (report.pictures > commitments_.at(site).pictures) Refuse(what + ": more pictures than it committed to");
  if (report.steps != task_plan().training.steps) Refuse(what + ": another number of steps than the plan's");
}

void FederationState::Advance(const StatementEntry& entry) {
  const auto& [site, statement, signature] = entry;
  const JsonFields body(statement.body, site);
  switch (statement.kind) {
    case StatementKind::kCommitment:
      commitments_[site] = CommitmentReport::FromJson(body);
      MoveOn();
      break;
    case StatementKind::kUpdate:
      updates_[site] = UpdateReport::FromJson(body);
      carries_residual_.insert(site);
      break;
    case StatementKind::kJudgement: judgements_[site] = JudgementReport::FromJson(body); break;
    case StatementKind::kAcknowledgement:
      acknowledged_.insert(site);
      MoveOn();
      break;
    case StatementKind::kExemplars:
      exemplars_[site] = ExemplarReport::FromJson(body).kept;
      exemplars_reported_ = true;
      break;
    case StatementKind::kEvaluation: evaluations_.emplace(site, EvaluationOf(entry)); break;
  }
}

std::vector<std::string> FederationState::Awaited() const {
  const auto answered = [&](const std::string& site) {
    switch (phase_) {
      case Phase::kCommitting: return commitments_.contains(site);
      case Phase::kRoundOpen: return RoundAnswered(site);
      case Phase::kJudging: return judgements_.contains(site);
      case Phase::kAcknowledging: return acknowledged_.contains(site);
      case Phase::kNoPlan:
      case Phase::kBetweenTasks:
      case Phase::kBetweenRounds:
      case Phase::kEvaluating:
      case Phase::kClosed: break;
    }
    return true;
  };
  std::vector<std::string> awaited;
  for (const std::string& site : phase_ == Phase::kJudging ? plan().Judges(task_) : participants_) {
    if (!absent_.contains(site) && !answered(site)) awaited.push_back(site);
  }
  return awaited;
}

void FederationState::MoveOn() {
  if (!Awaited().empty()) return;
  if (phase_ == Phase::kCommitting) {
    phase_ = Phase::kBetweenRounds;
  } else if (phase_ == Phase::kAcknowledging) {
    ++round_;
    phase_ = round_ < task_plan().rounds ? Phase::kBetweenRounds : Phase::kEvaluating;
  }
}

AbsentEntry FederationState::AbsenceOf(const std::string& site) const {
  const auto kept = exemplars_.find(site);
  return {.site = site, .task = task_, .round = round_, .exemplars = kept == exemplars_.end() ? 0 : kept->second};
}

void FederationState::Check(const AbsentEntry& entry) const {
  if (plan().absence.after_s == 0) Refuse("the plan waits for every site, so none can be absent");
  const std::vector<std::string> awaited = Awaited();
  if (std::find(awaited.begin(), awaited.end(), entry.site) == awaited.end()) {
    OutOfPlace("nothing is awaited from " + entry.site);
  }
  if (entry.site == participants_.front()) Refuse("the active site is waited for, however late it is");
  const AbsentEntry expected = AbsenceOf(entry.site);
  if (entry.task != expected.task || entry.round != expected.round || entry.exemplars != expected.exemplars) {
    Refuse("the absence of " + entry.site + " does not say what the log gives");
  }
}

void FederationState::Advance(const AbsentEntry& entry) {
  absent_.insert(entry.site);
  MoveOn();
}

void FederationState::Check(const RefusedEntry& entry) const {
  RequirePhase(Phase::kRoundOpen, "a refusal");
  const bool takes_part = std::find(participants_.begin(), participants_.end(), entry.site) != participants_.end();
  if (entry.task != task_ || entry.round != round_ || !takes_part || RoundAnswered(entry.site)) {
    OutOfPlace("the refusal of " + entry.site + " does not belong to the open round");
  }
}

void FederationState::Advance(const RefusedEntry& entry) {
  refused_.insert(entry.site);
  carries_residual_.erase(entry.site);
}

// --- closing ---

std::vector<std::pair<std::string, std::uint32_t>> FederationState::RoundWeights() const {
  std::vector<std::uint64_t> pictures;
  std::vector<std::string> sites;
  for (const std::string& site : participants_) {
    const auto update = updates_.find(site);
    if (update == updates_.end()) continue;
    sites.push_back(site);
    pictures.push_back(update->second.pictures);
  }
  const std::vector<std::uint32_t> weights = IntegerWeights(pictures, plan().aggregation.max_share);
  std::vector<std::pair<std::string, std::uint32_t>> named;
  for (std::size_t i = 0; i < sites.size(); ++i) named.emplace_back(sites[i], weights[i]);
  return named;
}

void FederationState::RequireAllAnswered() const {
  if (!Awaited().empty()) OutOfPlace("a round is merged after every participant answered");
  if (const auto why = WhyRoundCannotClose()) Refuse("the round cannot close: " + *why);
}

void FederationState::Check(const CandidateEntry& entry) const {
  if (!Gated()) OutOfPlace("a candidate cannot stand here: nobody judges" + InTask(task_));
  if (phase_ != Phase::kJudging) RequirePhase(Phase::kRoundOpen, "a candidate");
  if (entry.task != task_ || entry.round != round_) OutOfPlace("the candidate is not of the open round");
  if (phase_ == Phase::kRoundOpen) {
    RequireAllAnswered();
    if (entry.halvings != 0) Refuse("a round's first candidate has the whole step");
    return;
  }
  if (!Judged() || CandidateAccepted()) OutOfPlace("the candidate before has to be judged and found wanting first");
  if (entry.halvings != candidate_->halvings + 1 || !MayHalve()) Refuse("the step was halved too often, or not once");
}

void FederationState::Advance(const CandidateEntry& entry) {
  candidate_ = entry;
  judgements_.clear();
  phase_ = Phase::kJudging;
}

bool FederationState::CandidateAccepted() const {
  std::uint64_t pictures = 0, before = 0, now = 0;
  for (const auto& [site, report] : judgements_) {
    const auto base = retained_.find(site);
    pictures += report.pictures;
    now += report.agrees;
    // The first round's base has the teacher's own rows, so it agrees on every picture.
    before += base == retained_.end() ? report.pictures : base->second.agrees;
  }
  return before <= now || (before - now) * 1'000'000 <= plan().retention.max_drop_millionths * pictures;
}

void FederationState::Check(const RoundClosedEntry& entry) const {
  const bool gated = Gated();
  RequirePhase(gated ? Phase::kJudging : Phase::kRoundOpen, "a closed round");
  if (entry.task != task_ || entry.round != round_) OutOfPlace("the closed round is not the open one");
  if (entry.weights != RoundWeights()) Refuse("the weights are not those that plan and commitments give");
  if (!gated) {
    RequireAllAnswered();
    if (entry.halvings != 0 || entry.rejected) Refuse("a step was halved or rejected without a gate");
    return;
  }
  if (!Judged()) OutOfPlace("a round closes after every judge has spoken");
  const bool accepted = CandidateAccepted();
  if (!accepted && MayHalve()) OutOfPlace("the candidate lost too much: its step is halved first");
  if (entry.rejected == accepted || entry.halvings != candidate_->halvings || entry.step != candidate_->step ||
      entry.model != (accepted ? candidate_->model : model_)) {
    Refuse("the round does not close with what the judgements give");
  }
}

std::optional<std::string> FederationState::WhyRoundCannotClose() const {
  if (updates_.empty()) return "every update was refused";
  const std::size_t rehearsing = updates_.size() - (updates_.contains(participants_.front()) ? 1 : 0);
  // With one update there is nothing to merge, whatever the rule.
  if (updates_.size() == 1 && rehearsing == 0) return std::nullopt;
  return WhyRuleCannotRun(MergeRuleOf(task_plan().rule), plan().aggregation.trim, rehearsing);
}

void FederationState::Advance(const RoundClosedEntry& entry) {
  // What was halved away or given up is not carried on (design, 11.11).
  if (entry.halvings > 0 || entry.rejected) carries_residual_.clear();
  last_step_ = entry.rejected ? std::nullopt : std::optional(entry.step);
  if (candidate_ && !entry.rejected) retained_ = judgements_;
  candidate_.reset();
  judgements_.clear();
  model_ = entry.model;
  phase_ = Phase::kAcknowledging;
}

bool FederationState::exemplars_pending() const {
  return phase_ == Phase::kEvaluating && plan().KeepsExemplars() && !exemplars_reported_;
}

EvaluationReport FederationState::EvaluationOf(const StatementEntry& entry) const {
  return EvaluationReport::FromJson(entry.statement.body, plan().classes.size(), plan().PoolsOf(entry.site));
}

std::uint64_t FederationState::ListsOf(const std::string& site) const {
  std::uint64_t lists = 0;
  for (std::uint32_t task = 0; task <= task_; ++task) {
    if (plan().tasks[task].site == site) lists += plan().tasks[task].classes.size();
  }
  return lists;
}

std::vector<std::uint64_t> FederationState::ExpectedRow() const {
  std::vector<std::uint64_t> row;
  for (const Column& column : plan().Columns()) {
    row.push_back(evaluations_.at(column.site).AccuracyMillionths(column.pool));
  }
  return row;
}

void FederationState::Check(const TaskClosedEntry& entry) const {
  RequirePhase(Phase::kEvaluating, "a closed task");
  if (entry.task != task_) OutOfPlace("the closed task is not the open one");
  if (exemplars_pending() || evaluations_.size() != plan().Sites().size()) {
    OutOfPlace("a task closes after its exemplars and every site's evaluation");
  }
  if (entry.model != model_) Refuse("the closed task names another model than the current one");
  if (entry.accuracy_millionths != ExpectedRow()) Refuse("the accuracies are not those of the sites' evaluations");
}

void FederationState::Advance(const TaskClosedEntry& entry) {
  matrix_.AddRow(entry.accuracy_millionths);
  ++task_;
  round_ = 0;
  phase_ = Phase::kBetweenTasks;
}

PlanClosedEntry FederationState::ExpectedPlanClosed() const {
  return {.model = model_,
          .average_accuracy_millionths = matrix_.AverageAccuracyMillionths(),
          .de_lange_forgetting_millionths = matrix_.DeLangeForgettingMillionths(),
          .first_task_drop_millionths = matrix_.FirstTaskDropMillionths()};
}

void FederationState::Check(const PlanClosedEntry& entry) const {
  RequirePhase(Phase::kBetweenTasks, "a closed plan");
  if (task_ != plan().tasks.size()) OutOfPlace("a plan closes after its last task");
  const PlanClosedEntry expected = ExpectedPlanClosed();
  const bool same = entry.model == expected.model &&
                    entry.average_accuracy_millionths == expected.average_accuracy_millionths &&
                    entry.de_lange_forgetting_millionths == expected.de_lange_forgetting_millionths &&
                    entry.first_task_drop_millionths == expected.first_task_drop_millionths;
  if (!same) Refuse("model or metrics of the closed plan are not those of the log");
}

void FederationState::Advance(const PlanClosedEntry& /*entry*/) { phase_ = Phase::kClosed; }

}  // namespace hemafed
