// SPDX-License-Identifier: Apache-2.0
//
// FederationState: what strategies keep of a task beside its trained model (slow model, class means, Fisher
// information), and the model that is scored where it is not the trained one.
#include <algorithm>
#include <cstdio>
#include <set>

#include "protocol/federation/federation_state.h"
#include "protocol/federation/refusals.h"

namespace hemafed {

namespace {

// Millionths as people read them.
std::string InWords(std::uint64_t millionths) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", static_cast<double>(millionths) / 1e6);
  return text;
}

}  // namespace

void FederationState::CheckSlow(const std::optional<Digest>& slow, const std::string& what) const {
  if (slow.has_value() == plan().KeepsSlowModel()) return;
  Refuse(what + (slow ? " names a slow model, which the plan's strategy does not have" : " lacks its slow model"));
}

Phase FederationState::AfterLastRound() {
  if (plan().KeepsSlowModel()) scored_ = slow_;
  if (plan().CollectsMeans()) return Phase::kSummarising;
  return plan().AlignsHead(task_) ? Phase::kDeriving : Phase::kEvaluating;
}

bool FederationState::fisher_pending() const {
  return phase_ == Phase::kEvaluating && plan().MeasuresFisher(task_) && !fisher_;
}

void FederationState::CheckFisher(const std::string& site, const FisherReport& report, const std::string& what) const {
  if (site != participants_.front() || !fisher_pending()) OutOfPlace(what + ": none is due from this site");
  const std::uint64_t available = CommittedBy(site, what).pictures;
  if (report.pictures > std::min<std::uint64_t>(plan().strategy.fisher_pictures, available) ||
      report.pictures < plan().min_pictures) {
    Refuse(what + ": measured on more pictures than plan and commitment say, or on fewer than min_pictures");
  }
}

void FederationState::CheckMeans(const std::string& site, const MeansReport& report, const std::string& what) const {
  const std::vector<std::string> holders = plan().Holders(task_);
  if (std::find(holders.begin(), holders.end(), site) == holders.end()) {
    Refuse(what + ": this site holds no exemplars");
  }
  if (absent_.contains(site)) Refuse(what + ": they came too late, the others went on without this site");
  if (means_.contains(site)) OutOfPlace(what + ": already sent" + InTask(task_));
  if (site == participants_.front() && exemplars_pending()) OutOfPlace(what + ": its exemplars come first");
  if (report.classes.size() != plan().classes.size()) Refuse(what + ": counts for another number of classes");
  std::set<std::uint32_t> learned;
  for (std::uint32_t task = 0; task <= task_; ++task) {
    const TaskPlan& of = plan().tasks[task];
    if (of.site == site) learned.insert(of.classes.begin(), of.classes.end());
  }
  const std::uint32_t most = plan().ExemplarsPerList(task_ + 1);
  for (std::uint32_t label = 0; label < report.classes.size(); ++label) {
    const std::optional<std::uint64_t> count = report.classes[label];
    if (!count) continue;
    const std::string named = what + ": class " + plan().classes[label];
    if (!learned.contains(label)) Refuse(named + " was not learned by this site");
    if (*count < plan().min_pictures) Refuse(named + " has fewer exemplars than the plan's min_pictures");
    if (*count > most) Refuse(named + " has more exemplars than the plan's " + std::to_string(most));
  }
}

void FederationState::Check(const ModelDerivedEntry& entry) const {
  if (phase_ != Phase::kSummarising) RequirePhase(Phase::kDeriving, "a derived model");
  if (!Awaited().empty()) OutOfPlace("a model is derived after every holder of exemplars sent its class means");
  if (entry.task != task_) OutOfPlace("the derived model is not of the open task");
}

void FederationState::Advance(const ModelDerivedEntry& entry) {
  // Training goes on from an aligned head; class means only answer.
  if (plan().CollectsMeans()) {
    scored_ = entry.model;
  } else {
    model_ = entry.model;
  }
  phase_ = Phase::kEvaluating;
}

std::optional<std::uint64_t> FederationState::FirstDistillation(const std::string& site) const {
  const auto found = first_distillation_.find(site);
  return found == first_distillation_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::string> FederationState::WhyRelapsed(const std::string& site, const UpdateReport& report) const {
  const std::uint64_t most = plan().aggregation.max_rise_millionths;
  const std::optional<std::uint64_t> first = FirstDistillation(site);
  if (most == 0 || site == participants_.front() || !report.probe || !first) return std::nullopt;
  const std::uint64_t now = report.probe->before_millionths;
  if (now <= *first + most) return std::nullopt;
  return "the distillation loss on its own exemplars was " + InWords(*first) + " when the task began and is " +
         InWords(now) + " at this round's base, a rise of more than the plan's " + InWords(most) +
         ": its pictures are being forgotten, by its updates or in spite of them";
}

}  // namespace hemafed
