// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/session.h"

#include <algorithm>
#include <utility>

#include "codec/update.h"
#include "common/copy_content.h"
#include "common/digest_of_file.h"
#include "common/error.h"
#include "common/program.h"
#include "common/safetensors.h"
#include "protocol/federation/partner_word.h"
#include "protocol/federation/signing.h"
#include "protocol/log/canonical_json.h"
#include "protocol/log/checkpoint.h"
#include "protocol/log/merkle.h"
#include "protocol/objects/object_store.h"

namespace hemafed::agent {

using nlohmann::json;

namespace {

// Nothing said for this long: say Ping, so that the coordinator sees a living loop while the trainer works.
constexpr std::int64_t kPingMs = 5'000;
// How soon a decision of the lab's people is noticed.
constexpr std::int64_t kLookMs = 1'000;
// How long after a refusal that left the assignment as it is the trainer is asked again.
constexpr std::int64_t kAgainMs = 30'000;

// The folder must be there before it can be held open.
Path CreatedJobFolder(FileSystem& files, const JobFolder& jobs) {
  jobs.CreateAll(files);
  return jobs.root;
}

StatementKind KindOf(JobKind kind) {
  switch (kind) {
    case JobKind::kCommit: return StatementKind::kCommitment;
    case JobKind::kTrain: return StatementKind::kUpdate;
    case JobKind::kSelect: return StatementKind::kExemplars;
    case JobKind::kEvaluate: return StatementKind::kEvaluation;
    case JobKind::kJudge: return StatementKind::kJudgement;
    case JobKind::kSum: return StatementKind::kSums;
    case JobKind::kAgree: return StatementKind::kAgreement;
    case JobKind::kSeal: return StatementKind::kBundle;
    case JobKind::kReceive: return StatementKind::kReceived;
    case JobKind::kFisher: return StatementKind::kFisher;
    case JobKind::kMeans: return StatementKind::kMeans;
    case JobKind::kRemove: return StatementKind::kRemoved;
    case JobKind::kMoments: return StatementKind::kMoments;
    case JobKind::kDrift: return StatementKind::kDrift;
  }
  throw Error(ErrorCode::kInternal, "job kind out of range");
}

}  // namespace

Session::Session(FileSystem& files, const Clock& clock, SiteFolder folder, Membership membership,
                 Ed25519KeyPair statement_key)
    : files_(files),
      clock_(clock),
      folder_(std::move(folder)),
      jobs_{folder_.Jobs()},
      membership_(std::move(membership)),
      statement_key_(std::move(statement_key)),
      results_(CreatedJobFolder(files, jobs_)),
      transfer_(files),
      egress_(files, clock, folder_.EgressFile()) {}

Session::Messages Session::OnReady() {
  // What was under way on the old connection is asked for again; a submission without a receipt is sent again once the
  // coordinator has repeated the assignment.
  asked_.clear();
  held_.reset();
  // Whether it was logged is not known: it is said again, and refused if it was.
  if (WithdrawalUnderWay()) LeaveWithdrawal();
  Messages out{wire::Hello{.software = std::string(kVersion),
                           .wall_ms = clock_.WallMs(),
                           .plan_digest = assignment_ && assignment_->plan ? *assignment_->plan : Digest{}},
               wire::WorkRequest{}};
  for (wire::Message& message : transfer_.OnReconnect()) out.push_back(std::move(message));
  return out;
}

Session::Messages Session::Handle(const wire::Message& message) {
  if (const auto* welcome = std::get_if<wire::Welcome>(&message)) {
    if (welcome->site != membership_.slot) {
      throw Error(ErrorCode::kRefused,
                  "the coordinator knows this key as " + welcome->site + ", not " + membership_.slot);
    }
    const NoteKey log_key{.name = membership_.log_name, .type = NoteKeyType::kEd25519, .key = membership_.log_key};
    (void)OpenCheckpoint(welcome->checkpoint, log_key, "the coordinator's checkpoint");
    return {};
  }
  if (const auto* assignment = std::get_if<wire::Assignment>(&message)) return Take(*assignment);
  if (const auto* reply = std::get_if<wire::HaveReply>(&message)) return Take(*reply);
  if (const auto* receipt = std::get_if<wire::Receipt>(&message)) {
    const std::optional<Digest> withdrawal = WithdrawalUnderWay();
    Take(*receipt);
    return withdrawal ? AfterWithdrawal(*withdrawal, true) : Messages{};
  }
  if (transfer_.Handles(message)) {
    Messages out = transfer_.Handle(message);
    for (wire::Message& more : AfterTransfer()) out.push_back(std::move(more));
    return out;
  }
  if (const auto* refusal = std::get_if<wire::Refusal>(&message)) {
    if (const auto withdrawal = WithdrawalUnderWay(); withdrawal == refusal->subject) {
      // In the wrong order only if it says nothing new: it was logged, and the receipt got lost.
      return AfterWithdrawal(*withdrawal, refusal->code == wire::RefusalCode::kWrongRound);
    }
    Take(*refusal);
  }
  return {};
}

Session::Messages Session::Take(const wire::Assignment& message) {
  if (WithdrawalUnderWay()) {
    held_ = message;
    return {};
  }
  const Digest digest = Sha256Of(message.json);
  if (digest == assignment_digest_ && stage_ != Stage::kSubmitted) {
    // The coordinator could not keep what was put, and has come back: put it again.
    if (stage_ == Stage::kPutting && transfer_.idle()) stage_ = Stage::kTraining;
    return Advance();
  }
  const bool repeated = digest == assignment_digest_;
  Assignment assignment = Assignment::FromText(message.json);
  if (assignment.note != last_note_) Tell(last_note_ = assignment.note);
  if (repeated && statement_) {
    // Submitted, then the connection broke before the receipt.
    stage_ = Stage::kPutting;
    return Submit();
  }
  if (assignment.plan) {
    if (!VerifyOperatorPlan(membership_.operator_key, *assignment.plan, *assignment.plan_signature)) {
      throw Error(ErrorCode::kRefused,
                  "the plan is not signed by this consortium's operator: nothing will be computed for it");
    }
    if (!assignment_ || assignment_->plan != assignment.plan) plan_.reset();
  }
  if (assignment.job && (assignment.job->site != membership_.slot || assignment.job->plan != assignment.plan)) {
    throw Error(ErrorCode::kRefused, "the coordinator sent a job of another site or plan");
  }
  assignment_ = std::move(assignment);
  assignment_text_ = message.json;
  assignment_digest_ = digest;
  statement_.reset();
  signature_.reset();
  again_at_ms_.reset();
  asked_.clear();
  refused_withdrawals_.clear();
  finished_ = false;
  stage_ = assignment_->action == Action::kWait ? Stage::kIdle : Stage::kFetching;
  return Advance();
}

Session::Messages Session::Take(const wire::HaveReply& reply) {
  if (!assignment_ || !asked_.contains(reply.digest)) return {};
  if (!reply.present) {
    throw Error(ErrorCode::kRefused,
                "the coordinator does not hold the object " + reply.digest.Hex() + " of its own assignment");
  }
  return transfer_.Download(reply.digest, reply.size, TargetOf(reply.digest));
}

Path Session::TargetOf(const Digest& object) const {
  return assignment_->plan == object ? jobs_.PlanFile(object) : jobs_.Object(object);
}

Session::Messages Session::Advance() {
  if (stage_ == Stage::kFetching) return Fetch();
  if (stage_ == Stage::kTraining) return TakeResult();
  // The coordinator's disk failed while the file came; it is back.
  if (stage_ == Stage::kPutting && transfer_.idle()) return TakeResult();
  return {};
}

std::vector<Digest> Session::Wanted() const { return assignment_->Objects(plan_ ? &*plan_ : nullptr); }

Session::Messages Session::Fetch() {
  Messages out;
  const auto ask_for_missing = [&] {
    bool complete = true;
    for (const Digest& object : Wanted()) {
      if (files_.Exists(TargetOf(object))) continue;
      complete = false;
      if (asked_.insert(object).second) out.push_back(wire::Have{object});
    }
    return !complete;
  };
  if (ask_for_missing()) return out;
  if (!plan_) {
    const Path path = jobs_.PlanFile(*assignment_->plan);
    const std::string text = ReadFile(files_, path, kMaxPlanBytes);
    if (Sha256Of(text) != *assignment_->plan) {
      files_.Remove(path);
      throw Error(ErrorCode::kCorrupt,
                  path.string() + " was altered; it has been removed, start again to fetch it anew");
    }
    plan_ = ParsePlan(text, path.string());
    if (ask_for_missing()) return out;
  }
  RemoveOldObjects();
  switch (assignment_->action) {
    case Action::kWait: break;
    case Action::kRunJob: return BeginJob();
    case Action::kAcknowledge:
      // The transfer hashed what it wrote; this is the statement that it is held.
      statement_ = SiteStatement{.kind = StatementKind::kAcknowledgement,
                                 .task = assignment_->task,
                                 .round = assignment_->round,
                                 .subject = *assignment_->model,
                                 .body = json::object()};
      return Submit();
    case Action::kFinished:
      if (kept_model_ != assignment_->model) {  // Once, whatever is said or asked for again after it.
        // A solved head does not say what gives its features: the lab gets both files.
        const auto& trunk = assignment_->trunk;
        const auto keep = [&](const Digest& object, const Path& path) {
          WriteFileAtomically(files_, path, ReadFile(files_, jobs_.Object(object), kMaxObjectBytes));
        };
        // A trained autoencoder gets the name that it has where it is used (docs/extractor.md).
        const Path model = plan_->TrainsAutoencoder() ? folder_.FinalAutoencoder() : folder_.FinalModel();
        keep(trunk.value_or(*assignment_->model), model);
        if (trunk) keep(*assignment_->model, folder_.FinalHead());
        if (const auto& extractor = plan_->model.extractor) {
          keep(extractor->detector, folder_.FinalDetector());
          keep(extractor->autoencoder, folder_.FinalAutoencoder());
        }
        if (const auto& detector = plan_->model.detector) keep(*detector, folder_.FinalDetector());
        Tell("the plan is finished; the consortium's model is " + model.string());
        kept_model_ = assignment_->model;
      }
      finished_ = !NextWithdrawal();
      stage_ = Stage::kIdle;
      break;
  }
  return {};
}

void Session::StartJob() {
  const Job& job = *assignment_->job;
  const std::string text = job.ToText();
  const Path todo = jobs_.JobFile(job.Name());
  // Jobs of an earlier assignment that nobody waits for any more.
  for (const std::string& name : files_.List(jobs_.Todo())) {
    if (name != todo.filename().string()) files_.Remove(jobs_.Todo() / name);
  }
  if (!files_.Exists(jobs_.DoneFolder(job.Name())) && !files_.Exists(todo)) WriteFileAtomically(files_, todo, text);
  stage_ = Stage::kTraining;
}

Session::Messages Session::TakeResult() {
  const Job& job = *assignment_->job;
  const Path done = jobs_.DoneFolder(job.Name());
  if (!files_.Exists(done / std::string(kReportFileName))) return {};
  if (const auto partner = UnagreedPartner(job)) {
    // They took it back while the trainer worked: what it made does not leave.
    files_.Remove(done);
    AskPeople(*partner);
    return {};
  }
  // Relative to the folder held open: the trainer's files are read without following links out of it.
  const Path relative = done.lexically_relative(jobs_.root);
  const Path report_file = relative / std::string(kReportFileName);
  const JobReport report = JobReport::FromText(results_.Read(report_file, kMaxReportBytes), report_file.string());
  if (report.job != Sha256Of(job.ToText())) {
    // Of an earlier run with another base model: the trainer is to do it again.
    files_.Remove(done);
    StartJob();
    return {};
  }
  files_.Remove(jobs_.JobFile(job.Name()));
  if (job.kind == JobKind::kRemove) RemoveOtherResults(job);
  const EgressContract contract(*plan_, LoadLabAgreement(files_, folder_.AgreementFile()));
  const auto permitted = [&] {
    try {
      return contract.Permit(job, report.body);
    } catch (const Error&) {
      // Of too few pictures: once the lab's people have mended that, the trainer is to look again.
      if (job.kind == JobKind::kDrift || job.kind == JobKind::kMoments) files_.Remove(done);
      throw;
    }
  };
  statement_ = SiteStatement{
      .kind = KindOf(job.kind), .task = job.task, .round = job.round, .subject = job.model, .body = permitted()};
  if (IsAboutPlan(statement_->kind)) {  // The job has a task for the trainer only.
    statement_->task = 0;
    statement_->subject = job.plan;
  }
  const auto enclosure = EnclosureOf(*statement_);
  if (!enclosure) return Submit();
  UpdateLayout base;  // What an analytic plan scores is a head, not a model file.
  if (NeedsLayout(statement_->kind)) {
    base = LayoutOfModel(SafetensorsReader::Open(files_, jobs_.Object(job.model)));
  }
  contract.PermitEnclosure(*statement_, base);
  CopyOut(relative / enclosure->name, *enclosure);
  contract.PermitContent(*statement_, job.site, *files_.OpenForRead(folder_.OutgoingFile()), base);
  if (job.kind == JobKind::kSeal) {
    contract.PermitBundle(job, *statement_, *files_.OpenForRead(folder_.OutgoingFile()),
                          RecipientKeyOf(job, membership_.operator_key));
  }
  egress_.Write(std::string(StatementKindName(statement_->kind)) + " file", job, enclosure->bytes, enclosure->file);
  stage_ = Stage::kPutting;
  return transfer_.Upload(folder_.OutgoingFile(), enclosure->file);
}

void Session::CopyOut(const Path& from, const Enclosure& enclosure) const {
  const auto in = results_.Open(from, enclosure.bytes);
  const auto out = files_.Create(folder_.OutgoingFile(), 0600);
  const Digest copied = CopyContent(*in, *out);
  out->Close();
  if (copied != enclosure.file) {
    throw Error(ErrorCode::kCorrupt, (jobs_.root / from).string() + " is not the file that its report names; remove " +
                                         (jobs_.root / from).parent_path().string() +
                                         " and start again: the trainer makes it anew");
  }
}

Session::Messages Session::AfterTransfer() {
  Messages out;
  while (const auto result = transfer_.NextResult()) {
    if (result->refusal) {
      // The round may have moved on meanwhile; the next assignment says what is wanted.
      Tell("transfer refused: " + result->refusal->text);
      asked_.erase(result->digest);
      continue;
    }
    Messages next = stage_ == Stage::kPutting ? Submit() : Advance();
    for (wire::Message& message : next) out.push_back(std::move(message));
  }
  return out;
}

Session::Messages Session::Submit() {
  const bool of_job = assignment_->job && statement_->kind == KindOf(assignment_->job->kind);
  if (const auto partner = of_job ? UnagreedPartner(*assignment_->job) : std::nullopt) {
    AskPeople(*partner);
    return {};
  }
  const std::string text = statement_->ToText();
  if (!signature_) {
    signature_ = SignSiteStatement(statement_key_, *assignment_->plan, *statement_);
    Job job =
        assignment_->job.value_or(Job{.plan = *assignment_->plan, .site = membership_.slot, .task = assignment_->task});
    egress_.Write(std::string(StatementKindName(statement_->kind)), job, text.size(), Sha256Of(text));
  }
  stage_ = Stage::kSubmitted;
  return {wire::Submission{static_cast<std::uint16_t>(statement_->kind), text, *signature_}};
}

void Session::Take(const wire::Receipt& receipt) {
  if (!statement_) return;
  // The entry that the log must hold for this statement, but for the time that the coordinator put into it, is checked
  // by the auditor; here the checkpoint's signature proves that the coordinator stands by a log of this size.
  const NoteKey log_key{.name = membership_.log_name, .type = NoteKeyType::kEd25519, .key = membership_.log_key};
  const Checkpoint checkpoint = OpenCheckpoint(receipt.checkpoint, log_key, "the receipt's checkpoint");
  if (checkpoint.size != receipt.log_size || receipt.log_index >= receipt.log_size) {
    throw Error(ErrorCode::kRefused, "the coordinator's receipt contradicts its own checkpoint; keep " +
                                         folder_.ReceiptsFile().string() + " and tell the auditor");
  }
  json proof = json::array();
  for (const Digest& hash : receipt.proof) proof.push_back(hash.Hex());
  const json line = {{"statement", Sha256Of(statement_->ToText()).Hex()},
                     {"index", receipt.log_index},
                     {"checkpoint", receipt.checkpoint},
                     {"proof", std::move(proof)}};
  const auto file = files_.OpenForAppend(folder_.ReceiptsFile());
  file->Append(line.dump() + "\n");
  file->Sync();
  const bool of_job = assignment_ && assignment_->job && statement_->kind == KindOf(assignment_->job->kind);
  if (of_job) files_.Remove(jobs_.DoneFolder(assignment_->job->Name()));
  statement_.reset();
  signature_.reset();
}

void Session::Take(const wire::Refusal& refusal) {
  Tell("the coordinator refused: " + refusal.text + " (" + std::string(wire::RefusalCodeName(refusal.code)) + ")");
  // Should it be asked for again, the trainer makes it anew: people may have mended what was wrong.
  if (refusal.code == wire::RefusalCode::kOutOfBounds && statement_ && assignment_->job &&
      refusal.subject == Sha256Of(statement_->ToText())) {
    files_.Remove(jobs_.DoneFolder(assignment_->job->Name()));
    // An answer that the log knows nothing of leaves the assignment as it is, so nobody else asks again. Not at once:
    // a trainer that nobody mends gives the same again.
    again_at_ms_ = clock_.MonotonicMs() + kAgainMs;
    statement_.reset();
    signature_.reset();
  }
  if (refusal.code == wire::RefusalCode::kClockSkew || refusal.code == wire::RefusalCode::kNotAllowed) {
    throw Error(ErrorCode::kRefused, refusal.text);
  }
  // It does not hold the statement's file, for example because another site's equal file was logged and removed.
  if (refusal.code == wire::RefusalCode::kUnknownObject && stage_ == Stage::kSubmitted) stage_ = Stage::kTraining;
}

void Session::RemoveOldObjects() {
  // A transfer asked for again after a reconnect may still be growing its part beside the complete object.
  if (!transfer_.idle()) return;
  // Only a job says which models are needed from now on: while the site acknowledges or waits, the next job's teacher
  // is an object that no assignment names.
  if (assignment_->action != Action::kRunJob || assignment_->job->kind == JobKind::kRemove) return;
  const auto wanted = Wanted();
  for (const std::string& name : files_.List(jobs_.Objects())) {
    const auto digest = Digest::FromHex(name);
    const bool keep = digest && std::find(wanted.begin(), wanted.end(), *digest) != wanted.end();
    if (!keep) files_.Remove(jobs_.Objects() / name);
  }
}

Session::Messages Session::Poll() {
  Messages out;
  if (clock_.MonotonicMs() - looked_ms_ >= kLookMs) {
    looked_ms_ = clock_.MonotonicMs();
    out = SayUnasked();
    if (out.empty() && stage_ == Stage::kAsking) out = BeginJob();
  }
  if (again_at_ms_ && clock_.MonotonicMs() >= *again_at_ms_) {
    again_at_ms_.reset();
    if (stage_ == Stage::kSubmitted) StartJob();
  }
  if (out.empty() && stage_ == Stage::kTraining) {
    out = TakeResult();
    if (out.empty() && files_.Exists(jobs_.ProgressFile())) {
      const std::string text = results_.Read(jobs_.ProgressFile().filename(), kMaxProgressBytes);
      if (text != progress_text_) {
        progress_text_ = text;
        const JobProgress progress = JobProgress::FromText(text, jobs_.ProgressFile().string());
        if (progress.job == assignment_->job->Name()) {
          out.push_back(wire::ProgressReport{.assignment = assignment_digest_,
                                             .done = progress.done,
                                             .total = progress.total,
                                             .images_per_s_milli = progress.pictures_per_s_thousandths,
                                             .seconds_left = -1,
                                             .phase = progress.phase});
        }
      }
    }
  }
  const std::int64_t now_ms = clock_.MonotonicMs();
  if (!out.empty()) {
    pinged_ms_ = now_ms;
  } else if (now_ms - pinged_ms_ >= kPingMs) {
    pinged_ms_ = now_ms;
    out.push_back(wire::Ping{});
  }
  return out;
}

std::vector<std::string> Session::TakeNews() { return std::exchange(news_, {}); }

}  // namespace hemafed::agent
