// protocol/federation/federation_state.h
// SPDX-License-Identifier: Apache-2.0
//
// The state of a federation as a fold over its log. Apply() takes the next entry, checks that it may stand there
// (order, signatures, bounds, agreement with plan and commitments) and moves on, or throws and changes nothing. The
// coordinator rebuilds itself with it and applies each entry it appends; the auditor runs it to verify. What Apply
// cannot know without the objects (sums, grown heads) is the replay's business (auditor/replay.h).
//
// Order of one task:
//     task_opened, commitments of all participants,
//     then for each round: (where latents are aligned: moments of all participants,) round_opened, updates or refusals
//     of all participants, round_closed, acknowledgements
//     (with a retention gate: before round_closed, candidates, each with the judgements of all earlier hospitals),
//     (where it stands still: paused, then the operator's decision)
//     then exemplars of the active site (where exemplars are kept), its Fisher information (strategy ewc, unless the
//     task is the last) and evaluations of all sites, task_closed.
// Where the plan has [drift], between commitments and rounds, once for each hospital, from the active site alone:
//     what it says of its latents beside the moments that are in the log already (if there are some), its own moments;
//     or in place of either that too few pictures are left, which ends this step
// Where an autoencoder is trained, nobody scores: task_closed follows the last acknowledgement.
// Where the strategy derives a model from the trained one, before the evaluations: model_derived, under icarl after the
// exemplars of the active site and the class means of all that hold exemplars (federation_derived.cc).
// Where the head is solved instead of trained (strategy analytic), between commitments and evaluations:
//     sums or a refusal of the active site, head_solved
// Where exemplars travel (policy `sealed`): the first task opens after the agreements of all labs concerned; after a
// task's exemplars comes a bundle for each recipient, and before the commitment of a task's active site what became of
// the bundles addressed to it. Agreements are checked in federation_exchange.cc.
// Roster changes and ends of agreements may stand anywhere; withdrawals of pictures that travelled, and their removals,
// even after plan_closed, which follows the last task.
//
// Errors: Error(kInvalidInput): malformed or not signed by whom it says; Error(kConflict): not allowed in this state;
// Error(kRefused): a rule was broken, the message names site and rule. Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "codec/drift_report.h"
#include "codec/evaluation.h"
#include "codec/exchange.h"
#include "codec/job_folder.h"
#include "codec/plan.h"
#include "codec/reports.h"
#include "protocol/federation/entries.h"

namespace hemafed {

enum class Phase : std::uint8_t {
  kNoPlan,         // Labs may join; nothing runs.
  kBetweenTasks,   // The next task may open (or the plan may close).
  kCommitting,     // Participants commit to their counts.
  kComparing,      // The active site compares its latents with those of the hospitals before it ([drift]).
  kMeasuring,      // Participants send the moments of their latents under the next round's base (strategy alignment);
                   // or the active site once those of its training pictures ([drift]).
  kBetweenRounds,  // The next round may open.
  kRoundOpen,      // Participants train and send updates.
  kJudging,        // Earlier hospitals score the round's candidate.
  kAcknowledging,  // Participants confirm the merged model.
  kSumming,        // The active site sums its features (strategy analytic).
  kSolving,        // The head follows from the sums.
  kSummarising,    // Exemplars are chosen, their holders send class means (strategy icarl).
  kDeriving,       // The model to be scored follows from the trained one (strategies icarl and wa).
  kEvaluating,     // Exemplars are chosen, every site scores the model.
  kClosed,         // The plan is done.
};

[[nodiscard]] std::string_view PhaseName(Phase phase) noexcept;

// A bundle that its sender has stated, and what the recipient said of it.
struct SentBundle {
  StatementEntry entry;
  BundleReport report;
  std::optional<ReceivedReport> received;

  [[nodiscard]] const std::string& sender() const { return entry.site; }
};

// What a hospital said of its latents before it trained for the first time ([drift]).
struct DescribedLatents {
  std::string site;
  MomentsReport moments;
  std::optional<DriftAnswer> drift;  // None of the first hospital: nobody was before it.
};

// What a task left behind for later ones.
struct TaskEnd {
  Digest model;
  std::optional<Digest> fisher;  // Canonical digest.
};

// Pictures of a bundle that their giver took back.
struct Withdrawal {
  Digest id;        // SHA-256 of the statement's text.
  RosterEntry lab;  // The giver, as the operator admitted it; it may have been revoked since.
  StatementEntry entry;
  WithdrawalReport report;
  std::size_t bundle = 0;  // Place in FederationState::bundles().
  bool removed = false;    // The recipient has said so.
};

class FederationState {
 public:
  // Returns the text of the plan with this digest, or throws; called once, when a plan entry is applied.
  using PlanLoader = std::function<std::string(const Digest&)>;

  explicit FederationState(PlanLoader load_plan);

  void Apply(const Entry& entry);
  // Whether Apply would accept the entry; throws what it would throw and changes nothing.
  void Check(const Entry& entry) const;

  // The checks of Apply for a statement alone, without applying it: what a coordinator does before it stores anything.
  void CheckStatement(const std::string& site, const SiteStatement& statement, const Ed25519Signature& signature) const;

  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] std::uint64_t entries() const { return entries_; }
  [[nodiscard]] const ConsortiumEntry& consortium() const;
  // Labs that may speak now, by name.
  [[nodiscard]] const std::map<std::string, LabIdentity>& roster() const { return roster_; }
  [[nodiscard]] bool has_plan() const { return plan_.has_value(); }
  [[nodiscard]] const Plan& plan() const;
  [[nodiscard]] const Digest& plan_digest() const;
  [[nodiscard]] const Ed25519Signature& plan_signature() const { return plan_signature_; }
  // Sites without which the next task cannot open: all of the plan, or those that take part in it (Plan::absence).
  [[nodiscard]] std::vector<std::string> SitesToJoin() const;

  // Whether the plan cannot go on without this participant of the open task: the active site, and the source that the
  // others' latents are drawn to.
  [[nodiscard]] bool Indispensable(const std::string& site) const;
  // Whether this participant of the open task trains on exemplars of earlier tasks alone, instead of learning.
  [[nodiscard]] bool Rehearses(const std::string& site) const;

  // Open task, or the next one to open.
  [[nodiscard]] std::uint32_t task() const { return task_; }
  // Open round, or the next one to open.
  [[nodiscard]] std::uint32_t round() const { return round_; }
  // The open task's part of the plan.
  [[nodiscard]] const TaskPlan& task_plan() const { return plan().tasks.at(task_); }
  // Whether the head gets rows when the next task opens.
  [[nodiscard]] bool HeadGrows() const;
  // The teacher that updates of the open task are made with: none where nothing is distilled.
  [[nodiscard]] std::optional<Digest> TrainingTeacher() const;
  // The model that training goes on from: the plan's initial weights, a grown base, or the last merged model. Of a
  // solved head: the trunk while a task's features are summed, then the head.
  [[nodiscard]] const Digest& model() const { return model_; }
  [[nodiscard]] const std::optional<Digest>& teacher() const { return teacher_; }
  // The model that the open task began with: the base of its first round.
  [[nodiscard]] const Digest& task_base() const { return task_base_; }
  [[nodiscard]] const std::vector<std::string>& participants() const { return participants_; }
  // Sites without which the open task trains and judges.
  [[nodiscard]] const std::set<std::string>& absent() const { return absent_; }
  // Sites whose answer the open step waits for.
  [[nodiscard]] std::vector<std::string> Awaited() const;
  // What would be logged if the open step went on without this site.
  [[nodiscard]] AbsentEntry AbsenceOf(const std::string& site) const;
  // Whether the open step may go on without this awaited site once it is late: by the plan or the operator's decision.
  [[nodiscard]] bool MayLeaveOut(const std::string& site) const;
  // Whether the operator has decided so.
  [[nodiscard]] bool LeftOut(const std::string& site) const { return left_out_.contains(site); }
  // Whether the log says that the open step stands still; it ends when nobody blocks any more.
  [[nodiscard]] bool paused() const { return paused_ == StepKey() && !Blocking().empty(); }
  // Sites that keep the open step from going on: those awaited, or whose refused update it cannot do without.
  [[nodiscard]] std::vector<std::string> Blocking() const;
  [[nodiscard]] const std::map<std::string, CommitmentReport>& commitments() const { return commitments_; }
  [[nodiscard]] const std::map<std::string, UpdateReport>& updates() const { return updates_; }
  // The update with these integers that was taken in this plan: "the update of first in round 2 of task 1".
  [[nodiscard]] std::optional<std::string> TakenBefore(const Digest& values) const;
  // L_dist of the task's teacher that the site reported first in the open task, in millionths.
  [[nodiscard]] std::optional<std::uint64_t> FirstDistillation(const std::string& site) const;
  // Sites whose update of the open round was refused.
  [[nodiscard]] const std::set<std::string>& refused() const { return refused_; }
  [[nodiscard]] const std::set<std::string>& acknowledged() const { return acknowledged_; }
  [[nodiscard]] bool exemplars_pending() const;
  // Reports on the current task's model, by site.
  [[nodiscard]] const std::map<std::string, EvaluationReport>& evaluations() const { return evaluations_; }
  [[nodiscard]] const AccuracyMatrix& matrix() const { return matrix_; }
  // Whether this site's last update of the open task was accepted: its rounding residual may be carried on.
  [[nodiscard]] bool carries_residual(const std::string& site) const { return carries_residual_.contains(site); }

  // Classes that the teacher of the open task knows; 0 in the first.
  [[nodiscard]] std::size_t OldClasses() const;
  // What the last round of the open task applied, for server momentum.
  [[nodiscard]] const std::optional<Digest>& last_step() const { return last_step_; }
  // The model that is being judged, and what was said of it, by site.
  [[nodiscard]] const std::optional<CandidateEntry>& candidate() const { return candidate_; }
  [[nodiscard]] const std::map<std::string, JudgementReport>& judgements() const { return judgements_; }
  // Whether the open task has a gate.
  [[nodiscard]] bool Gated() const { return !plan().Judges(task_).empty(); }
  // Whether everybody has judged the candidate, and whether it keeps enough (docs/round_log.md).
  [[nodiscard]] bool Judged() const { return candidate_ && Awaited().empty(); }
  [[nodiscard]] bool CandidateAccepted() const;
  // The candidate was judged and lost too much, and its step may be halved once more.
  [[nodiscard]] bool MayHalve() const { return candidate_->halvings < plan().retention.halvings; }

  // Where the head is solved: what the open task's site summed, and the sums of all solved tasks.
  [[nodiscard]] const std::optional<SumsReport>& sums() const { return sums_; }
  [[nodiscard]] const std::optional<Digest>& totals() const { return totals_; }
  // The model file that stays as it is while heads are solved; nothing with other strategies.
  [[nodiscard]] std::optional<Digest> Trunk() const;
  // What a task's evaluations are of, and what sites keep in the end: the current model, or what the strategy derives
  // from it (the nearest-mean head of icarl, the slow model of slow_fast).
  [[nodiscard]] const Digest& scored_model() const { return scored_ ? *scored_ : model_; }
  // The slow model of the open round (strategy slow_fast).
  [[nodiscard]] const std::optional<Digest>& slow() const { return slow_; }
  // Models that earlier tasks ended with, as they were trained, and their Fisher information where it was measured.
  [[nodiscard]] const std::vector<TaskEnd>& task_ends() const { return task_ends_; }
  // What the open task's active site said of its Fisher information, and whether it still owes it.
  [[nodiscard]] const std::optional<FisherReport>& fisher() const { return fisher_; }
  [[nodiscard]] bool fisher_pending() const;
  // Class means of the open task, by site.
  [[nodiscard]] const std::map<std::string, MeansReport>& means() const { return means_; }
  // Moments of latents that were stated for the open or next round, by site.
  [[nodiscard]] const std::map<std::string, MomentsReport>& moments() const { return moments_; }
  // Hospitals that have stated moments (not: that they have none) under [drift], of the whole plan, in the order of the
  // log.
  [[nodiscard]] const std::vector<DescribedLatents>& described() const { return described_; }
  // What the open task's site said of its latents before it stated their moments.
  [[nodiscard]] const std::optional<DriftAnswer>& drift() const { return drift_; }
  // How the open task's site is to compare its latents with those of described().
  [[nodiscard]] JobDrift ExpectedDrift() const;
  // What the next task starts from if no head is grown for it.
  [[nodiscard]] const Digest& NextBase() const { return plan().SolvesHead() ? plan().model.weights : model_; }

  // Sites whose agreement the plan needs before pictures may travel, and which have not given it, or ended it.
  [[nodiscard]] std::vector<std::string> MissingAgreements() const;
  [[nodiscard]] bool ended_agreement(const std::string& site) const { return ended_agreements_.contains(site); }
  // Agreements by site, also ended ones; all texts are as their sites signed them.
  [[nodiscard]] const std::map<std::string, StatementEntry>& agreements() const { return agreements_; }
  [[nodiscard]] AgreementReport AgreementOf(const std::string& site) const;
  // Whether the agreements of both stand.
  [[nodiscard]] bool MayExchange(const std::string& a, const std::string& b) const;
  // Recipients for whom the active site has still to seal the open task's exemplars.
  [[nodiscard]] std::vector<std::string> BundlesToSend() const;
  // The next bundle that the active site has to take in before it commits.
  [[nodiscard]] const SentBundle* BundleToReceive() const;
  // All of the plan, in the order of the log.
  [[nodiscard]] const std::vector<SentBundle>& bundles() const { return bundles_; }
  // All of the plan, in the order of the log.
  [[nodiscard]] const std::vector<Withdrawal>& withdrawals() const { return withdrawals_; }
  // Sites that hold withdrawn pictures and have not stated their removal. Nothing waits for them.
  [[nodiscard]] std::vector<std::string> MissingRemovals() const;
  // The first one that a site has still to carry out: of a bundle whose pictures it holds.
  [[nodiscard]] const Withdrawal* WithdrawalToRemove(const std::string& site) const;
  // The operator-signed roster entry of a lab in the roster.
  [[nodiscard]] const RosterEntry& admission(const std::string& site) const { return admissions_.at(site); }

  // Why the open round cannot close though every participant answered: its rule cannot run with what was accepted.
  [[nodiscard]] std::optional<std::string> WhyRoundCannotClose() const;

  // Integer weights by pictures of the open round's accepted updates, in participant order.
  [[nodiscard]] std::vector<std::pair<std::string, std::uint32_t>> RoundWeights() const;
  // What task_closed and plan_closed must say now: accuracies in the order of Plan::Columns().
  [[nodiscard]] std::vector<AccuracyMatrix::Cell> ExpectedRow() const;
  [[nodiscard]] PlanClosedEntry ExpectedPlanClosed() const;

 private:
  void Check(const ConsortiumEntry& entry) const;
  void Check(const RosterEntry& entry) const;
  void Check(const PlanEntry& entry) const;
  void Check(const TaskOpenedEntry& entry) const;
  void Check(const RoundOpenedEntry& entry) const;
  void Check(const StatementEntry& entry) const;
  void Check(const RefusedEntry& entry) const;
  void Check(const AbsentEntry& entry) const;
  void Check(const PausedEntry& entry) const;
  void Check(const DecisionEntry& entry) const;
  void Check(const CandidateEntry& entry) const;
  void Check(const RoundClosedEntry& entry) const;
  void Check(const HeadSolvedEntry& entry) const;
  void Check(const ModelDerivedEntry& entry) const;
  void Check(const TaskClosedEntry& entry) const;
  void Check(const PlanClosedEntry& entry) const;

  void Advance(const ConsortiumEntry& entry);
  void Advance(const RosterEntry& entry);
  void Advance(const PlanEntry& entry);
  void Advance(const TaskOpenedEntry& entry);
  void Advance(const RoundOpenedEntry& entry);
  void Advance(const StatementEntry& entry);
  void Advance(const RefusedEntry& entry);
  void Advance(const AbsentEntry& entry);
  void Advance(const PausedEntry& entry);
  void Advance(const DecisionEntry& entry);
  void Advance(const CandidateEntry& entry);
  void Advance(const RoundClosedEntry& entry);
  void Advance(const HeadSolvedEntry& entry);
  void Advance(const ModelDerivedEntry& entry);
  void Advance(const TaskClosedEntry& entry);
  void Advance(const PlanClosedEntry& entry);

  // What is being waited for: another task, round, phase or candidate is another step.
  using Step = std::tuple<std::uint32_t, std::uint32_t, Phase, Digest>;
  [[nodiscard]] Step StepKey() const { return {task_, round_, phase_, candidate_ ? candidate_->model : Digest{}}; }

  [[nodiscard]] Plan LoadPlan(const Digest& digest) const;
  // Whether the open task's rounds are over: statements then need no round.
  [[nodiscard]] bool AfterRounds() const { return phase_ == Phase::kEvaluating || phase_ == Phase::kSummarising; }
  // The phase that a round begins with.
  [[nodiscard]] Phase BeforeRound() const { return plan().AlignsLatents() ? Phase::kMeasuring : Phase::kBetweenRounds; }
  // The phase that follows a task's commitments, and that follows what its site said of its latents under [drift].
  [[nodiscard]] Phase AfterCommitments() const;
  [[nodiscard]] Phase BeforeTraining() const { return plan().SolvesHead() ? Phase::kSumming : BeforeRound(); }
  // Whether the open task's site has still to describe its latents under [drift].
  [[nodiscard]] bool DescribesLatents() const;
  // The phase that follows a task's last round; sets what it needs.
  [[nodiscard]] Phase AfterLastRound();
  // Why a rehearsing site has lost so much of what it knew that the plan takes no more updates of it in this task.
  [[nodiscard]] std::optional<std::string> WhyRelapsed(const std::string& site, const UpdateReport& report) const;
  [[nodiscard]] EvaluationReport EvaluationOf(const StatementEntry& entry) const;
  // (hospital, class) lists that the site has chosen once the open task is done.
  [[nodiscard]] std::uint64_t ListsOf(const std::string& site) const;
  // What the site committed to in the open task, or a refusal; `what` begins all these messages.
  [[nodiscard]] const CommitmentReport& CommittedBy(const std::string& site, const std::string& what) const;
  void CheckCommitment(const std::string& site, const CommitmentReport& report, const std::string& what) const;
  void CheckUpdate(const std::string& site, const UpdateReport& report) const;
  void CheckJudgement(const std::string& site, const JudgementReport& report, const std::string& what) const;
  void CheckSums(const std::string& site, const SumsReport& report, const std::string& what) const;
  // federation_derived.cc
  void CheckSlow(const std::optional<Digest>& slow, const std::string& what) const;
  void CheckFisher(const std::string& site, const FisherReport& report, const std::string& what) const;
  void CheckMeans(const std::string& site, const MeansReport& report, const std::string& what) const;
  // federation_moments.cc
  void CheckMoments(const std::string& site, const MomentsReport& report, const std::string& what) const;
  // In their place under [drift]: too few pictures are left.
  void CheckNoMoments(const std::string& site, const JsonFields& body, const std::string& what) const;
  // federation_drift.cc
  void CheckDrift(const std::string& site, const DriftAnswer& answer, const std::string& what) const;
  void CheckDriftReport(const DriftReport& report, const std::string& what) const;
  // Exemplars that travel (federation_exchange.cc) and their withdrawal (federation_withdrawals.cc).
  void CheckExchange(const StatementEntry& entry, const std::string& what) const;
  void AdvanceExchange(const StatementEntry& entry);
  void CheckWithdrawal(const std::string& site, const WithdrawalReport& report, const std::string& what) const;
  void CheckRemoved(const std::string& site, const RemovedReport& report, const std::string& what) const;
  void AdvanceWithdrawal(const StatementEntry& entry);
  [[nodiscard]] bool IsDue(const Withdrawal& withdrawal) const;
  void RequirePhase(Phase phase, std::string_view what) const;
  void RequireAllAnswered() const;
  // Goes on when nobody is waited for any more.
  void MoveOn();
  [[nodiscard]] bool RoundAnswered(const std::string& site) const {
    return updates_.contains(site) || refused_.contains(site);
  }

  PlanLoader load_plan_;
  std::uint64_t entries_ = 0;
  std::optional<ConsortiumEntry> consortium_;
  std::map<std::string, LabIdentity> roster_;
  std::set<std::string> revoked_;
  std::optional<Plan> plan_;
  Digest plan_digest_;
  Ed25519Signature plan_signature_{};

  std::uint32_t task_ = 0, round_ = 0;
  Digest model_, task_base_;
  std::optional<Digest> teacher_, last_step_, totals_;
  Phase phase_ = Phase::kNoPlan;
  bool exemplars_reported_ = false;
  std::vector<std::string> participants_;
  std::map<std::string, CommitmentReport> commitments_;
  std::map<std::string, UpdateReport> updates_;
  struct Place {
    std::string site;
    std::uint32_t task = 0, round = 0;
  };
  // Updates or sums of the whole plan by their integers: 10,000 rounds take some megabytes.
  std::map<Digest, Place> taken_;
  std::set<std::string> refused_;
  std::set<std::string> absent_;    // In the open task.
  std::set<std::string> left_out_;  // By the operator, in the open task.
  std::set<std::string> unscored_;  // Whose evaluation the open task does without.
  std::optional<Step> paused_;      // The step that the log says stands still.
  std::set<std::string> acknowledged_;
  std::set<std::string> carries_residual_;
  std::optional<CandidateEntry> candidate_;
  std::map<std::string, JudgementReport> judgements_;
  std::map<std::string, JudgementReport> retained_;  // What was said of the round's base; none in a task's first round.
  std::map<std::string, std::uint64_t> exemplars_;   // Kept in all, by site.
  std::optional<SumsReport> sums_;
  std::optional<Digest> slow_, scored_;
  std::optional<FisherReport> fisher_;
  std::map<std::string, MeansReport> means_;
  std::map<std::string, MomentsReport> moments_;
  std::map<Digest, std::string> measured_;  // Who stated these moments first, of the whole plan; small beside taken_.
  std::vector<DescribedLatents> described_;
  std::optional<DriftAnswer> drift_;  // Of the open task.
  std::vector<TaskEnd> task_ends_;
  // L_dist that a site measured at the base of the task's first round that it took part in, in millionths.
  std::map<std::string, std::uint64_t> first_distillation_;
  std::map<std::string, EvaluationReport> evaluations_;
  AccuracyMatrix matrix_;

  std::map<std::string, RosterEntry> admissions_;  // Of labs in the roster.
  std::map<std::string, StatementEntry> agreements_;
  std::set<std::string> ended_agreements_;
  std::vector<SentBundle> bundles_;
  std::vector<Withdrawal> withdrawals_;
};

}  // namespace hemafed
