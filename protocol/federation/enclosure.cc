// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/enclosure.h"

#include <algorithm>

#include "codec/drift_report.h"
#include "codec/evaluation.h"
#include "codec/exchange.h"
#include "codec/feature_sums.h"
#include "codec/job_folder.h"
#include "codec/latent_moments.h"
#include "codec/prototype_head.h"
#include "codec/reports.h"
#include "codec/score_histograms.h"
#include "protocol/federation/federation_state.h"

namespace hemafed {

std::optional<Enclosure> EnclosureOf(const SiteStatement& statement) {
  JsonFields body(statement.body, std::string(StatementKindName(statement.kind)));
  switch (statement.kind) {
    case StatementKind::kUpdate: {
      const auto report = UpdateReport::FromJson(body);
      return Enclosure{.name = kUpdateFileName, .file = report.file, .bytes = report.file_bytes};
    }
    case StatementKind::kEvaluation: {
      // The rest of the body needs the plan's classes, which the state checks.
      if (body.Raw("scores").is_null()) break;
      const ScoresFile scores = ScoresFile::FromJson(body.Object("scores"));
      return Enclosure{.name = kScoresFileName, .file = scores.file, .bytes = scores.file_bytes};
    }
    case StatementKind::kSums: {
      const auto report = SumsReport::FromJson(body);
      return Enclosure{.name = kSumsFileName, .file = report.file, .bytes = report.file_bytes};
    }
    case StatementKind::kFisher: {
      const auto report = FisherReport::FromJson(body);
      return Enclosure{.name = kFisherFileName, .file = report.file, .bytes = report.file_bytes};
    }
    case StatementKind::kMeans: {
      const auto report = MeansReport::FromJson(body);
      return Enclosure{.name = kMeansFileName, .file = report.file, .bytes = report.file_bytes};
    }
    case StatementKind::kMoments: {
      if (IsBelowMinPictures(body)) break;
      const auto report = MomentsReport::FromJson(body);
      return Enclosure{.name = kMomentsFileName, .file = report.values, .bytes = report.file_bytes};
    }
    case StatementKind::kBundle: {
      const auto report = BundleReport::FromJson(body);
      return Enclosure{.name = kBundleFileName, .file = report.file, .bytes = report.file_bytes};
    }
    case StatementKind::kCommitment:
    case StatementKind::kAcknowledgement:
    case StatementKind::kExemplars:
    case StatementKind::kJudgement:
    case StatementKind::kDrift:
    case StatementKind::kAgreement:
    case StatementKind::kAgreementEnd:
    case StatementKind::kReceived:
    case StatementKind::kWithdrawal:
    case StatementKind::kRemoved: break;
  }
  return std::nullopt;
}

bool NeedsLayout(StatementKind kind) noexcept {
  return kind == StatementKind::kUpdate || kind == StatementKind::kFisher || kind == StatementKind::kMeans;
}

std::uint64_t MaxEnclosureBytes(StatementKind kind, const Plan& plan, const UpdateLayout& base) {
  if (kind == StatementKind::kUpdate) return MaxUpdateFileBytes(base, plan.aggregation.encoding);
  if (kind == StatementKind::kFisher && plan.strategy.fisher_pictures > 0) {
    return MaxUpdateFileBytes(base, UpdateEncoding::kInt32);
  }
  if (kind == StatementKind::kMeans && plan.CollectsMeans()) {
    return MaxUpdateFileBytes(MeansLayout(base), UpdateEncoding::kInt32);
  }
  if (kind == StatementKind::kEvaluation) return MaxScoreHistogramsFileBytes(plan.classes.size());
  if (kind == StatementKind::kSums && plan.SolvesHead()) {
    return MaxFeatureSumsFileBytes(plan.strategy.features, static_cast<std::uint32_t>(plan.classes.size()));
  }
  if (kind == StatementKind::kBundle) return MaxBundleFileBytes(plan);
  if (kind == StatementKind::kMoments && plan.StatesMoments()) return LatentMomentsBytes(plan.model.LatentWidth());
  return 0;
}

std::optional<StatementKind> EnclosureDue(const FederationState& state, const std::string& site) {
  const std::vector<std::string> awaited = state.Awaited();
  const bool is_awaited = std::find(awaited.begin(), awaited.end(), site) != awaited.end();
  if (state.phase() == Phase::kRoundOpen && is_awaited) return StatementKind::kUpdate;
  if (state.phase() == Phase::kMeasuring && is_awaited) return StatementKind::kMoments;
  const bool seals = !state.BundlesToSend().empty() && site == state.participants().front();
  if (state.fisher_pending() && site == state.participants().front()) return StatementKind::kFisher;
  if (seals) return StatementKind::kBundle;
  const bool chooses = state.exemplars_pending() && site == state.participants().front();
  if (state.phase() == Phase::kSummarising && is_awaited && !chooses) return StatementKind::kMeans;
  if (state.phase() == Phase::kEvaluating && is_awaited && !state.evaluations().contains(site)) {
    return StatementKind::kEvaluation;
  }
  if (state.phase() == Phase::kSumming && is_awaited) return StatementKind::kSums;
  return std::nullopt;
}

}  // namespace hemafed
