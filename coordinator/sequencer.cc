// SPDX-License-Identifier: Apache-2.0
#include "coordinator/sequencer.h"

#include <utility>
#include <vector>

#include "codec/head_growth.h"
#include "codec/update.h"
#include "common/safetensors.h"
#include "protocol/federation/round_merge.h"

namespace hemafed::coordinator {

Sequencer::Sequencer(FileSystem& files, Ledger& ledger, ObjectStore& store, Path scratch)
    : files_(files), ledger_(ledger), store_(store), scratch_(std::move(scratch)) {
  files_.CreateFolders(scratch_);
}

bool Sequencer::Step() {
  const FederationState& state = ledger_.state();
  switch (state.phase()) {
    case Phase::kBetweenTasks:
      if (state.task() == state.plan().tasks.size()) {
        ledger_.Append(state.ExpectedPlanClosed());
        return true;
      }
      if (!state.everyone_joined()) return false;
      if (state.task() == 0 && !state.MissingAgreements().empty()) return false;
      OpenTask();
      return true;
    case Phase::kBetweenRounds:
      ledger_.Append(RoundOpenedEntry{.task = state.task(), .round = state.round(), .base = state.model()});
      return true;
    case Phase::kRoundOpen:
      if (!state.Awaited().empty() || Stuck()) return false;
      if (!state.Gated()) {
        CloseRound();
      } else {
        OfferCandidate(0);
      }
      return true;
    case Phase::kJudging:
      if (!state.Judged()) return false;
      if (state.CandidateAccepted() || !state.MayHalve()) {
        CloseRound();
      } else {
        OfferCandidate(state.candidate()->halvings + 1);
      }
      return true;
    case Phase::kEvaluating:
      if (state.exemplars_pending() || !state.BundlesToSend().empty() ||
          state.evaluations().size() < state.plan().Sites().size())
        return false;
      ledger_.Append(
          TaskClosedEntry{.task = state.task(), .model = state.model(), .accuracy_millionths = state.ExpectedRow()});
      return true;
    case Phase::kNoPlan:
    case Phase::kCommitting:
    case Phase::kAcknowledging:
    case Phase::kClosed: return false;
  }
  return false;
}

std::optional<std::string> Sequencer::Stuck() const {
  const FederationState& state = ledger_.state();
  if (state.phase() != Phase::kRoundOpen || !state.Awaited().empty()) return std::nullopt;
  const auto why = state.WhyRoundCannotClose();
  if (!why) return std::nullopt;
  return "round " + std::to_string(state.round() + 1) + " in task " + std::to_string(state.task() + 1) +
         " cannot close: " + *why +
         " (the log says why updates were refused); start a new consortium with a corrected plan";
}

void Sequencer::OpenTask() {
  const FederationState& state = ledger_.state();
  TaskOpenedEntry entry{.task = state.task(), .base = state.model(), .teacher = {}, .participants = {}};
  entry.participants = state.plan().Participants(state.task());
  if (state.task() > 0) entry.teacher = state.model();
  if (state.HeadGrows()) {
    const Path grown = scratch_ / "base.safetensors";
    entry.base = GrowHead(files_, store_.PathOf(state.model()), grown, state.plan().seed, state.task(),
                          state.plan().KnownClasses(state.task()));
    store_.AdoptFile(grown, entry.base);
  }
  ledger_.Append(std::move(entry));
}

AggregateResult Sequencer::MergeRound(std::uint32_t halvings) {
  const FederationState& state = ledger_.state();
  const Path base = store_.PathOf(state.model());
  const UpdateLayout layout = LayoutOfModel(SafetensorsReader::Open(files_, base));
  const bool keeps_step = state.plan().aggregation.server_momentum > 0;
  std::optional<Path> previous_step, step_file;
  if (keeps_step && state.last_step()) previous_step = store_.PathOf(*state.last_step());
  if (keeps_step) step_file = scratch_ / "step.raw";
  const Merge merge = MergeOfRound(
      state, [&](const Digest& values) { return store_.PathOf(values); }, previous_step, halvings);
  const Path merged = scratch_ / "merged.safetensors";
  const AggregateResult result = Aggregate(files_, base, layout, merge, merged, step_file);
  if (step_file) store_.AdoptFile(*step_file, result.step);
  store_.AdoptFile(merged, result.model);
  return result;
}

void Sequencer::OfferCandidate(std::uint32_t halvings) {
  const AggregateResult merged = MergeRound(halvings);
  ledger_.Append(CandidateEntry{.task = ledger_.state().task(),
                                .round = ledger_.state().round(),
                                .halvings = halvings,
                                .step = merged.step,
                                .model = merged.model});
}

void Sequencer::CloseRound() {
  const FederationState& state = ledger_.state();
  RoundClosedEntry entry{.task = state.task(), .round = state.round(), .weights = state.RoundWeights()};
  if (const auto& candidate = state.candidate()) {
    entry.halvings = candidate->halvings;
    entry.rejected = !state.CandidateAccepted();
    entry.step = candidate->step;
    entry.model = entry.rejected ? state.model() : candidate->model;
  } else {
    const AggregateResult merged = MergeRound(0);
    entry.step = merged.step;
    entry.model = merged.model;
  }
  ledger_.Append(std::move(entry));
}

}  // namespace hemafed::coordinator
