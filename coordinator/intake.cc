// SPDX-License-Identifier: Apache-2.0
#include "coordinator/intake.h"

#include <utility>

#include "codec/evaluation.h"
#include "codec/fisher.h"
#include "codec/prototype_head.h"
#include "codec/score_histograms.h"
#include "codec/sealed_bundle.h"
#include "codec/update.h"
#include "common/copy_content.h"
#include "common/error.h"
#include "common/safetensors.h"
#include "protocol/federation/drift_reference.h"
#include "protocol/federation/enclosure.h"
#include "protocol/federation/head_solve.h"
#include "protocol/federation/moments_object.h"
#include "protocol/federation/update_rules.h"

namespace hemafed::coordinator {

namespace {

wire::RefusalCode CodeFor(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidInput: return wire::RefusalCode::kBadContent;
    case ErrorCode::kConflict: return wire::RefusalCode::kWrongRound;
    case ErrorCode::kRefused: return wire::RefusalCode::kNotAuthorised;
    case ErrorCode::kNotFound: return wire::RefusalCode::kUnknownObject;
    case ErrorCode::kUnavailable:
    case ErrorCode::kCorrupt:
    case ErrorCode::kNoSpace:
    case ErrorCode::kInterrupted:
    case ErrorCode::kInternal: return wire::RefusalCode::kInternal;
  }
  return wire::RefusalCode::kInternal;
}

RefusedEntry RefusalOf(const StatementEntry& entry, std::string reason) {
  const JsonFields body(entry.statement.body, "statement of " + entry.site);
  const bool sums = entry.statement.kind == StatementKind::kSums;
  return {.site = entry.site,
          .task = entry.statement.task,
          .round = entry.statement.round,
          .update = sums ? SumsReport::FromJson(body).sums : UpdateReport::FromJson(body).values,
          .reason = std::move(reason)};
}

// What learning goes on without; the rest is asked for until it fits.
bool IsLoggedWhenRefused(StatementKind kind) { return kind == StatementKind::kUpdate || kind == StatementKind::kSums; }

// What a task waits for whatever was wrong with it, and its site makes anew: pictures may have been added or removed
// since it committed, and the lab's people can mend that.
bool IsAskedForAgain(std::uint16_t kind) {
  return kind == static_cast<std::uint16_t>(StatementKind::kDrift) ||
         kind == static_cast<std::uint16_t>(StatementKind::kMoments);
}

// Whether an error is about what the site sent; the rest is this machine's trouble.
bool IsTheirs(ErrorCode code) {
  return code == ErrorCode::kInvalidInput || code == ErrorCode::kConflict || code == ErrorCode::kRefused ||
         code == ErrorCode::kNotFound;
}

}  // namespace

Intake::Intake(FileSystem& files, Ledger& ledger, ObjectStore& store, ObjectStore& uploads, Path scratch)
    : files_(files), ledger_(ledger), store_(store), uploads_(uploads), scratch_(std::move(scratch)) {
  // A crash after an update was logged and before its compressed file was removed.
  for (const auto& [site, update] : ledger_.state().updates()) uploads_.Remove(update.file);
  for (const auto& [site, evaluation] : ledger_.state().evaluations()) {
    if (evaluation.scores()) uploads_.Remove(evaluation.scores()->file);
  }
  if (const auto& sums = ledger_.state().sums()) uploads_.Remove(sums->file);
  if (const auto& fisher = ledger_.state().fisher()) uploads_.Remove(fisher->file);
  for (const auto& [site, means] : ledger_.state().means()) uploads_.Remove(means.file);
  for (const auto& [site, moments] : ledger_.state().moments()) uploads_.Remove(moments.values);
  // The same of bundles: stated and still among the uploads, or held by the recipient and still here.
  for (const SentBundle& bundle : ledger_.state().bundles()) {
    uploads_.Remove(bundle.report.file);
    if (bundle.received && !bundle.received->trouble) DropBundle(bundle.report.file);
  }
}

wire::Message Intake::Take(const std::string& site, const wire::Submission& submission) {
  const Digest subject = Sha256Of(submission.body);
  try {
    StatementEntry entry{
        .site = site, .statement = SiteStatement::FromText(submission.body), .signature = submission.signature};
    if (const auto why = WhyRefused(entry)) {
      ledger_.Append(RefusalOf(entry, *why));
      return wire::Refusal{wire::RefusalCode::kOutOfBounds, *why, subject};
    }
    const auto enclosure = EnclosureOf(entry.statement);
    if (!enclosure) {
      if (const auto why = WhyNotOfTheLog(entry)) {
        return wire::Refusal{wire::RefusalCode::kOutOfBounds, *why, subject};
      }
      const SiteStatement statement = entry.statement;
      const std::uint64_t index = ledger_.Append(std::move(entry));
      if (statement.kind == StatementKind::kReceived) {
        const auto report = ReceivedReport::FromJson({statement.body, "received"});
        if (!report.trouble) DropBundle(report.bundle);
      }
      return ReceiptFor(index);
    }
    if (!uploads_.Has(enclosure->file)) {
      return wire::Refusal{wire::RefusalCode::kUnknownObject,
                           "the file of this " + std::string(StatementKindName(entry.statement.kind)) +
                               " has not been put yet: put it, then submit again",
                           subject};
    }
    if (const auto broken = Store(entry)) {
      if (IsLoggedWhenRefused(entry.statement.kind)) ledger_.Append(RefusalOf(entry, *broken));
      uploads_.Remove(enclosure->file);
      return wire::Refusal{wire::RefusalCode::kOutOfBounds, *broken, subject};
    }
    const std::uint64_t index = ledger_.Append(std::move(entry));
    uploads_.Remove(enclosure->file);
    return ReceiptFor(index);
  } catch (const Error& error) {
    if (!IsTheirs(error.code())) throw;
    const bool again = error.code() == ErrorCode::kRefused && IsAskedForAgain(submission.kind);
    return wire::Refusal{again ? wire::RefusalCode::kOutOfBounds : CodeFor(error.code()),
                         std::string(error.what()).substr(0, wire::wire_limits::kRefusalTextBytes), subject};
  }
}

std::optional<std::string> Intake::WhyRefused(const StatementEntry& entry) const {
  const FederationState& state = ledger_.state();
  try {
    state.CheckStatement(entry.site, entry.statement, entry.signature);
    return std::nullopt;
  } catch (const Error& error) {
    const bool is_due = state.roster().contains(entry.site) && entry.statement.task == state.task() &&
                        entry.statement.round == state.round() && IsLoggedWhenRefused(entry.statement.kind) &&
                        EnclosureDue(state, entry.site) == entry.statement.kind;
    // Below kRefused the statement is not even the site's signed word about this round.
    if (error.code() != ErrorCode::kRefused || !is_due) throw;
    return error.what();
  }
}

std::optional<std::string> Intake::WhyNotOfTheLog(const StatementEntry& entry) const {
  if (entry.statement.kind != StatementKind::kDrift) return std::nullopt;
  const auto answer = DriftAnswerFromJson({entry.statement.body, "drift of " + entry.site});
  const auto why =
      WhyAnotherReference(ledger_.state(), answer, [this](const Digest& digest) { return store_.OpenForRead(digest); });
  return why ? std::optional("drift of " + entry.site + ": " + *why) : std::nullopt;
}

std::optional<std::string> Intake::Store(const StatementEntry& entry) {
  const JsonFields body(entry.statement.body,
                        std::string(StatementKindName(entry.statement.kind)) + " of " + entry.site);
  if (entry.statement.kind == StatementKind::kUpdate) return StoreUpdate(entry.site, UpdateReport::FromJson(body));
  if (entry.statement.kind == StatementKind::kEvaluation) return StoreScores(entry);
  if (entry.statement.kind == StatementKind::kSums) return StoreSums(SumsReport::FromJson(body));
  if (entry.statement.kind == StatementKind::kFisher) return StoreFisher(FisherReport::FromJson(body));
  if (entry.statement.kind == StatementKind::kMeans) return StoreMeans(MeansReport::FromJson(body));
  if (entry.statement.kind == StatementKind::kMoments) return StoreMoments(MomentsReport::FromJson(body));
  if (entry.statement.kind == StatementKind::kBundle) return StoreBundle(entry, BundleReport::FromJson(body));
  throw Error(ErrorCode::kInternal, "a statement with a file that nobody stores");
}

std::optional<std::string> Intake::StoreBundle(const StatementEntry& entry, const BundleReport& report) {
  const FederationState& state = ledger_.state();
  const auto in = uploads_.OpenForRead(report.file);
  BundleHeader header;
  try {
    header = ReadBundleHeader(*in);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) throw;
    return std::string(error.what());
  }
  const BundleAddress expected{
      .plan = state.plan_digest(), .task = entry.statement.task, .sender = entry.site, .recipient = report.recipient};
  if (header.address != expected) return "the bundle's address is not that of its statement";
  if (header.recipient_key != state.AgreementOf(report.recipient).key) {
    return "the bundle is sealed to another key than the one that " + report.recipient + " agreed with";
  }
  if (header.items != report.items || header.FileBytes() != report.file_bytes) {
    return "the bundle's size is not that of its statement";
  }
  if (store_.Has(report.file)) return std::nullopt;
  // A copy: until the statement is logged, the upload must be there to be stated again after a crash.
  const Path copy = scratch_ / "bundle.hfx";
  const auto out = files_.Create(copy);
  (void)CopyContent(*in, *out);
  out->Sync();
  out->Close();
  store_.AdoptFile(copy, report.file);
  return std::nullopt;
}

void Intake::DropBundle(const Digest& bundle) { store_.Remove(bundle); }

std::optional<std::string> Intake::StoreUpdate(const std::string& site, const UpdateReport& report) {
  const FederationState& state = ledger_.state();
  const SafetensorsReader now = SafetensorsReader::Open(files_, store_.PathOf(state.model()));
  const SafetensorsReader first = SafetensorsReader::Open(files_, store_.PathOf(state.task_base()));
  const UpdateLayout layout = LayoutOfModel(now);
  if (layout.Hash() != report.layout) return "the update's tensors are not those of the round's base model";
  return StoreIntegers({.file = report.file, .values = report.values, .encoding = state.plan().aggregation.encoding},
                       layout, [&](const ReadableFile& raw) {
                         return WhyNotTaken(state, site, report, raw, layout, {.now = now, .first = first});
                       });
}

std::optional<std::string> Intake::StoreFisher(const FisherReport& report) {
  const UpdateLayout layout = ModelLayout();
  if (layout.Hash() != report.layout) return "the Fisher information's tensors are not those of the task's model";
  return StoreIntegers({.file = report.file, .values = report.values}, layout,
                       [&](const ReadableFile& raw) { return WhyNoFisher(raw, layout); });
}

std::optional<std::string> Intake::StoreMeans(const MeansReport& report) {
  const UpdateLayout layout = MeansLayout(ModelLayout());
  return StoreIntegers({.file = report.file, .values = report.values}, layout, [&](const ReadableFile& raw) {
    return WhyNoMeans(ReadMeans(raw, layout), layout, report.classes);
  });
}

std::optional<std::string> Intake::StoreMoments(const MomentsReport& report) {
  // Read even where an object of this name is there: it could be something else that the site knows the digest of.
  std::optional<LatentMoments> moments;
  if (auto why = WhyNoMoments(*uploads_.OpenForRead(report.values), report, ledger_.state().plan(), &moments)) {
    return why;
  }
  if (store_.Has(report.values)) return std::nullopt;  // Stored before a crash.
  const Path raw = scratch_ / "moments.raw";
  (void)WriteLatentMoments(files_, raw, *moments);
  store_.AdoptFile(raw, report.values);
  return std::nullopt;
}

UpdateLayout Intake::ModelLayout() const {
  return LayoutOfModel(SafetensorsReader::Open(files_, store_.PathOf(ledger_.state().model())));
}

std::optional<std::string> Intake::StoreIntegers(
    const SentIntegers& sent, const UpdateLayout& layout,
    const std::function<std::optional<std::string>(const ReadableFile&)>& why_not) {
  const Path raw = scratch_ / "update.raw";
  DecodedUpdate decoded;
  try {
    const auto in = uploads_.OpenForRead(sent.file);
    const auto out = files_.Create(raw);
    decoded = DecodeUpdate(*in, layout, *out, {.encoding = sent.encoding});
    out->Sync();
    out->Close();
  } catch (const Error& error) {
    files_.Remove(raw);
    if (error.code() != ErrorCode::kInvalidInput) throw;
    return "the file of integers cannot be read: " + std::string(error.what());
  }
  // Outside: what goes wrong with the models here is not the site's fault.
  const std::optional<std::string> broken = decoded.values != sent.values
                                                ? "its integers do not have the digest that the site signed"
                                                : why_not(*files_.OpenForRead(raw));
  if (broken) {
    files_.Remove(raw);
    return broken;
  }
  store_.AdoptFile(raw, sent.values);
  return std::nullopt;
}

std::optional<std::string> Intake::StoreScores(const StatementEntry& entry) {
  const Plan& plan = ledger_.state().plan();
  const auto report = EvaluationReport::FromJson(entry.statement.body, plan.classes.size(), plan.PoolsOf(entry.site));
  const ScoresFile& named = *report.scores();  // There is a file, so the body names it.
  ScoreHistograms histograms(plan.classes.size());
  try {
    histograms = ReadScoreHistograms(*uploads_.OpenForRead(named.file), plan.classes.size());
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) throw;
    return "the file of score histograms cannot be read: " + std::string(error.what());
  }
  if (auto why = histograms.WhyNotOf(report, plan.min_pictures)) return why;
  if (histograms.Hash() != named.values) return "the score histograms do not have the digest that the site signed";
  if (store_.Has(named.values)) return std::nullopt;  // Stored before a crash, or the same scores as before.
  const Path raw = scratch_ / "scores.raw";
  const auto out = files_.Create(raw);
  out->Append(ByteView(histograms.Canonical()));
  out->Sync();
  out->Close();
  store_.AdoptFile(raw, named.values);
  return std::nullopt;
}

std::optional<std::string> Intake::StoreSums(const SumsReport& report) {
  const Plan& plan = ledger_.state().plan();
  const Path raw = scratch_ / "sums.raw";
  try {
    const FeatureSums sums = ReadFeatureSums(*uploads_.OpenForRead(report.file), plan.strategy.features,
                                             static_cast<std::uint32_t>(plan.classes.size()));
    // Judged even where an object of this name is there: the statement beside it may be another one.
    if (auto why = WhySumsDoNotFit(sums, report, plan)) return why;
    if (store_.Has(report.sums)) return std::nullopt;  // Stored before a crash.
    WriteCanonicalSums(files_, raw, sums);
  } catch (const Error& error) {
    files_.Remove(raw);
    if (error.code() != ErrorCode::kInvalidInput) throw;
    return "the file of feature sums cannot be read: " + std::string(error.what());
  }
  store_.AdoptFile(raw, report.sums);
  return std::nullopt;
}

wire::Receipt Intake::ReceiptFor(std::uint64_t index) const {
  const RoundLogWriter& log = ledger_.log();
  return {.log_index = index,
          .log_size = log.size(),
          .checkpoint = log.CheckpointNote(),
          .proof = log.InclusionProof(index)};
}

}  // namespace hemafed::coordinator
