// SPDX-License-Identifier: Apache-2.0
//
// FederationState: what sites say.
#include <algorithm>

#include "common/error.h"
#include "protocol/federation/federation_state.h"
#include "protocol/federation/refusals.h"
#include "protocol/federation/signing.h"

namespace hemafed {

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
  if (IsAboutPlan(statement.kind)) {
    CheckExchange(entry, what);
    return;
  }
  if (statement.task != task_ || (phase_ != Phase::kCommitting && !AfterRounds() && statement.round != round_)) {
    OutOfPlace(what + ": it is about another task or round than the open one");
  }
  const bool of_candidate = statement.kind == StatementKind::kJudgement && candidate_;
  const Digest& subject = of_candidate                                   ? candidate_->model
                          : statement.kind == StatementKind::kEvaluation ? scored_model()
                                                                         : model_;
  if (statement.subject != subject) Refuse(what + ": it is about another model than the current one");
  const bool takes_part = std::find(participants_.begin(), participants_.end(), site) != participants_.end();
  const auto require_participant = [&] {
    if (!takes_part) Refuse(what + ": the site does not take part" + InTask(task_));
    if (absent_.contains(site))
      Refuse(what + ": it came too late, the others went on without this site" + InTask(task_));
  };
  JsonFields body(statement.body, what);

  switch (statement.kind) {
    case StatementKind::kCommitment:
      RequirePhase(Phase::kCommitting, "a commitment");
      require_participant();
      CheckCommitment(site, CommitmentReport::FromJson(body), what);
      break;
    case StatementKind::kAgreement:
    case StatementKind::kAgreementEnd:
    case StatementKind::kBundle:
    case StatementKind::kReceived:
    case StatementKind::kWithdrawal:
    case StatementKind::kRemoved: CheckExchange(entry, what); break;
    case StatementKind::kUpdate:
      RequirePhase(Phase::kRoundOpen, "an update");
      require_participant();
      if (RoundAnswered(site)) OutOfPlace(what + ": already answered in round " + std::to_string(round_));
      CheckUpdate(site, UpdateReport::FromJson(body));
      break;
    case StatementKind::kJudgement:
      RequirePhase(Phase::kJudging, "a judgement");
      CheckJudgement(site, JudgementReport::FromJson(body), what);
      break;
    case StatementKind::kSums:
      RequirePhase(Phase::kSumming, "feature sums");
      require_participant();
      CheckSums(site, SumsReport::FromJson(body), what);
      break;
    case StatementKind::kAcknowledgement:
      RequirePhase(Phase::kAcknowledging, "an acknowledgement");
      require_participant();
      if (acknowledged_.contains(site)) OutOfPlace(what + ": already acknowledged");
      body.RequireAllRead();
      break;
    case StatementKind::kExemplars: {
      if (phase_ != Phase::kSummarising) RequirePhase(Phase::kEvaluating, "an exemplar report");
      if (site != participants_.front() || !exemplars_pending())
        OutOfPlace(what + ": no exemplars are due from this site");
      const auto report = ExemplarReport::FromJson(body);
      const std::uint64_t most = plan().ExemplarsPerList(task_ + 1) * ListsOf(site);
      if (report.kept > most) Refuse(what + ": more exemplars than the plan's " + std::to_string(most));
      break;
    }
    case StatementKind::kFisher:
      RequirePhase(Phase::kEvaluating, "Fisher information");
      CheckFisher(site, FisherReport::FromJson(body), what);
      break;
    case StatementKind::kMeans:
      RequirePhase(Phase::kSummarising, "class means");
      CheckMeans(site, MeansReport::FromJson(body), what);
      break;
    case StatementKind::kMoments:
      RequirePhase(Phase::kMeasuring, "moments of latents");
      require_participant();
      if (IsBelowMinPictures(body)) {
        CheckNoMoments(site, body, what);
      } else {
        CheckMoments(site, MomentsReport::FromJson(body), what);
      }
      break;
    case StatementKind::kDrift:
      RequirePhase(Phase::kComparing, "a comparison with the consortium");
      require_participant();
      CheckDrift(site, DriftAnswerFromJson(body), what);
      break;
    case StatementKind::kEvaluation: {
      RequirePhase(Phase::kEvaluating, "an evaluation");
      if (evaluations_.contains(site)) OutOfPlace(what + ": already evaluated" + InTask(task_));
      if (unscored_.contains(site)) Refuse(what + ": it came too late, the task closes without it");
      const auto sites = plan().Scorers();
      if (std::find(sites.begin(), sites.end(), site) == sites.end())
        Refuse(what + ": the plan does not name this site");
      const EvaluationReport report = EvaluationOf(entry);
      const bool scored = !report.ScoredClasses(plan().min_pictures).empty();
      if (scored != report.scores().has_value()) {
        Refuse(what + (scored ? ": its score histograms are missing" : ": score histograms of too few pictures"));
      }
      break;
    }
  }
}

void FederationState::CheckCommitment(const std::string& site, const CommitmentReport& report,
                                      const std::string& what) const {
  if (commitments_.contains(site)) OutOfPlace(what + ": already committed" + InTask(task_));
  if (report.classes.size() != plan().classes.size()) Refuse(what + ": counts for another number of classes");
  if (!Rehearses(site)) {
    if (BundleToReceive() != nullptr) OutOfPlace(what + ": the bundles that it has to take in come first");
    if (report.pictures < plan().min_pictures) {
      Refuse(what + ": fewer than the plan's " + std::to_string(plan().min_pictures) + " training pictures");
    }
    if ((plan().AlignsLatents() || DescribesLatents()) && report.pictures < 2) {
      Refuse(what + ": one cell has no covariance to be " + (plan().AlignsLatents() ? "aligned" : "compared") + " by");
    }
    return;
  }
  // A budget shrinks earlier lists when later ones come (published-systems 2.3); m pictures a list stay. Others
  // may have been withdrawn.
  if (report.pictures > exemplars_.at(site)) Refuse(what + ": more exemplars than it reported after its tasks");
}

const CommitmentReport& FederationState::CommittedBy(const std::string& site, const std::string& what) const {
  const auto committed = commitments_.find(site);
  if (committed == commitments_.end()) Refuse(what + ": it never committed" + InTask(task_));
  return committed->second;
}

void FederationState::CheckJudgement(const std::string& site, const JudgementReport& report,
                                     const std::string& what) const {
  const std::vector<std::string> judges = plan().Judges(task_);
  if (std::find(judges.begin(), judges.end(), site) == judges.end()) Refuse(what + ": the site is no judge");
  if (absent_.contains(site)) Refuse(what + ": it came too late, the others went on without this site");
  if (judgements_.contains(site)) OutOfPlace(what + ": already judged this candidate");
  if (report.pictures > plan().retention.pictures) Refuse(what + ": more pictures than the plan's");
  const auto before = retained_.find(site);
  // Fewer, if pictures were withdrawn since.
  if (before != retained_.end() && report.pictures > before->second.pictures) {
    Refuse(what + ": more pictures than it judged the round's base by");
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
  if (report.pictures > CommittedBy(site, what).pictures) Refuse(what + ": more pictures than it committed to");
  if (report.steps != task_plan().training.steps) Refuse(what + ": another number of steps than the plan's");
  if (const auto why = WhyRelapsed(site, report)) Refuse(what + ": " + *why);
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
      taken_.try_emplace(updates_[site].values, Place{site, task_, round_});
      carries_residual_.insert(site);
      if (const auto& probe = updates_[site].probe) first_distillation_.try_emplace(site, probe->before_millionths);
      break;
    case StatementKind::kJudgement: judgements_[site] = JudgementReport::FromJson(body); break;
    case StatementKind::kSums:
      sums_ = SumsReport::FromJson(body);
      taken_.try_emplace(sums_->sums, Place{site, task_, round_});
      phase_ = Phase::kSolving;
      break;
    case StatementKind::kAcknowledgement:
      acknowledged_.insert(site);
      MoveOn();
      break;
    case StatementKind::kExemplars:
      exemplars_[site] = ExemplarReport::FromJson(body).kept;
      exemplars_reported_ = true;
      break;
    case StatementKind::kFisher: fisher_ = FisherReport::FromJson(body); break;
    case StatementKind::kMeans: means_[site] = MeansReport::FromJson(body); break;
    case StatementKind::kMoments:
      if (IsBelowMinPictures(body)) {
        phase_ = BeforeTraining();
        break;
      }
      moments_[site] = MomentsReport::FromJson(body);
      measured_.try_emplace(moments_[site].values, site);
      if (!plan().AlignsLatents()) described_.push_back({.site = site, .moments = moments_[site], .drift = drift_});
      MoveOn();
      break;
    case StatementKind::kDrift:
      drift_ = DriftAnswerFromJson(body);
      // Of so few pictures no moments leave either.
      if (std::holds_alternative<BelowMinPictures>(*drift_)) {
        phase_ = BeforeTraining();
      } else {
        MoveOn();
      }
      break;
    case StatementKind::kEvaluation: evaluations_.emplace(site, EvaluationOf(entry)); break;
    case StatementKind::kAgreement:
    case StatementKind::kAgreementEnd:
    case StatementKind::kBundle:
    case StatementKind::kReceived:
    case StatementKind::kWithdrawal:
    case StatementKind::kRemoved: AdvanceExchange(entry); break;
  }
}

bool FederationState::exemplars_pending() const {
  return (phase_ == Phase::kEvaluating || phase_ == Phase::kSummarising) && plan().KeepsExemplars() &&
         !exemplars_reported_;
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

}  // namespace hemafed
