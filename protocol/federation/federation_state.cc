// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/federation_state.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "protocol/federation/refusals.h"
#include "protocol/federation/signing.h"

namespace hemafed {

std::string_view PhaseName(Phase phase) noexcept {
  switch (phase) {
    case Phase::kNoPlan: return "waiting for a plan";
    case Phase::kBetweenTasks: return "between tasks";
    case Phase::kCommitting: return "collecting commitments";
    case Phase::kComparing: return "comparing with the consortium";
    case Phase::kMeasuring: return "collecting moments of latents";
    case Phase::kBetweenRounds: return "between rounds";
    case Phase::kRoundOpen: return "training";
    case Phase::kJudging: return "judging the merged model";
    case Phase::kAcknowledging: return "distributing the model";
    case Phase::kSumming: return "summing features";
    case Phase::kSolving: return "solving the head";
    case Phase::kSummarising: return "collecting class means";
    case Phase::kDeriving: return "deriving the model";
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

std::vector<std::string> FederationState::SitesToJoin() const {
  std::vector<std::string> sites = plan().Sites();
  if (plan().absence.joins_late && task_ < plan().tasks.size()) {
    sites = plan().Participants(task_);
    for (std::string& judge : plan().Judges(task_)) {
      if (std::find(sites.begin(), sites.end(), judge) == sites.end()) sites.push_back(std::move(judge));
    }
  }
  std::erase_if(sites, [&](const std::string& site) { return roster_.contains(site); });
  return sites;
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
    admissions_[entry.lab.slot] = entry;
  } else {
    roster_.erase(entry.lab.slot);
    admissions_.erase(entry.lab.slot);
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
  task_ends_.clear();
  measured_.clear();
  described_.clear();
  phase_ = Phase::kBetweenTasks;
}

void FederationState::Check(const TaskOpenedEntry& entry) const {
  RequirePhase(Phase::kBetweenTasks, "an opened task");
  if (entry.task != task_ || task_ >= plan().tasks.size()) {
    OutOfPlace("task " + std::to_string(entry.task) + " is not the next one");
  }
  if (const auto missing = SitesToJoin(); !missing.empty())
    OutOfPlace("a task cannot open before " + missing.front() + " has joined");
  if (task_ == 0 && !MissingAgreements().empty()) {
    OutOfPlace("the plan moves pictures: no task can open before every lab concerned has agreed, " +
               MissingAgreements().front() + " has not");
  }
  if (entry.participants != plan().Participants(task_))
    Refuse("the participants" + InTask(task_) + " are not the plan's");
  const std::optional<Digest> teacher = task_ == 0 ? std::nullopt : std::optional(model_);
  if (entry.teacher != teacher) Refuse("the teacher" + InTask(task_) + " is not the model after the task before");
  if (!HeadGrows() && entry.base != NextBase()) {
    Refuse("the base" + InTask(task_) + " is not the " +
           (plan().SolvesHead() || task_ == 0 ? "plan's initial weights" : "model after the task before"));
  }
  CheckSlow(entry.slow, "task " + std::to_string(task_ + 1));
  // The slow model begins as the first base; replay sees to it that later heads of both grow alike.
  const std::optional<Digest> slow = task_ == 0 ? std::optional(entry.base) : slow_;
  if (entry.slow && (task_ == 0 || !HeadGrows()) && entry.slow != slow) {
    Refuse("the slow model" + InTask(task_) + " is not the " + (task_ == 0 ? "first base" : "one before"));
  }
}

bool FederationState::HeadGrows() const {
  if (!plan().GrowsHead()) return false;
  return task_ == 0 || plan().KnownClasses(task_) > plan().KnownClasses(task_ - 1);
}

std::size_t FederationState::OldClasses() const { return task_ == 0 ? 0 : plan().KnownClasses(task_ - 1); }

std::optional<Digest> FederationState::TrainingTeacher() const { return plan().Distils() ? teacher_ : std::nullopt; }

void FederationState::Advance(const TaskOpenedEntry& entry) {
  model_ = task_base_ = entry.base;
  teacher_ = entry.teacher;
  participants_ = entry.participants;
  slow_ = entry.slow;
  scored_.reset();
  fisher_.reset();
  means_.clear();
  moments_.clear();
  drift_.reset();
  first_distillation_.clear();
  round_ = 0;
  commitments_.clear();
  evaluations_.clear();
  carries_residual_.clear();
  absent_.clear();
  left_out_.clear();
  unscored_.clear();
  candidate_.reset();
  retained_.clear();
  refused_.clear();
  sums_.reset();
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

// --- the ends of tasks and of the plan ---

std::vector<AccuracyMatrix::Cell> FederationState::ExpectedRow() const {
  std::vector<AccuracyMatrix::Cell> row;
  for (const Column& column : plan().Columns()) {
    const auto report = evaluations_.find(column.site);
    row.push_back(report == evaluations_.end() ? AccuracyMatrix::Cell()
                                               : report->second.AccuracyMillionths(column.pool));
  }
  return row;
}

void FederationState::Check(const TaskClosedEntry& entry) const {
  RequirePhase(Phase::kEvaluating, "a closed task");
  if (entry.task != task_) OutOfPlace("the closed task is not the open one");
  if (!Awaited().empty()) OutOfPlace("a task closes after its exemplars, their bundles and every site's evaluation");
  if (entry.model != scored_model()) Refuse("the closed task names another model than the one that was scored");
  if (entry.accuracy_millionths != ExpectedRow()) Refuse("the accuracies are not those of the sites' evaluations");
}

void FederationState::Advance(const TaskClosedEntry& entry) {
  if (!plan().Scorers().empty()) matrix_.AddRow(entry.accuracy_millionths);
  task_ends_.push_back({.model = model_, .fisher = fisher_ ? std::optional(fisher_->values) : std::nullopt});
  ++task_;
  round_ = 0;
  phase_ = Phase::kBetweenTasks;
}

PlanClosedEntry FederationState::ExpectedPlanClosed() const {
  if (matrix_.rows() == 0)
    return {.model = scored_model(),
            .average_accuracy_millionths = {},
            .de_lange_forgetting_millionths = {},
            .first_task_drop_millionths = {}};
  return {.model = scored_model(),
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
