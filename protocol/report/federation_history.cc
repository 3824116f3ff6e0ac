// SPDX-License-Identifier: Apache-2.0
#include "protocol/report/federation_history.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "codec/exchange.h"
#include "codec/reports.h"
#include "common/error.h"

namespace hemafed {

namespace {

std::optional<std::uint64_t> OfProbe(const UpdateReport& report, std::uint64_t DistillationProbe::*figure) {
  return report.probe ? std::optional((*report.probe).*figure) : std::nullopt;
}

}  // namespace

void FederationHistory::Add(const FederationState& before, const Entry& entry) {
  if (const auto* opened = std::get_if<TaskOpenedEntry>(&entry.body)) {
    tasks_.push_back({.participants = opened->participants});
    agreed_.clear();
  } else if (const auto* round = std::get_if<RoundOpenedEntry>(&entry.body)) {
    tasks_.back().rounds.push_back({.task = round->task,
                                    .round = round->round,
                                    .moments = std::exchange(moments_, {}),
                                    .absent = std::exchange(absent_, {}),
                                    .model = round->base});
  } else if (const auto* refused = std::get_if<RefusedEntry>(&entry.body)) {
    TaskRecord& task = tasks_.back();
    (task.rounds.empty() ? task.refused : task.rounds.back().refused).push_back(*refused);
  } else if (const auto* absent = std::get_if<AbsentEntry>(&entry.body)) {
    TaskRecord& task = tasks_.back();
    if (before.phase() == Phase::kEvaluating) return;  // Told by what is missing when the task closes.
    if (before.phase() == Phase::kSummarising) {
      task.without_means.push_back(*absent);
      return;
    }
    // Before a later round opens, the last one is over: it belongs to the one that it was asked for.
    const bool of_next = before.phase() == Phase::kMeasuring && !task.rounds.empty();
    (of_next ? absent_ : task.rounds.empty() ? task.absent : task.rounds.back().absent).push_back(*absent);
  } else if (std::holds_alternative<CandidateEntry>(entry.body)) {
    if (before.candidate()) Judge(before);
  } else if (const auto* closed = std::get_if<RoundClosedEntry>(&entry.body)) {
    CloseRound(before, *closed);
  } else if (std::holds_alternative<TaskClosedEntry>(entry.body)) {
    TaskRecord& task = tasks_.back();
    task.closed = true;
    for (const std::string& site : before.plan().Scorers()) {
      if (!task.evaluations.contains(site)) task.unscored.push_back(site);
    }
  } else if (const auto* solved = std::get_if<HeadSolvedEntry>(&entry.body)) {
    tasks_.back().sums.value().head = solved->head;
  } else if (const auto* paused = std::get_if<PausedEntry>(&entry.body)) {
    tasks_.back().standstills.push_back({.round = paused->round, .sites = paused->sites, .what = paused->reason});
  } else if (const auto* decision = std::get_if<DecisionEntry>(&entry.body)) {
    tasks_.back().standstills.push_back({.round = decision->round,
                                         .sites = {decision->site},
                                         .what = std::string(DecisionName(decision->kind)),
                                         .decision = true});
  } else if (const auto* statement = std::get_if<StatementEntry>(&entry.body)) {
    Add(before, *statement);
  }
}

void FederationHistory::Add(const FederationState& before, const StatementEntry& entry) {
  if (IsAboutPlan(entry.statement.kind)) return;  // Some come before the first task.
  const JsonFields body(entry.statement.body, "statement of " + entry.site);
  TaskRecord& task = tasks_.back();
  switch (entry.statement.kind) {
    case StatementKind::kCommitment: task.pictures[entry.site] = CommitmentReport::FromJson(body).pictures; break;
    case StatementKind::kUpdate: {
      const auto report = UpdateReport::FromJson(body);
      Round().updates.push_back({.site = entry.site,
                                 .pictures = report.pictures,
                                 .file_bytes = report.file_bytes,
                                 .loss_millionths = report.loss_millionths,
                                 .distillation_millionths = report.distillation_millionths,
                                 .probe_before_millionths = OfProbe(report, &DistillationProbe::before_millionths),
                                 .probe_after_millionths = OfProbe(report, &DistillationProbe::after_millionths),
                                 .weight = {}});
      break;
    }
    case StatementKind::kExemplars: task.exemplars = ExemplarReport::FromJson(body).kept; break;
    case StatementKind::kEvaluation: {
      const Plan& plan = before.plan();
      const std::size_t classes = plan.classes.size();
      const auto report = EvaluationReport::FromJson(entry.statement.body, classes, plan.PoolsOf(entry.site));
      if (report.scores()) {
        const Digest& digest = report.scores()->values;
        ScoreHistograms scores = ReadCanonicalScores(*open_(digest), classes);
        if (scores.Hash() != digest) {
          throw Error(ErrorCode::kCorrupt, "the object " + digest.Hex() + " does not have the content of its name");
        }
        if (const auto why = scores.WhyNotOf(report, plan.min_pictures)) {
          throw Error(ErrorCode::kCorrupt, "evaluation of " + entry.site + ": " + *why);
        }
        task.scores.emplace(entry.site, std::move(scores));
      }
      task.evaluations.emplace(entry.site, report);
      break;
    }
    case StatementKind::kSums: {
      const auto report = SumsReport::FromJson(body);
      task.sums = SumsRecord{.site = entry.site,
                             .pictures = report.pictures,
                             .clamped = report.clamped,
                             .file_bytes = report.file_bytes,
                             .head = {}};
      break;
    }
    case StatementKind::kFisher:
      task.other_files.push_back({.site = entry.site, .bytes = FisherReport::FromJson(body).file_bytes});
      break;
    case StatementKind::kMeans:
      task.other_files.push_back({.site = entry.site, .bytes = MeansReport::FromJson(body).file_bytes});
      break;
    case StatementKind::kMoments: {
      if (IsBelowMinPictures(body)) {
        DriftOf(before, entry.site).too_few = true;
        break;
      }
      const auto report = MomentsReport::FromJson(body);
      if (before.plan().AlignsLatents()) {
        moments_.push_back({.site = entry.site, .cells = report.cells, .file_bytes = report.file_bytes});
      } else {
        DriftOf(before, entry.site).pictures = report.cells;
      }
      task.other_files.push_back({.site = entry.site, .bytes = report.file_bytes});
      break;
    }
    case StatementKind::kDrift: {
      DriftRecord& drift = DriftOf(before, entry.site);
      drift.answer = DriftAnswerFromJson(body);
      drift.members = before.ExpectedDrift().members;
      drift.too_few = std::holds_alternative<BelowMinPictures>(*drift.answer);
      break;
    }
    case StatementKind::kBundle:
      task.other_files.push_back({.site = entry.site, .bytes = BundleReport::FromJson(body).file_bytes});
      break;
    case StatementKind::kAgreement:
    case StatementKind::kAgreementEnd:
    case StatementKind::kReceived:
    case StatementKind::kWithdrawal:
    case StatementKind::kRemoved:
    case StatementKind::kAcknowledgement:
    case StatementKind::kJudgement: break;  // Judgements are read from the state once all are there.
  }
}

DriftRecord& FederationHistory::DriftOf(const FederationState& before, const std::string& site) {
  std::optional<DriftRecord>& drift = tasks_.back().drift;
  if (!drift) {
    drift = DriftRecord{.site = site, .against = {}, .members = {}, .answer = {}};
    for (const DescribedLatents& earlier : before.described()) drift->against.push_back(earlier.site);
  }
  return *drift;
}

void FederationHistory::Judge(const FederationState& before) {
  GateRecord gate{.halvings = before.candidate()->halvings, .accepted = before.CandidateAccepted()};
  for (const auto& [site, report] : before.judgements()) {
    const auto base = agreed_.find(site);
    gate.pictures += report.pictures;
    gate.agrees += report.agrees;
    gate.agreed_before += base == agreed_.end() ? report.pictures : std::min(base->second, report.pictures);
  }
  if (gate.accepted) {
    agreed_.clear();
    for (const auto& [site, report] : before.judgements()) agreed_[site] = report.agrees;
  }
  Round().gate.push_back(gate);
}

void FederationHistory::CloseRound(const FederationState& before, const RoundClosedEntry& entry) {
  if (before.candidate()) Judge(before);
  RoundRecord& round = Round();
  round.closed = true;
  round.rejected = entry.rejected;
  round.halvings = entry.halvings;
  round.model = entry.model;
  for (const auto& [site, weight] : entry.weights) {
    for (UpdateRecord& update : round.updates) {
      if (update.site == site) update.weight = weight;
    }
  }
}

}  // namespace hemafed
