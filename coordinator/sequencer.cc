// SPDX-License-Identifier: Apache-2.0
#include "coordinator/sequencer.h"

#include <utility>
#include <vector>

#include "codec/head_growth.h"
#include "codec/update.h"
#include "common/safetensors.h"
#include "protocol/federation/derived_model.h"
#include "protocol/federation/round_merge.h"

namespace hemafed::coordinator {

Sequencer::Sequencer(FileSystem& files, Ledger& ledger, ObjectStore& store, HeadSolver& solver, Path scratch)
    : files_(files), ledger_(ledger), store_(store), solver_(solver), scratch_(std::move(scratch)) {
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
      if (!state.SitesToJoin().empty()) return false;
      if (state.task() == 0 && !state.MissingAgreements().empty()) return false;
      OpenTask();
      return true;
    case Phase::kBetweenRounds:
      ledger_.Append(RoundOpenedEntry{.task = state.task(), .round = state.round(), .base = state.model()});
      return true;
    case Phase::kRoundOpen:
      if (!state.Awaited().empty()) return false;
      if (const auto why = state.WhyRoundCannotClose()) {
        if (state.paused()) return false;
        Pause(*why);
      } else if (!state.Gated()) {
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
    case Phase::kSolving: return SolveTheHead();
    case Phase::kSummarising:
      if (!state.Awaited().empty()) return false;
      Derive();
      return true;
    case Phase::kDeriving: Derive(); return true;
    case Phase::kEvaluating:
      if (!state.Awaited().empty()) return false;
      ledger_.Append(TaskClosedEntry{
          .task = state.task(), .model = state.scored_model(), .accuracy_millionths = state.ExpectedRow()});
      return true;
    case Phase::kSumming:
      if (!state.Awaited().empty() || state.paused()) return false;
      Pause(state.WhyRoundCannotClose().value());
      return true;
    case Phase::kNoPlan:
    case Phase::kCommitting:
    case Phase::kComparing:
    case Phase::kMeasuring:
    case Phase::kAcknowledging:
    case Phase::kClosed: return false;
  }
  return false;
}

void Sequencer::Pause(const std::string& reason) {
  const FederationState& state = ledger_.state();
  ledger_.Append(
      PausedEntry{.task = state.task(), .round = state.round(), .sites = state.Blocking(), .reason = reason});
}

std::optional<std::string> Sequencer::Stuck() const {
  const FederationState& state = ledger_.state();
  const std::string task = "task " + std::to_string(state.task() + 1);
  if (state.has_plan() && state.phase() == Phase::kSolving && unsolvable_) {
    return "the head of " + task + " is not solved: " + *unsolvable_;
  }
  if (!state.has_plan() || !state.paused()) return std::nullopt;
  std::string names;
  for (const std::string& site : state.Blocking()) names += (names.empty() ? "" : ", ") + site;
  std::string text = task + " stands still, " + std::string(PhaseName(state.phase())) + " in round " +
                     std::to_string(state.round() + 1) + ": ";
  if (state.Awaited().empty()) {
    return text + state.WhyRoundCannotClose().value_or("") + " (the log says why, site by site). Once " + names +
           " mended that: `hemafed-coordinator try-again`; or start a new consortium with a corrected plan";
  }
  return text + names + " did not answer. The plan goes on when it does; to go on without a site for this task: " +
         "`hemafed-coordinator leave-out` (not the task's own" +
         (state.plan().AlignsLatents() ? ", nor the source of the alignment)" : ")");
}

void Sequencer::OpenTask() {
  const FederationState& state = ledger_.state();
  TaskOpenedEntry entry{.task = state.task(), .base = state.NextBase(), .teacher = {}, .participants = {}};
  entry.participants = state.plan().Participants(state.task());
  if (state.task() > 0) entry.teacher = state.model();
  if (state.HeadGrows()) entry.base = Grown(state.model());
  if (state.plan().KeepsSlowModel()) {
    entry.slow = !state.slow() ? entry.base : state.HeadGrows() ? Grown(*state.slow()) : *state.slow();
  }
  ledger_.Append(std::move(entry));
}

Digest Sequencer::Grown(const Digest& model) {
  const FederationState& state = ledger_.state();
  const Path grown = scratch_ / "base.safetensors";
  const Digest digest = GrowHead(files_, store_.PathOf(model), grown, state.plan().seed, state.task(),
                                 state.plan().KnownClasses(state.task()));
  store_.AdoptFile(grown, digest);
  return digest;
}

void Sequencer::Derive() {
  const FederationState& state = ledger_.state();
  const Path out = scratch_ / "derived.safetensors";
  const Digest derived = DeriveModel(
      files_, state, [&](const Digest& object) { return store_.PathOf(object); }, store_.PathOf(state.model()), out);
  store_.AdoptFile(out, derived);
  ledger_.Append(ModelDerivedEntry{.task = state.task(), .model = derived});
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
  if (state.slow()) {
    const Path out = scratch_ / "slow.safetensors";
    entry.slow = SlowModelAfter(files_, state, store_.PathOf(*state.slow()), store_.PathOf(entry.model), out);
    store_.AdoptFile(out, *entry.slow);
  }
  ledger_.Append(std::move(entry));
}

bool Sequencer::SolveTheHead() {
  if (unsolvable_) return false;  // The same again; a restart tries again.
  const FederationState& state = ledger_.state();
  HeadSolveRequest request{.plan = store_.PathOf(state.plan_digest()),
                           .input = {.sums = store_.PathOf(state.sums()->sums), .totals = std::nullopt},
                           .out = scratch_ / "solve"};
  if (state.totals()) request.input.totals = store_.PathOf(*state.totals());
  const HeadSolveProgress progress = solver_.Poll(request);
  unsolvable_ = progress.failed;
  if (!progress.solved) return false;
  store_.AdoptFile(request.TotalsOut(), progress.solved->totals);
  store_.AdoptFile(request.HeadOut(), progress.solved->head);
  ledger_.Append(HeadSolvedEntry{.task = state.task(),
                                 .sums = state.sums()->sums,
                                 .totals = progress.solved->totals,
                                 .head = progress.solved->head});
  return true;
}

}  // namespace hemafed::coordinator
