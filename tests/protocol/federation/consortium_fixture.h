// tests/protocol/federation/consortium_fixture.h
// SPDX-License-Identifier: Apache-2.0
//
// A consortium in memory with fixed keys: operator, log and labs, and a small plan over two hospitals. Makes the
// entries of a whole run, so that tests can take a good one and break exactly one thing.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "codec/latent_moments.h"
#include "common/error.h"
#include "protocol/federation/federation_state.h"
#include "protocol/federation/signing.h"
#include "tests/protocol/federation/plan_texts.h"

namespace hemafed::testing_support {

inline Ed25519KeyPair KeyNumber(std::uint8_t number) {
  std::array<std::uint8_t, 32> seed{};
  seed.fill(number);
  return Ed25519KeyPair::FromSeed(seed);
}

struct Lab {
  LabIdentity identity;
  Ed25519KeyPair key;
};

inline Lab MakeLab(const std::string& slot, std::uint8_t number) {
  Ed25519KeyPair key = KeyNumber(number);
  return {.identity = {.slot = slot,
                       .curve_key = Bytes(32, number),
                       .statement_key = key.PublicKey(),
                       .witness_key = KeyNumber(static_cast<std::uint8_t>(number + 100)).PublicKey()},
          .key = key};
}

struct ConsortiumFixture {
  Ed25519KeyPair operator_key = KeyNumber(1);
  Ed25519KeyPair log_key = KeyNumber(2);
  std::map<std::string, Lab> labs{
      {"first", MakeLab("first", 11)}, {"second", MakeLab("second", 12)}, {"watcher", MakeLab("watcher", 13)}};
  Digest weights = Sha256Of("weights");
  std::string plan_text = SmallPlanText(weights);
  Digest plan = Sha256Of(plan_text);

  FederationState NewState() const {
    return FederationState([text = plan_text](const Digest&) { return text; });
  }

  ConsortiumEntry Founding() const {
    return {.name = "test",
            .operator_key = operator_key.PublicKey(),
            .log_key = log_key.PublicKey(),
            .server_key = Bytes(32, 9)};
  }
  RosterEntry Joins(const std::string& slot) const {
    const Lab& lab = labs.at(slot);
    RosterEntry entry{.joins = true, .lab = lab.identity, .lab_signature = SignLabIdentity(lab.key, lab.identity)};
    SignOperatorRoster(operator_key, entry);
    return entry;
  }
  PlanEntry Plans() const { return {.plan = plan, .operator_signature = SignOperatorPlan(operator_key, plan)}; }

  StatementEntry Says(const std::string& site, SiteStatement statement) const {
    const Ed25519Signature signature = SignSiteStatement(labs.at(site).key, plan, statement);
    return {.site = site, .statement = std::move(statement), .signature = signature};
  }
  // A statement about the state's current task, round and model.
  StatementEntry Says(const FederationState& state, const std::string& site, StatementKind kind,
                      nlohmann::json body) const {
    const bool judges = kind == StatementKind::kJudgement;
    const bool in_round = kind == StatementKind::kUpdate || kind == StatementKind::kAcknowledgement || judges ||
                          kind == StatementKind::kMoments;
    return Says(site, {.kind = kind,
                       .task = state.task(),
                       .round = in_round ? state.round() : 0,
                       .subject = judges && state.candidate()          ? state.candidate()->model
                                  : kind == StatementKind::kEvaluation ? state.scored_model()
                                                                       : state.model(),
                       .body = std::move(body)});
  }

  static UpdateReport Update(const FederationState& state, const std::string& site) {
    UpdateReport report;
    report.values = Sha256Of("update of " + site + std::to_string(state.task()) + "." + std::to_string(state.round()));
    report.layout = Sha256Of("layout");
    report.file = Sha256Of("file of " + site);
    report.file_bytes = 100;
    report.teacher = state.TrainingTeacher();
    report.gamma_millionths = 1'000'000;
    report.pictures = state.commitments().at(site).pictures;
    report.classes = {20, std::nullopt};
    report.steps = state.task_plan().training.steps;
    if (report.teacher) {
      report.probe =
          DistillationProbe{.pictures = std::min<std::uint64_t>(16, report.pictures),
                            .before_millionths = 500'000,
                            .after_millionths = 600'000,
                            .disagreement_millionths = std::vector<std::uint64_t>(state.OldClasses(), 20'000),
                            .sensitivity = {1'000, 2'000}};
    }
    return report;
  }
  static SumsReport Sums(const FederationState& state) {
    SumsReport report;
    report.sums = Sha256Of("sums of task " + std::to_string(state.task()));
    report.file = Sha256Of("file of sums");
    report.file_bytes = 100;
    report.pictures = 30;
    report.classes = {30, std::nullopt};
    return report;
  }
  // What a site with full lists holds after so many tasks.
  static std::uint64_t Kept(const FederationState& state, const std::string& site, std::uint32_t tasks_done) {
    std::uint64_t lists = 0;
    for (std::uint32_t task = 0; task < tasks_done; ++task) {
      const TaskPlan& plan = state.plan().tasks[task];
      if (plan.site == site) lists += plan.classes.size();
    }
    return lists * state.plan().ExemplarsPerList(tasks_done);
  }
  static EvaluationReport Scores(std::uint64_t right, std::uint64_t wrong,
                                 const std::vector<ClassSet>& pools = {{0, 1}}) {
    ConfusionMatrix matrix(2);
    matrix.Add(0, 0, right);
    matrix.Add(0, 1, wrong);
    matrix.Add(1, 1, 20);
    auto report = EvaluationReport::Of(matrix, 10, pools);
    if (!report.ScoredClasses(10).empty()) {
      report.set_scores(ScoresFile{.values = Sha256Of("scores"), .file = Sha256Of("scores file"), .file_bytes = 100});
    }
    return report;
  }

  // Under the policy `sealed`.
  static HpkePrivateKey TrainerKey(const std::string& site) {
    return HpkePrivateKey::Derive(AsBytes("trainer key of " + site + ", 32 bytes or more"));
  }
  StatementEntry Agrees(const FederationState& state, const std::string& site) const {
    return Says(site, {.kind = StatementKind::kAgreement,
                       .task = 0,
                       .round = 0,
                       .subject = plan,
                       .body = AgreementReport{.key = TrainerKey(site).PublicKey(),
                                               .partners = ExchangePartners(state.plan(), site)}
                                   .ToJson()});
  }
  StatementEntry EndsAgreement(const std::string& site) const {
    return Says(site, {.kind = StatementKind::kAgreementEnd,
                       .task = 0,
                       .round = 0,
                       .subject = plan,
                       .body = nlohmann::json::object()});
  }
  static BundleReport Bundle(const FederationState& state, const std::string& recipient) {
    return {.recipient = recipient,
            .file = Sha256Of("bundle for " + recipient + std::to_string(state.entries())),
            .file_bytes = 5'000,
            .items = MaxBundleItemsOf(state.plan(), state.task())};
  }

  static CandidateEntry Candidate(const FederationState& state, std::uint32_t halvings) {
    return {.task = state.task(),
            .round = state.round(),
            .halvings = halvings,
            .step = Sha256Of("step"),
            .model = Sha256Of("candidate " + std::to_string(state.entries()))};
  }
  // Of a judged round.
  static RoundClosedEntry Closed(const FederationState& state) {
    const bool accepted = state.CandidateAccepted();
    return {.task = state.task(),
            .round = state.round(),
            .halvings = state.candidate()->halvings,
            .rejected = !accepted,
            .weights = state.RoundWeights(),
            .step = state.candidate()->step,
            .model = accepted ? state.candidate()->model : state.model()};
  }

  StatementEntry Exemplars(const FederationState& state) const {
    const std::string& site = state.participants().front();
    return Says(state, site, StatementKind::kExemplars,
                ExemplarReport{.kept = Kept(state, site, state.task() + 1),
                               .classes = {std::nullopt, std::nullopt},
                               .list = Sha256Of("list")}
                    .ToJson());
  }
  static FisherReport Fisher(const FederationState& state) {
    return {.values = Sha256Of("fisher " + std::to_string(state.task())),
            .layout = Sha256Of("layout"),
            .file = Sha256Of("fisher file"),
            .file_bytes = 100,
            .pictures = state.plan().strategy.fisher_pictures};
  }
  // Of every class that the site has learned.
  static MeansReport Means(const FederationState& state, const std::string& site) {
    MeansReport report{.values = Sha256Of("means of " + site + std::to_string(state.task())),
                       .file = Sha256Of("means file of " + site),
                       .file_bytes = 100,
                       .classes = ClassCounts(state.plan().classes.size())};
    for (std::uint32_t task = 0; task <= state.task(); ++task) {
      if (state.plan().tasks[task].site != site) continue;
      for (const std::uint32_t label : state.plan().tasks[task].classes) {
        report.classes[label] = state.plan().ExemplarsPerList(state.task() + 1);
      }
    }
    return report;
  }

  // Of all cells that the site committed to.
  static MomentsReport Moments(const FederationState& state, const std::string& site) {
    return {.values = Sha256Of("moments of " + site + std::to_string(state.round())),
            .file_bytes = LatentMomentsBytes(state.plan().model.LatentWidth()),
            .cells = state.commitments().at(site).pictures};
  }
  // Of the open task's site beside those before it, each further off than the last; of what reference, nobody asks
  // here.
  static DriftReport Drift(const FederationState& state) {
    const JobDrift expected = state.ExpectedDrift();
    DriftReport report;
    report.reference_digest = Sha256Of("reference");
    for (const DescribedLatents& earlier : state.described()) report.reference_pictures += earlier.moments.cells;
    report.columns = state.plan().model.LatentWidth();
    report.pictures = state.commitments().at(state.participants().front()).pictures;
    report.pictures_used = report.reference_rows = std::min<std::uint64_t>(report.pictures, expected.rows);
    report.seed = expected.seed;
    report.bandwidth_squared_millionths = 3'000'000;
    report.mmd2_unbiased_millionths = 100'000 * static_cast<std::int64_t>(state.described().size());
    report.mmd2_biased_millionths = report.mmd2_unbiased_millionths + 1'000;
    report.p_denominator = expected.permutations + std::uint64_t{1};
    report.members = expected.members.size();
    report.members_as_far = MembersAsFar(expected.members, report.mmd2_unbiased_millionths);
    return report;
  }

  // What is due next, with plausible content: the coordinator's entry or the first missing statement.
  EntryBody Next(const FederationState& state) const {
    switch (state.phase()) {
      case Phase::kNoPlan: return Plans();
      case Phase::kBetweenTasks: {
        if (const auto missing = state.MissingAgreements(); state.task() == 0 && !missing.empty()) {
          return Agrees(state, missing.front());
        }
        if (state.task() == state.plan().tasks.size()) return state.ExpectedPlanClosed();
        TaskOpenedEntry entry{.task = state.task(),
                              .base = state.HeadGrows() ? Sha256Of("grown " + state.model().Hex()) : state.NextBase()};
        if (state.task() > 0) entry.teacher = state.model();
        if (state.plan().KeepsSlowModel()) {
          entry.slow = state.task() == 0   ? entry.base
                       : state.HeadGrows() ? Sha256Of("grown " + state.slow()->Hex())
                                           : state.slow();
        }
        entry.participants = state.plan().Participants(state.task());
        return entry;
      }
      case Phase::kCommitting:
        if (const SentBundle* bundle = state.BundleToReceive()) {
          return Says(
              state, bundle->report.recipient, StatementKind::kReceived,
              ReceivedReport{.bundle = bundle->report.file, .held = bundle->report.items, .trouble = {}}.ToJson());
        }
        for (const std::string& site : state.Awaited()) {
          const std::uint64_t pictures = state.Rehearses(site) ? Kept(state, site, state.task()) : 50;
          return Says(state, site, StatementKind::kCommitment,
                      CommitmentReport{.pictures = pictures, .classes = {30, std::nullopt}}.ToJson());
        }
        break;
      case Phase::kComparing:
        return Says(state, state.participants().front(), StatementKind::kDrift, Drift(state).ToJson());
      case Phase::kMeasuring:
        for (const std::string& site : state.Awaited()) {
          return Says(state, site, StatementKind::kMoments, Moments(state, site).ToJson());
        }
        break;
      case Phase::kBetweenRounds: return RoundOpenedEntry{state.task(), state.round(), state.model()};
      case Phase::kRoundOpen:
        if (const auto awaited = state.Awaited(); !awaited.empty()) {
          return Says(state, awaited.front(), StatementKind::kUpdate, Update(state, awaited.front()).ToJson());
        }
        if (state.Gated()) return Candidate(state, 0);
        return RoundClosedEntry{
            .task = state.task(),
            .round = state.round(),
            .weights = state.RoundWeights(),
            .step = Sha256Of("step"),
            .model = Sha256Of("model " + std::to_string(state.entries())),
            .slow = state.slow() ? std::optional(Sha256Of("slow " + std::to_string(state.entries()))) : std::nullopt};
      case Phase::kJudging:
        if (const auto awaited = state.Awaited(); !awaited.empty()) {
          return Says(state, awaited.front(), StatementKind::kJudgement,
                      JudgementReport{.pictures = 25, .agrees = 24}.ToJson());
        }
        return Closed(state);
      case Phase::kAcknowledging:
        if (const auto awaited = state.Awaited(); !awaited.empty()) {
          return Says(state, awaited.front(), StatementKind::kAcknowledgement, nlohmann::json::object());
        }
        break;
      case Phase::kSumming:
        return Says(state, state.participants().front(), StatementKind::kSums, Sums(state).ToJson());
      case Phase::kSolving:
        return HeadSolvedEntry{
            .task = state.task(),
            .sums = state.sums()->sums,
            .totals = state.totals() ? Sha256Of("totals " + std::to_string(state.task())) : state.sums()->sums,
            .head = Sha256Of("head " + std::to_string(state.task()))};
      case Phase::kSummarising:
        if (state.exemplars_pending()) return Exemplars(state);
        for (const std::string& site : state.Awaited()) {
          return Says(state, site, StatementKind::kMeans, Means(state, site).ToJson());
        }
        return ModelDerivedEntry{state.task(), Sha256Of("derived " + std::to_string(state.task()))};
      case Phase::kDeriving:
        return ModelDerivedEntry{state.task(), Sha256Of("derived " + std::to_string(state.task()))};
      case Phase::kEvaluating:
        if (state.exemplars_pending()) return Exemplars(state);
        if (state.fisher_pending()) {
          return Says(state, state.participants().front(), StatementKind::kFisher, Fisher(state).ToJson());
        }
        if (const auto due = state.BundlesToSend(); !due.empty()) {
          return Says(state, state.participants().front(), StatementKind::kBundle, Bundle(state, due.front()).ToJson());
        }
        for (const std::string& site : state.Awaited()) {
          return Says(state, site, StatementKind::kEvaluation, Scores(15, 5, state.plan().PoolsOf(site)).ToJson());
        }
        return TaskClosedEntry{state.task(), state.scored_model(), state.ExpectedRow()};
      case Phase::kClosed: break;
    }
    throw Error(ErrorCode::kInternal, "nothing is due");
  }

  void UsePlan(std::string text) {
    plan_text = std::move(text);
    plan = Sha256Of(plan_text);
  }
  // Founding, the plan's labs, plan.
  std::vector<Entry> Opening() const {
    std::vector<Entry> entries{{1, Founding()}};
    for (const std::string& site : ParsePlan(plan_text, "plan").Sites()) entries.push_back({2, Joins(site)});
    entries.push_back({4, Plans()});
    return entries;
  }
  // Applies the opening, then what is due until the state is in `phase` of `task` (or closed).
  FederationState StateIn(Phase phase, std::uint32_t task = 0) const {
    FederationState state = NewState();
    for (const Entry& entry : Opening()) state.Apply(entry);
    while (state.phase() != phase || state.task() != task) state.Apply({5, Next(state)});
    return state;
  }
};

}  // namespace hemafed::testing_support
