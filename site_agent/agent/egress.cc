// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/egress.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "codec/drift_report.h"
#include "codec/evaluation.h"
#include "codec/exchange.h"
#include "codec/prototype_head.h"
#include "codec/score_histograms.h"
#include "codec/sealed_bundle.h"
#include "common/error.h"
#include "common/json_fields.h"
#include "protocol/federation/enclosure.h"
#include "protocol/federation/head_solve.h"
#include "protocol/federation/moments_object.h"

namespace hemafed::agent {

using nlohmann::json;

namespace {

[[noreturn]] void Refuse(const std::string& what) {
  throw Error(ErrorCode::kRefused, "the egress contract does not let this leave: " + what);
}

// The only thing that a removal may name.
Digest WithdrawalOf(const Job& job) {
  if (!job.partner) Refuse(job.Name() + " names no withdrawal");
  const Entry entry = ParseEntry(job.partner->statement);
  const auto* said = std::get_if<StatementEntry>(&entry.body);
  if (said == nullptr || said->statement.kind != StatementKind::kWithdrawal) {
    Refuse(job.Name() + " names no withdrawal");
  }
  return Sha256Of(said->statement.ToText());
}

}  // namespace

json EgressContract::Permit(const Job& job, const json& body) const {
  const std::string where = "report of " + job.Name();
  // Each round is one more look at the same pictures, through a model that the coordinator chose.
  const auto require_round_of_plan = [&](std::uint32_t rounds) {
    if (job.task >= plan_.tasks.size() || job.round >= rounds) {
      Refuse(where + " is of round " + std::to_string(job.round + std::uint64_t{1}) + ", which the plan does not have");
    }
  };
  const auto rounds = job.task < plan_.tasks.size() ? plan_.tasks[job.task].rounds : 0;
  const auto require_classes = [&](std::size_t count) {
    if (count != plan_.classes.size()) Refuse(where + " counts " + std::to_string(count) + " classes");
  };
  const auto require_withheld = [&](const ClassCounts& counts) {
    require_classes(counts.size());
    for (const auto& count : counts) {
      if (count && *count < plan_.min_pictures) Refuse(where + " counts a class of fewer than min_pictures");
    }
  };
  switch (job.kind) {
    case JobKind::kCommit: {
      const auto report = CommitmentReport::FromJson({body, where});
      require_withheld(report.classes);
      return report.ToJson();
    }
    case JobKind::kTrain: {
      require_round_of_plan(rounds);
      const auto report = UpdateReport::FromJson({body, where});
      require_withheld(report.classes);
      if (report.teacher != job.teacher) Refuse(where + " was made with another teacher than the job's");
      return report.ToJson();
    }
    case JobKind::kSelect: {
      const auto report = ExemplarReport::FromJson({body, where});
      require_withheld(report.classes);
      return report.ToJson();
    }
    case JobKind::kJudge: {
      const auto report = JudgementReport::FromJson({body, where});
      if (report.pictures != 0 && report.pictures < plan_.min_pictures) {
        Refuse(where + " is about fewer than min_pictures pictures");
      }
      return report.ToJson();
    }
    case JobKind::kSum: {
      const auto report = SumsReport::FromJson({body, where});
      require_withheld(report.classes);
      return report.ToJson();
    }
    case JobKind::kEvaluate: {
      const auto report = EvaluationReport::FromJson(body, plan_.classes.size(), plan_.PoolsOf(job.site));
      if (!report.Withholds(plan_.min_pictures)) Refuse(where + " shows a class of fewer than min_pictures");
      if (report.scores() && report.ScoredClasses(plan_.min_pictures).empty()) {
        Refuse(where + " names score histograms, but no class has min_pictures positives and negatives");
      }
      return report.ToJson();
    }
    case JobKind::kAgree: {
      const std::vector<std::string> partners = ExchangePartners(plan_, job.site);
      for (const std::string& partner : partners) RequireAgreement(job, partner);
      // The trainer says its key; with whom pictures may be exchanged is the people's word, not the trainer's.
      return AgreementReport{.key = TrainerKeyReport::FromJson({body, where}).key, .partners = partners}.ToJson();
    }
    case JobKind::kSeal: {
      const auto report = BundleReport::FromJson({body, where});
      if (!job.partner || report.recipient != job.partner->site) Refuse(where + " is for another lab than the job's");
      RequireAgreement(job, report.recipient);
      if (report.items == 0 || report.items > MaxBundleItemsOf(plan_, job.task)) {
        Refuse(where + " holds " + std::to_string(report.items) + " pictures, the plan lets this task give " +
               std::to_string(MaxBundleItemsOf(plan_, job.task)));
      }
      if (report.file_bytes > MaxBundleFileBytesOf(plan_, job.task)) Refuse(where + " is larger than the plan allows");
      return report.ToJson();
    }
    case JobKind::kFisher: {
      if (!plan_.MeasuresFisher(job.task)) Refuse(where + " is of Fisher information that the plan does not need");
      const auto report = FisherReport::FromJson({body, where});
      if (report.pictures < plan_.min_pictures || report.pictures > plan_.strategy.fisher_pictures) {
        Refuse(where + " is of fewer than min_pictures pictures, or of more than the plan's");
      }
      return report.ToJson();
    }
    case JobKind::kMeans: {
      if (!plan_.CollectsMeans()) Refuse(where + " is of class means, which this plan does not collect");
      const auto report = MeansReport::FromJson({body, where});
      require_withheld(report.classes);
      return report.ToJson();
    }
    case JobKind::kMoments: {
      if (!plan_.StatesMoments()) Refuse(where + " is of latent moments, which this plan does not ask for");
      require_round_of_plan(plan_.AlignsLatents() ? rounds : 1);  // Under [drift] once, before a task's rounds.
      if (!plan_.AlignsLatents() && IsBelowMinPictures({body, where})) {
        return BelowMinPictures::FromJson({body, where}).ToJson();
      }
      const auto report = MomentsReport::FromJson({body, where});
      if (report.cells < std::max<std::uint64_t>(plan_.min_pictures, 2)) {
        Refuse(where + " is of fewer than min_pictures cells, or than two");
      }
      return report.ToJson();
    }
    case JobKind::kDrift: {
      if (!plan_.drift) Refuse(where + " compares latents, which this plan does not ask for");
      const auto answer = DriftAnswerFromJson({body, where});
      if (PicturesOf(answer).value_or(plan_.min_pictures) < plan_.min_pictures)
        Refuse(where + " is of fewer than min_pictures pictures");
      const auto* report = std::get_if<DriftReport>(&answer);
      if (report != nullptr && report->reference != DriftReferenceKind::kMoments) {
        Refuse(where + " compares with features of single pictures, which no hospital gets");
      }
      return DriftAnswerToJson(answer);
    }
    case JobKind::kReceive: return ReceivedReport::FromJson({body, where}).ToJson();
    case JobKind::kRemove: {
      const auto report = RemovedReport::FromJson({body, where});
      if (report.withdrawal != WithdrawalOf(job)) Refuse(where + " is about another withdrawal than the job's");
      return report.ToJson();
    }
  }
  Refuse(where + " is of no known kind");
}

void EgressContract::RequireAgreement(const Job& job, const std::string& partner) const {
  if (agreement_ && agreement_->Allows(job.plan, partner)) return;
  Refuse("this lab's people have not agreed that pictures travel between it and " + partner + " (hemafed-site agree)");
}

void EgressContract::PermitBundle(const Job& job, const SiteStatement& statement, const ReadableFile& file,
                                  const HpkePublicKey& key) const {
  const auto report = BundleReport::FromJson({statement.body, "bundle"});
  const BundleHeader header = ReadBundleHeader(file);
  const BundleAddress address{.plan = job.plan, .task = job.task, .sender = job.site, .recipient = report.recipient};
  if (header.address != address) Refuse("a bundle whose address is not that of its report");
  if (header.recipient_key != key) Refuse("a bundle sealed to another key than the one that its recipient signed");
  if (header.items != report.items || header.FileBytes() != report.file_bytes) {
    Refuse("a bundle whose size is not that of its report");
  }
}

void EgressContract::PermitEnclosure(const SiteStatement& statement, const UpdateLayout& base_layout) const {
  const std::string what = std::string(StatementKindName(statement.kind)) + " file";
  const auto enclosure = EnclosureOf(statement);
  if (!enclosure) Refuse("no file goes with a statement of this kind: " + what);
  const JsonFields body(statement.body, what);
  const bool foreign =
      (statement.kind == StatementKind::kUpdate && UpdateReport::FromJson(body).layout != base_layout.Hash()) ||
      (statement.kind == StatementKind::kFisher && FisherReport::FromJson(body).layout != base_layout.Hash());
  if (foreign) Refuse("the tensors of the " + what + " are not those of the model that it is about");
  const std::uint64_t most = MaxEnclosureBytes(statement.kind, plan_, base_layout);
  if (enclosure->bytes > most) {
    Refuse("the " + what + " has " + std::to_string(enclosure->bytes) + " bytes, more than the " +
           std::to_string(most) + " that it can need");
  }
}

void EgressContract::PermitContent(const SiteStatement& statement, const std::string& site, const ReadableFile& file,
                                   const UpdateLayout& base_layout) const {
  if (statement.kind == StatementKind::kMeans) {
    // A mean without a count would be one of too few pictures.
    const auto report = MeansReport::FromJson({statement.body, "means"});
    const UpdateLayout layout = MeansLayout(base_layout);
    std::vector<std::int32_t> means;
    const DecodedUpdate decoded = DecodeUpdate(
        file, layout, [&](std::span<const std::int32_t> part) { means.insert(means.end(), part.begin(), part.end()); });
    if (decoded.values != report.values) Refuse("class means of another digest than their report's");
    if (const auto why = WhyNoMeans(means, layout, report.classes)) Refuse(*why);
  }
  if (statement.kind == StatementKind::kSums) {
    const FeatureSums sums =
        ReadFeatureSums(file, plan_.strategy.features, static_cast<std::uint32_t>(plan_.classes.size()));
    if (const auto why = WhySumsDoNotFit(sums, SumsReport::FromJson({statement.body, "sums"}), plan_)) Refuse(*why);
  }
  if (statement.kind == StatementKind::kMoments) {
    const auto report = MomentsReport::FromJson({statement.body, "moments"});
    if (const auto why = WhyNoMoments(file, report, plan_)) Refuse(*why);
  }
  if (statement.kind != StatementKind::kEvaluation) return;
  const auto report = EvaluationReport::FromJson(statement.body, plan_.classes.size(), plan_.PoolsOf(site));
  const ScoreHistograms histograms = ReadScoreHistograms(file, plan_.classes.size());
  if (const auto why = histograms.WhyNotOf(report, plan_.min_pictures)) Refuse(*why);
  if (!report.scores() || histograms.Hash() != report.scores()->values) {
    Refuse("the score histograms do not have the digest that their report names");
  }
}

EgressRecord::EgressRecord(FileSystem& files, const Clock& clock, Path path)
    : files_(files), clock_(clock), path_(std::move(path)) {}

void EgressRecord::Write(const std::string& what, const Job& job, std::uint64_t bytes, const Digest& digest) {
  const json line = {
      {"at_ms", clock_.WallMs()}, {"what", what}, {"job", job.Name()}, {"bytes", bytes}, {"sha256", digest.Hex()}};
  const auto file = files_.OpenForAppend(path_);
  file->Append(line.dump() + "\n");
  file->Sync();
}

}  // namespace hemafed::agent
