// SPDX-License-Identifier: Apache-2.0
#include "auditor/replay.h"

#include <utility>
#include <vector>

#include "codec/aggregate.h"
#include "codec/evaluation.h"
#include "codec/fisher.h"
#include "codec/head_growth.h"
#include "codec/prototype_head.h"
#include "codec/score_histograms.h"
#include "codec/update.h"
#include "common/copy_content.h"
#include "common/digest_of_file.h"
#include "common/error.h"
#include "common/safetensors.h"
#include "protocol/federation/derived_model.h"
#include "protocol/federation/drift_reference.h"
#include "protocol/federation/head_solve.h"
#include "protocol/federation/moments_object.h"
#include "protocol/federation/round_merge.h"
#include "protocol/federation/update_rules.h"
#include "protocol/objects/object_store.h"

namespace hemafed::auditor {

namespace {

constexpr const char* kCurrent = "current.safetensors";
constexpr const char* kTaskBase = "task_base.safetensors";
constexpr const char* kNext = "next.safetensors";
constexpr const char* kStep = "step.raw";
constexpr const char* kNextStep = "next_step.raw";
constexpr const char* kTotals = "totals.raw";
constexpr const char* kHead = "head.hfr";
constexpr const char* kSlow = "slow.safetensors";
constexpr const char* kNextSlow = "next_slow.safetensors";
constexpr const char* kDerived = "derived.safetensors";

}  // namespace

Replay::Replay(FileSystem& files, Path scratch, ObjectPath object)
    : files_(files), scratch_(std::move(scratch)), object_(std::move(object)) {
  files_.CreateFolders(scratch_);
}

Replay::~Replay() {
  try {
    for (const char* name :
         {kCurrent, kTaskBase, kNext, kStep, kNextStep, kTotals, kHead, kSlow, kNextSlow, kDerived}) {
      files_.Remove(scratch_ / name);
    }
  } catch (const Error&) {
    // Left for whoever empties the scratch folder.
  }
}

void Replay::Check(const FederationState& state, const Entry& entry) {
  if (const auto* opened = std::get_if<TaskOpenedEntry>(&entry.body)) CheckTaskOpened(state, *opened);
  if (const auto* candidate = std::get_if<CandidateEntry>(&entry.body)) {
    // Whether one may stand here is the state's question, but what is merged must be there.
    state.Check(entry);
    CheckMerge(state, candidate->halvings, candidate->step, candidate->model);
  }
  if (const auto* closed = std::get_if<RoundClosedEntry>(&entry.body)) CheckRoundClosed(state, *closed);
  if (const auto* derived = std::get_if<ModelDerivedEntry>(&entry.body)) CheckDerived(state, *derived);
  if (const auto* solved = std::get_if<HeadSolvedEntry>(&entry.body)) CheckHeadSolved(state, *solved);
  if (std::holds_alternative<PlanClosedEntry>(entry.body) && !sums_.empty()) CheckTotals(state);
  const auto* statement = std::get_if<StatementEntry>(&entry.body);
  if (statement == nullptr) return;
  if (statement->statement.kind == StatementKind::kUpdate) CheckUpdate(state, *statement);
  if (statement->statement.kind == StatementKind::kEvaluation) CheckEvaluation(state, *statement);
  if (statement->statement.kind == StatementKind::kFisher) {
    state.Check(entry);
    CheckFisher(*statement);
  }
  if (statement->statement.kind == StatementKind::kMeans) CheckMeans(state, *statement);
  if (statement->statement.kind == StatementKind::kMoments) CheckMoments(state, *statement);
  if (statement->statement.kind == StatementKind::kDrift) CheckDrift(state, *statement);
  if (statement->statement.kind == StatementKind::kSums) {
    state.Check(entry);  // The plan must be one that sums.
    CheckSums(state, *statement);
  }
}

void Replay::RequireObject(const Digest& digest, const std::string& what) const {
  const Path path = object_(digest);
  if (!files_.Exists(path)) throw Error(ErrorCode::kNotFound, what + ": the object " + digest.Hex() + " is missing");
  if (DigestOfFile(files_, path) != digest) {
    throw Error(ErrorCode::kCorrupt, what + ": the object " + digest.Hex() + " does not have the content of its name");
  }
}

void Replay::CheckTaskOpened(const FederationState& state, const TaskOpenedEntry& entry) {
  state.Check({.at_ms = 0, .body = entry});  // Heads are grown for tasks that the plan has.
  if (const auto trunk = state.Trunk()) RequireObject(*trunk, "initial weights");
  if (const auto& extractor = state.plan().model.extractor; extractor && entry.task == 0) {
    RequireObject(extractor->detector, "the plan's detector");
    RequireObject(extractor->autoencoder, "the plan's autoencoder");
  }
  if (state.plan().TrainsAutoencoder() && entry.task == 0) {
    RequireObject(state.plan().model.detector.value(), "the plan's detector");
    // Rounds begin from it as it is: it has no head to grow.
    RequireObject(state.model(), "initial weights");
    CopyFile(object_(state.model()), scratch_ / kCurrent);
  }
  if (state.plan().KeepsSlowModel() && entry.task > 0 && state.HeadGrows()) {
    const Digest slow = GrowHead(files_, scratch_ / kSlow, scratch_ / kNextSlow, state.plan().seed, entry.task,
                                 state.plan().KnownClasses(entry.task));
    if (slow != entry.slow) {
      throw Error(ErrorCode::kRefused, "the grown head leads to the slow model " + slow.Hex() + ", not to the log's");
    }
    files_.Rename(scratch_ / kNextSlow, scratch_ / kSlow);
  }
  if (state.HeadGrows()) CheckGrownHead(state, entry);
  if (!state.plan().SolvesHead()) CopyFile(scratch_ / kCurrent, scratch_ / kTaskBase);
}

void Replay::CheckGrownHead(const FederationState& state, const TaskOpenedEntry& entry) {
  Path before = scratch_ / kCurrent;
  if (entry.task == 0) {
    RequireObject(state.model(), "initial weights");
    before = object_(state.model());
  }
  const Digest grown =
      GrowHead(files_, before, scratch_ / kNext, state.plan().seed, entry.task, state.plan().KnownClasses(entry.task));
  if (grown != entry.base) {
    throw Error(ErrorCode::kRefused,
                "the head that the plan's seed gives leads to model " + grown.Hex() + ", not to " + entry.base.Hex());
  }
  files_.Rename(scratch_ / kNext, scratch_ / kCurrent);
  if (state.plan().KeepsSlowModel() && entry.task == 0) CopyFile(scratch_ / kCurrent, scratch_ / kSlow);
}

void Replay::CopyFile(const Path& from, const Path& to) {
  const auto in = files_.OpenForRead(from);
  const auto out = files_.Create(to);
  (void)CopyContent(*in, *out);
  out->Close();
}

UpdateLayout Replay::CurrentLayout() const {
  return LayoutOfModel(SafetensorsReader::Open(files_, scratch_ / kCurrent));
}

void Replay::CheckFisher(const StatementEntry& entry) const {
  const std::string what = "Fisher information of " + entry.site;
  const auto report = FisherReport::FromJson({entry.statement.body, what});
  RequireObject(report.values, what);
  const UpdateLayout layout = CurrentLayout();
  if (layout.Hash() != report.layout) {
    throw Error(ErrorCode::kRefused, what + ": its tensors are not those of the task's model");
  }
  if (const auto why = WhyNoFisher(*files_.OpenForRead(object_(report.values)), layout)) {
    throw Error(ErrorCode::kRefused, what + ": " + *why + ", yet it was taken");
  }
}

void Replay::CheckMeans(const FederationState& state, const StatementEntry& entry) const {
  state.Check({.at_ms = 0, .body = entry});  // The plan must be one that collects them.
  const std::string what = "class means of " + entry.site;
  const auto report = MeansReport::FromJson({entry.statement.body, what});
  RequireObject(report.values, what);
  const UpdateLayout layout = MeansLayout(CurrentLayout());
  if (const auto why =
          WhyNoMeans(ReadMeans(*files_.OpenForRead(object_(report.values)), layout), layout, report.classes)) {
    throw Error(ErrorCode::kRefused, what + ": " + *why + ", yet they were taken");
  }
}

void Replay::CheckMoments(const FederationState& state, const StatementEntry& entry) const {
  state.Check({.at_ms = 0, .body = entry});  // The plan must be one that asks for them.
  const std::string what = "latent moments of " + entry.site;
  if (IsBelowMinPictures({entry.statement.body, what})) return;  // Too few pictures were left.
  const auto report = MomentsReport::FromJson({entry.statement.body, what});
  RequireObject(report.values, what);
  if (const auto why = WhyNoMoments(*files_.OpenForRead(object_(report.values)), report, state.plan())) {
    throw Error(ErrorCode::kRefused, what + ": " + *why + ", yet they were taken");
  }
}

void Replay::CheckDrift(const FederationState& state, const StatementEntry& entry) const {
  state.Check({.at_ms = 0, .body = entry});  // All but the reference, which needs the objects.
  const std::string what = "drift of " + entry.site;
  const auto answer = DriftAnswerFromJson({entry.statement.body, what});
  const auto open = [this, &what](const Digest& digest) {
    RequireObject(digest, what);
    return files_.OpenForRead(object_(digest));
  };
  if (const auto why = WhyAnotherReference(state, answer, open)) {
    throw Error(ErrorCode::kRefused, what + ": " + *why + ", yet it was taken");
  }
}

void Replay::CheckDerived(const FederationState& state, const ModelDerivedEntry& entry) {
  state.Check({.at_ms = 0, .body = entry});
  const Digest derived = DeriveModel(files_, state, object_, scratch_ / kCurrent, scratch_ / kDerived);
  if (derived != entry.model) {
    throw Error(ErrorCode::kRefused,
                "the plan's strategy derives the model " + derived.Hex() + ", the log says " + entry.model.Hex());
  }
  // Training goes on from an aligned head; class means only answer.
  if (!state.plan().CollectsMeans()) files_.Rename(scratch_ / kDerived, scratch_ / kCurrent);
}

void Replay::CheckUpdate(const FederationState& state, const StatementEntry& entry) {
  const auto report = UpdateReport::FromJson({entry.statement.body, "update of " + entry.site});
  RequireObject(report.values, "update of " + entry.site);
  const SafetensorsReader now = SafetensorsReader::Open(files_, scratch_ / kCurrent);
  const SafetensorsReader first = SafetensorsReader::Open(files_, scratch_ / kTaskBase);
  const UpdateLayout layout = LayoutOfModel(now);
  if (layout.Hash() != report.layout) {
    throw Error(ErrorCode::kRefused, "update of " + entry.site + ": its tensors are not those of the base model");
  }
  if (const auto why = WhyNotTaken(state, entry.site, report, *files_.OpenForRead(object_(report.values)), layout,
                                   {.now = now, .first = first})) {
    throw Error(ErrorCode::kRefused, "update of " + entry.site + ": " + *why + ", yet it was taken");
  }
}

void Replay::CheckEvaluation(const FederationState& state, const StatementEntry& entry) const {
  const Plan& plan = state.plan();
  const auto report = EvaluationReport::FromJson(entry.statement.body, plan.classes.size(), plan.PoolsOf(entry.site));
  if (!report.scores()) return;  // Whether there may be none is the state's question.
  const std::string what = "evaluation of " + entry.site;
  RequireObject(report.scores()->values, what);
  const auto raw = files_.OpenForRead(object_(report.scores()->values));
  if (const auto why = ReadCanonicalScores(*raw, plan.classes.size()).WhyNotOf(report, plan.min_pictures)) {
    throw Error(ErrorCode::kRefused, what + ": " + *why + ", yet it was taken");
  }
}

void Replay::CheckSums(const FederationState& state, const StatementEntry& entry) const {
  const std::string what = "sums of " + entry.site;
  const auto report = SumsReport::FromJson({entry.statement.body, what});
  RequireObject(report.sums, what);
  if (const auto why =
          WhySumsDoNotFit(ReadSumsObject(files_, object_(report.sums), state.plan()), report, state.plan())) {
    throw Error(ErrorCode::kRefused, what + ": " + *why + ", yet they were taken");
  }
}

void Replay::CheckHeadSolved(const FederationState& state, const HeadSolvedEntry& entry) {
  state.Check({.at_ms = 0, .body = entry});
  RequireObject(entry.sums, "sums of task " + std::to_string(entry.task + 1));
  HeadSolveInput input{.sums = object_(entry.sums), .totals = std::nullopt};
  if (state.totals()) {
    RequireObject(*state.totals(), "totals of the tasks before");
    input.totals = object_(*state.totals());
  }
  const SolvedHead solved = SolveHead(files_, state.plan(), input, scratch_ / kTotals, scratch_ / kHead);
  if (solved.totals != entry.totals) {
    throw Error(ErrorCode::kRefused,
                "the sums add up to " + solved.totals.Hex() + ", the log says " + entry.totals.Hex());
  }
  if (solved.head != entry.head) {
    throw Error(ErrorCode::kRefused,
                "the sums give the head " + solved.head.Hex() + ", the log says " + entry.head.Hex());
  }
  sums_.push_back(entry.sums);
  ++rounds_;
}

void Replay::CheckTotals(const FederationState& state) const {
  FeatureSums totals(state.plan().strategy.features, static_cast<std::uint32_t>(state.plan().classes.size()));
  for (auto sums = sums_.rbegin(); sums != sums_.rend(); ++sums) {
    totals.Add(ReadSumsObject(files_, object_(*sums), state.plan()));
  }
  if (state.totals() != totals.Hash()) {
    throw Error(ErrorCode::kRefused, "all tasks' sums, added in the opposite order, give other totals than the log's");
  }
}

void Replay::CheckMerge(const FederationState& state, std::uint32_t halvings, const Digest& step, const Digest& model) {
  const Path current = scratch_ / kCurrent;
  const UpdateLayout layout = LayoutOfModel(SafetensorsReader::Open(files_, current));
  const bool keeps_step = state.plan().aggregation.server_momentum > 0;
  std::optional<Path> previous_step, step_file;
  if (keeps_step && state.last_step()) previous_step = scratch_ / kStep;
  if (keeps_step) step_file = scratch_ / kNextStep;
  const AggregateResult result = Aggregate(
      files_, current, layout, MergeOfRound(state, object_, previous_step, halvings), scratch_ / kNext, step_file);
  if (result.step != step) {
    throw Error(ErrorCode::kRefused, "the updates merged by the plan's rule give the step " + result.step.Hex() +
                                         ", the log says " + step.Hex());
  }
  if (result.model != model) {
    throw Error(ErrorCode::kRefused,
                "the merged model has the digest " + result.model.Hex() + ", the log says " + model.Hex());
  }
}

void Replay::CheckRoundClosed(const FederationState& state, const RoundClosedEntry& entry) {
  // A judged candidate was computed when it was offered; the state knows which one the round must end with.
  if (!state.candidate()) CheckMerge(state, 0, entry.step, entry.model);
  ++rounds_;
  if (!entry.rejected) {
    files_.Rename(scratch_ / kNext, scratch_ / kCurrent);
    if (state.plan().aggregation.server_momentum > 0) files_.Rename(scratch_ / kNextStep, scratch_ / kStep);
  }
  if (!state.plan().KeepsSlowModel()) return;
  const Digest slow = SlowModelAfter(files_, state, scratch_ / kSlow, scratch_ / kCurrent, scratch_ / kNextSlow);
  if (slow != entry.slow) {
    throw Error(ErrorCode::kRefused, "the slow model follows to " + slow.Hex() + ", the log says otherwise");
  }
  files_.Rename(scratch_ / kNextSlow, scratch_ / kSlow);
}

}  // namespace hemafed::auditor
