// SPDX-License-Identifier: Apache-2.0
//
// FederationState: who is waited for, what goes on without whom, and what stands still until people decide.
#include <algorithm>
#include <iterator>

#include "common/error.h"
#include "protocol/federation/federation_state.h"
#include "protocol/federation/refusals.h"
#include "protocol/federation/signing.h"

namespace hemafed {

namespace {

bool Contains(const std::vector<std::string>& sites, const std::string& site) {
  return std::find(sites.begin(), sites.end(), site) != sites.end();
}

}  // namespace

std::vector<std::string> FederationState::Awaited() const {
  const auto answered = [&](const std::string& site) {
    switch (phase_) {
      case Phase::kCommitting: return commitments_.contains(site);
      case Phase::kComparing: return drift_.has_value();
      case Phase::kMeasuring: return moments_.contains(site);
      case Phase::kRoundOpen: return RoundAnswered(site);
      case Phase::kJudging: return judgements_.contains(site);
      case Phase::kSumming: return refused_.contains(site);
      case Phase::kAcknowledging: return acknowledged_.contains(site);
      case Phase::kSummarising:
        if (site == participants_.front() && exemplars_pending()) return false;
        return means_.contains(site) || !roster_.contains(site);
      case Phase::kEvaluating:
        if (site == participants_.front() && (exemplars_pending() || fisher_pending() || !BundlesToSend().empty())) {
          return false;
        }
        return evaluations_.contains(site) || unscored_.contains(site) || !roster_.contains(site);
      case Phase::kNoPlan:
      case Phase::kBetweenTasks:
      case Phase::kBetweenRounds:
      case Phase::kSolving:
      case Phase::kDeriving:
      case Phase::kClosed: break;
    }
    return true;
  };
  if (!plan_) return {};
  std::vector<std::string> sites = phase_ == Phase::kJudging       ? plan().Judges(task_)
                                   : phase_ == Phase::kSummarising ? plan().Holders(task_)
                                   : phase_ == Phase::kEvaluating  ? plan().Scorers()
                                                                   : participants_;
  // Who rehearses has described its latents in its own task.
  const bool describes = phase_ == Phase::kComparing || (phase_ == Phase::kMeasuring && !plan().AlignsLatents());
  if (describes) sites.resize(1);
  // Who was absent from training may still score.
  std::erase_if(sites, [&](const std::string& site) {
    return answered(site) || (phase_ != Phase::kEvaluating && absent_.contains(site));
  });
  return sites;
}

void FederationState::MoveOn() {
  if (!Awaited().empty()) return;
  if (phase_ == Phase::kCommitting) {
    phase_ = AfterCommitments();
  } else if (phase_ == Phase::kComparing) {
    phase_ = Phase::kMeasuring;
  } else if (phase_ == Phase::kMeasuring) {
    phase_ = plan().AlignsLatents() ? Phase::kBetweenRounds : BeforeTraining();
  } else if (phase_ == Phase::kAcknowledging) {
    ++round_;
    phase_ = round_ < task_plan().rounds ? BeforeRound() : AfterLastRound();
  }
}

AbsentEntry FederationState::AbsenceOf(const std::string& site) const {
  const auto kept = exemplars_.find(site);
  const bool rehearses = phase_ != Phase::kEvaluating && kept != exemplars_.end();
  return {.site = site, .task = task_, .round = round_, .exemplars = rehearses ? kept->second : 0};
}

bool FederationState::Indispensable(const std::string& site) const {
  // Without the active site there is nothing to learn, and no exemplars of its task; without a source nothing to draw
  // the others' latents to.
  return !participants_.empty() && (site == participants_.front() || site == plan().strategy.source);
}

bool FederationState::Rehearses(const std::string& site) const {
  return !plan().TrainsAutoencoder() && !participants_.empty() && site != participants_.front();
}

bool FederationState::MayLeaveOut(const std::string& site) const {
  if (participants_.empty() || Indispensable(site)) return false;
  if (LeftOut(site)) return true;
  return phase_ == Phase::kEvaluating ? plan().absence.skips_evaluations
                                      : plan().absence.rehearsing == AbsenceRule::kSkip;
}

void FederationState::Check(const AbsentEntry& entry) const {
  if (!Contains(Awaited(), entry.site)) OutOfPlace("nothing is awaited from " + entry.site);
  if (Indispensable(entry.site)) Refuse("the task does not go on without " + entry.site + ", however late it is");
  if (!MayLeaveOut(entry.site)) Refuse("the plan does not go on without " + entry.site);
  const AbsentEntry expected = AbsenceOf(entry.site);
  if (entry.task != expected.task || entry.round != expected.round || entry.exemplars != expected.exemplars) {
    Refuse("the absence of " + entry.site + " does not say what the log gives");
  }
}

void FederationState::Advance(const AbsentEntry& entry) {
  if (phase_ == Phase::kEvaluating) {
    unscored_.insert(entry.site);
    return;
  }
  absent_.insert(entry.site);
  MoveOn();
}

std::vector<std::string> FederationState::Blocking() const {
  std::vector<std::string> sites = Awaited();
  const bool answers = phase_ == Phase::kRoundOpen || phase_ == Phase::kSumming;
  if (!sites.empty() || !answers || !WhyRoundCannotClose()) return sites;
  // Who never committed cannot try again, so it is named only where nobody else is.
  const auto add_if = [&](const auto& blocks) {
    std::copy_if(participants_.begin(), participants_.end(), std::back_inserter(sites), blocks);
  };
  add_if([&](const std::string& site) {
    return refused_.contains(site) || (absent_.contains(site) && commitments_.contains(site));
  });
  if (sites.empty()) add_if([&](const std::string& site) { return absent_.contains(site); });
  return sites;
}

void FederationState::Check(const PausedEntry& entry) const {
  const std::vector<std::string> blocking = Blocking();
  if (blocking.empty()) OutOfPlace("nothing stands still");
  if (paused()) OutOfPlace("the log says already that this step stands still");
  if (entry.task != task_ || entry.round != round_ || entry.sites != blocking) {
    Refuse("the pause does not name the sites that the log gives");
  }
  const bool refused = Awaited().empty();
  if (!refused && plan().absence.rehearsing != AbsenceRule::kPause) {
    Refuse("the plan does not pause for late sites");
  }
}

void FederationState::Advance(const PausedEntry& /*entry*/) { paused_ = StepKey(); }

void FederationState::Check(const DecisionEntry& entry) const {
  if (!VerifyOperatorDecision(consortium().operator_key, plan_digest(), entry)) {
    throw Error(ErrorCode::kInvalidInput, "decision about " + entry.site + ": not signed by the operator's key");
  }
  if (entry.task != task_ || entry.round != round_) OutOfPlace("the decision is about another task or round");
  if (!paused()) OutOfPlace("there is nothing to decide: no task is paused");
  switch (entry.kind) {
    case DecisionKind::kLeaveOut:
      if (!Contains(Awaited(), entry.site)) OutOfPlace("nothing is awaited from " + entry.site);
      if (Indispensable(entry.site)) {
        Refuse("the task is that of " + entry.site + ": without it there is nothing to learn");
      }
      break;
    case DecisionKind::kTryAgain:
      if (!Awaited().empty() || !Contains(Blocking(), entry.site)) {
        OutOfPlace("the round does not stand still for want of an update of " + entry.site);
      }
      (void)CommittedBy(entry.site, "try-again of " + entry.site);
      break;
  }
}

void FederationState::Advance(const DecisionEntry& entry) {
  if (entry.kind == DecisionKind::kLeaveOut) {
    left_out_.insert(entry.site);
  } else {
    refused_.erase(entry.site);
    absent_.erase(entry.site);
    left_out_.erase(entry.site);
    paused_.reset();
  }
}

}  // namespace hemafed
