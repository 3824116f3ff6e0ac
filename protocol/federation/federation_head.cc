// SPDX-License-Identifier: Apache-2.0
//
// FederationState: the head that is solved from sums (strategy analytic).
#include <algorithm>

#include "protocol/federation/federation_state.h"
#include "protocol/federation/refusals.h"

namespace hemafed {

std::optional<Digest> FederationState::Trunk() const {
  return plan().SolvesHead() ? std::optional(plan().model.weights) : std::nullopt;
}

void FederationState::CheckSums(const std::string& site, const SumsReport& report, const std::string& what) const {
  if (refused_.contains(site)) OutOfPlace(what + ": already answered" + InTask(task_));
  if (report.classes.size() != plan().classes.size()) Refuse(what + ": counts for another number of classes");
  // Counted twice they would weigh twice, and a lab that sends another's has summed nothing.
  if (const auto taken = taken_.find(report.sums); taken != taken_.end() && report.pictures > 0) {
    Refuse(what + ": they are those of " + taken->second.site + " in task " + std::to_string(taken->second.task + 1));
  }
  const CommitmentReport& committed = CommittedBy(site, what);
  const ClassSet& learned = task_plan().classes;
  for (std::uint32_t label = 0; label < report.classes.size(); ++label) {
    const std::optional<std::uint64_t> count = report.classes[label];
    if (!count) continue;
    const std::string named = what + ": class " + plan().classes[label];
    if (!std::binary_search(learned.begin(), learned.end(), label)) Refuse(named + " is not of this task");
    if (*count < plan().min_pictures) Refuse(named + " has fewer pictures than the plan's min_pictures");
    if (committed.classes.at(label).value_or(0) < *count) Refuse(named + " has more pictures than it committed to");
  }
}

void FederationState::Check(const HeadSolvedEntry& entry) const {
  RequirePhase(Phase::kSolving, "a solved head");
  if (entry.task != task_) OutOfPlace("the solved head is not of the open task");
  if (entry.sums != sums_->sums) Refuse("the head was not solved with the sums that the site signed");
  if (!totals_ && entry.totals != entry.sums) Refuse("the first task's totals are not its sums");
}

void FederationState::Advance(const HeadSolvedEntry& entry) {
  totals_ = entry.totals;
  model_ = entry.head;
  phase_ = Phase::kEvaluating;
}

}  // namespace hemafed
