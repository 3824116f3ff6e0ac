// SPDX-License-Identifier: Apache-2.0
//
// FederationState: what is refused, judged and merged, and how a round closes.
#include <algorithm>
#include <utility>

#include "codec/integer_weights.h"
#include "codec/merge.h"
#include "protocol/federation/federation_state.h"
#include "protocol/federation/refusals.h"

namespace hemafed {

std::optional<std::string> FederationState::TakenBefore(const Digest& values) const {
  const auto found = taken_.find(values);
  if (found == taken_.end()) return std::nullopt;
  const auto& [site, task, round] = found->second;
  return "the update of " + site + " in round " + std::to_string(round + 1) + " of task " + std::to_string(task + 1);
}

void FederationState::Check(const RefusedEntry& entry) const {
  if (phase_ != Phase::kSumming) RequirePhase(Phase::kRoundOpen, "a refusal");
  const bool takes_part = std::find(participants_.begin(), participants_.end(), entry.site) != participants_.end();
  if (entry.task != task_ || entry.round != round_ || !takes_part || refused_.contains(entry.site) ||
      (phase_ == Phase::kRoundOpen && updates_.contains(entry.site))) {
    OutOfPlace("the refusal of " + entry.site + " does not belong to the open round");
  }
}

void FederationState::Advance(const RefusedEntry& entry) {
  refused_.insert(entry.site);
  carries_residual_.erase(entry.site);
}

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
    before += base == retained_.end() ? report.pictures : std::min(base->second.agrees, report.pictures);
  }
  return before <= now || (before - now) * 1'000'000 <= plan().retention.max_drop_millionths * pictures;
}

void FederationState::Check(const RoundClosedEntry& entry) const {
  const bool gated = Gated();
  RequirePhase(gated ? Phase::kJudging : Phase::kRoundOpen, "a closed round");
  if (entry.task != task_ || entry.round != round_) OutOfPlace("the closed round is not the open one");
  if (entry.weights != RoundWeights()) Refuse("the weights are not those that plan and commitments give");
  CheckSlow(entry.slow, "round " + std::to_string(round_));
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
  if (phase_ == Phase::kSumming) {
    return refused_.contains(participants_.front())
               ? std::optional("the sums of the active site " + participants_.front() + " were refused")
               : std::nullopt;
  }
  // Without it the round would only rehearse what is known, or have nothing that latents are drawn to.
  for (const std::string& site : participants_) {
    if (!Indispensable(site) || !refused_.contains(site)) continue;
    return "the update of the " + std::string(site == participants_.front() ? "active site " : "alignment's source ") +
           site + " was refused";
  }
  const std::size_t rehearsing = updates_.size() - 1;
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
  moments_.clear();
  model_ = entry.model;
  slow_ = entry.slow;
  phase_ = Phase::kAcknowledging;
}

}  // namespace hemafed
