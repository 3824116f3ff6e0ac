// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "codec/update.h"
#include "common/error.h"
#include "common/safetensors.h"
#include "coordinator/enrolment.h"
#include "protocol/federation/assignment.h"
#include "protocol/federation/enclosure.h"

namespace hemafed::coordinator {

namespace {

std::string Percent(std::uint64_t millionths) {
  const std::uint64_t tenths = (millionths + 500) / 1000;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " %";
}

Ledger OpenLedger(FileSystem& files, const Clock& clock, const Consortium& consortium, const ObjectStore& store) {
  Ledger ledger(
      RoundLogWriter::Open(files, consortium.folder.Log(), consortium.settings.name, consortium.log_key),
      [&files, &store](const Digest& plan) { return ReadFile(files, store.PathOf(plan), kMaxPlanBytes); }, clock);
  if (ledger.log().size() == 0) {
    ledger.Append(ConsortiumEntry{
        .name = consortium.settings.name,
        .operator_key = consortium.operator_key,
        .log_key = consortium.log_key.PublicKey(),
        .server_key = Bytes(consortium.server_key.public_key.begin(), consortium.server_key.public_key.end())});
  }
  return ledger;
}

}  // namespace

Service::Service(FileSystem& files, const Clock& clock, const Consortium& consortium,
                 std::unique_ptr<HeadSolver> solver)
    : files_(files),
      clock_(clock),
      consortium_(consortium),
      store_(files, consortium.folder.root),
      uploads_(files, consortium.folder.Uploads()),
      ledger_(OpenLedger(files, clock, consortium, store_)),
      solver_(solver ? std::move(solver) : std::make_unique<InlineHeadSolver>(files)),
      sequencer_(files, ledger_, store_, *solver_, consortium.folder.Scratch()),
      intake_(files, ledger_, store_, uploads_, consortium.folder.Scratch()),
      transfer_(store_, uploads_, clock, [this](const wire::TransferRequest& request) { return Authorise(request); }) {
  for (const auto& [site, lab] : state().roster()) views_[site];
}

std::vector<wire::Outgoing> Service::Handle(const std::string& site, const wire::Message& message) {
  std::vector<wire::Outgoing> out;
  SiteView& view = views_[site];
  view.heard_ms = clock_.MonotonicMs();
  if (const auto* hello = std::get_if<wire::Hello>(&message)) {
    view.connected = true;
    view.software = hello->software;
    const std::int64_t skew = hello->wall_ms - clock_.WallMs();
    if (std::abs(skew) > kMaxClockSkewMs) {
      const std::string minutes = std::to_string(std::abs(skew) / 60000);
      Tell(site + ": its clock differs by " + minutes + " minutes");
      out.push_back({site, wire::Refusal{wire::RefusalCode::kClockSkew,
                                         "this lab's clock differs from the coordinator's by " + minutes +
                                             " minutes; set it (NTP), then start the agent again",
                                         {}}});
      return out;
    }
    told_.erase(site);
    Tell(site + " connected (" + hello->software + ")");
    out.push_back({site, WelcomeFor(site)});
  } else if (std::holds_alternative<wire::WorkRequest>(message)) {
    const auto& request = std::get<wire::WorkRequest>(message);
    told_[site] = request.last_assignment;
    PushAssignments(out);
  } else if (const auto* progress = std::get_if<wire::ProgressReport>(&message)) {
    view.phase = progress->phase;
    view.done = progress->done;
    view.total = progress->total;
    view.pictures_per_s = static_cast<double>(progress->images_per_s_milli) / 1000.0;
  } else if (const auto* submission = std::get_if<wire::Submission>(&message)) {
    const bool compares = state().phase() == Phase::kComparing;
    wire::Message answer = intake_.Take(site, *submission);
    if (const auto* refusal = std::get_if<wire::Refusal>(&answer)) Tell(site + ": refused: " + refusal->text);
    if (compares && state().phase() != Phase::kComparing) TellOfDrift(site);
    const bool measured = std::holds_alternative<wire::Receipt>(answer) &&
                          submission->kind == static_cast<std::uint16_t>(StatementKind::kMoments);
    if (measured && !state().moments().contains(site)) {
      Tell(site + ": fewer than min_pictures pictures are left: no moments of its latents are sent");
    }
    putting_.erase(site);
    out.push_back({site, std::move(answer)});
    view.phase.clear();
    Advance(out);
  } else if (wire::TransferServer::Handles(message)) {
    out = transfer_.Handle(site, message);
  } else if (std::holds_alternative<wire::Ping>(message)) {
    out.push_back({site, wire::Pong{}});
  } else if (!std::holds_alternative<wire::Refusal>(message)) {
    out.push_back({site, wire::Refusal{wire::RefusalCode::kUnexpected, "a site does not send this message", {}}});
  }
  return out;
}

std::vector<wire::Outgoing> Service::Drop(const std::string& site) {
  if (const auto view = views_.find(site); view != views_.end() && view->second.connected) {
    view->second.connected = false;
    view->second.phase.clear();
    Tell(site + " disconnected");
  }
  told_.erase(site);
  return transfer_.DropPeer(site);
}

std::vector<wire::Outgoing> Service::Tick() {
  std::vector<wire::Outgoing> out = transfer_.ReclaimStalled();
  for (const Error& error : transfer_.TakeStorageErrors()) throw error;
  TakeInbox();
  LeaveOutTheLate();
  Advance(out);
  return out;
}

void Service::LeaveOutTheLate() {
  if (!state().has_plan() || state().phase() == Phase::kClosed) return;
  // What is being waited for: the step changes with task, round, phase and candidate.
  const Digest candidate = state().candidate() ? state().candidate()->model : Digest{};
  const WaitingFor now{state().task(), state().round(), state().phase(), candidate};
  if (now != waiting_for_) {
    waiting_for_ = now;
    waiting_since_ms_ = clock_.MonotonicMs();
  }
  const std::uint32_t after_s = state().plan().absence.after_s;
  const bool late = after_s > 0 && clock_.MonotonicMs() - waiting_since_ms_ >= std::int64_t{after_s} * 1000;
  for (const std::string& site : state().Awaited()) {
    if (!state().MayLeaveOut(site) || !(late || state().LeftOut(site))) continue;
    const AbsentEntry absence = state().AbsenceOf(site);
    ledger_.Append(absence);
    Tell("task " + std::to_string(absence.task + 1) + " goes on without " + site +
         (absence.exemplars > 0 ? " and its " + std::to_string(absence.exemplars) + " exemplars" : "") +
         (state().LeftOut(site) ? ", as the operator decided" : ": no answer in " + std::to_string(after_s) + " s"));
  }
  const bool pauses = late && state().plan().absence.rehearsing == AbsenceRule::kPause;
  if (pauses && !state().Awaited().empty() && !state().paused()) {
    sequencer_.Pause("no answer in " + std::to_string(after_s) + " s");
  }
}

void Service::TakeInbox() {
  for (const Decision& decision : ReadInbox(files_, consortium_)) {
    try {
      if (decision.plan_text) store_.Put(AsBytes(*decision.plan_text));
      ledger_.Append(decision.entry);
      if (const auto* roster = std::get_if<RosterEntry>(&decision.entry)) {
        Tell(roster->lab.slot + (roster->joins ? " joined the roster" : " was revoked"));
      } else if (const auto* taken = std::get_if<DecisionEntry>(&decision.entry)) {
        Tell(taken->kind == DecisionKind::kLeaveOut ? "decided to go on without " + taken->site
                                                    : "decided that " + taken->site + " tries again");
      } else {
        Tell("plan " + state().plan().name + " accepted (" + state().plan_digest().Hex().substr(0, 8) + ")");
      }
    } catch (const Error& error) {
      const bool harmless = error.code() == ErrorCode::kInvalidInput || error.code() == ErrorCode::kConflict ||
                            error.code() == ErrorCode::kRefused;
      if (!harmless) throw;
      Tell("decision " + decision.file.filename().string() + " was not taken: " + error.what());
    }
    Settle(files_, consortium_, decision);
  }
}

void Service::Advance(std::vector<wire::Outgoing>& out) {
  while (state().phase() != Phase::kNoPlan && state().phase() != Phase::kClosed) {
    if (!MissingFiles().empty()) break;
    const Phase before = state().phase();
    const std::uint32_t task = state().task(), round = state().round();
    if (!sequencer_.Step()) break;
    if (state().phase() == Phase::kJudging) {
      const std::uint32_t halvings = state().candidate()->halvings;
      Tell("round " + std::to_string(round + 1) + " of task " + std::to_string(task + 1) +
           ": earlier hospitals judge " +
           (halvings == 0 ? "the merged model" : "it with the step halved " + std::to_string(halvings) + " times"));
    } else if (state().phase() != before && (before == Phase::kRoundOpen || before == Phase::kJudging)) {
      Tell("round " + std::to_string(round + 1) + " of task " + std::to_string(task + 1) + " closed: model " +
           state().model().Hex().substr(0, 12));
    }
    if (before == Phase::kSolving) {
      Tell("head of task " + std::to_string(task + 1) + " solved from the sums of " + std::to_string(task + 1) +
           (task == 0 ? " task: " : " tasks: ") + state().model().Hex().substr(0, 12));
    }
    if (before == Phase::kEvaluating) {
      std::string line = "task " + std::to_string(task + 1) + " closed:";
      if (state().plan().Columns().empty())
        line += " model " + state().model().Hex().substr(0, 12) + ", nobody scores it";
      for (const Column& column : state().plan().Columns()) {
        const auto report = state().evaluations().find(column.site);
        const bool scored = report != state().evaluations().end();
        line += " " + column.title + " " +
                (scored ? Percent(report->second.AccuracyMillionths(column.pool)) : std::string("not scored"));
      }
      Tell(line);
    }
    if (state().phase() == Phase::kClosed) Tell("plan " + state().plan().name + " is finished");
  }
  if (state().has_plan()) {
    TellOfMissingFiles();
    TellOfAgreements();
    TellOfRemovals();
    const std::optional<std::string> stuck = Stuck();
    if (stuck && stuck != told_stuck_) Tell("NEEDS A PERSON: " + *stuck);
    told_stuck_ = stuck;
  }
  PushAssignments(out);
}

std::vector<Digest> Service::MissingFiles() const {
  const bool begins = state().has_plan() && state().task() == 0 && state().phase() == Phase::kBetweenTasks;
  if (!begins) return {};
  std::vector<Digest> files = state().plan().model.Files();
  std::erase_if(files, [&](const Digest& file) { return store_.Has(file); });
  return files;
}

void Service::TellOfMissingFiles() {
  const std::vector<Digest> missing = MissingFiles();
  if (missing == told_missing_files_) return;
  for (const Digest& file : missing) {
    Tell("waiting for the file " + file.Hex() + ", which the plan names: hemafed-coordinator add-weights");
  }
  if (missing.empty()) Tell("all files that the plan names are here");
  told_missing_files_ = missing;
}

void Service::TellOfAgreements() {
  std::string missing;
  if (state().phase() == Phase::kBetweenTasks && state().task() == 0) {
    for (const std::string& site : state().MissingAgreements()) missing += (missing.empty() ? "" : ", ") + site;
  }
  if (missing == told_missing_agreements_) return;
  Tell(missing.empty() ? "every lab agreed that pictures may travel"
                       : "pictures would travel: waiting for the agreement of " + missing);
  told_missing_agreements_ = missing;
}

void Service::TellOfRemovals() {
  std::string missing;
  for (const std::string& site : state().MissingRemovals()) missing += (missing.empty() ? "" : ", ") + site;
  if (missing == told_missing_removals_) return;
  Tell(missing.empty() ? "every lab that held withdrawn pictures says that it removed them"
                       : "pictures were withdrawn: not yet removed by " + missing);
  told_missing_removals_ = missing;
}

void Service::TellOfDrift(const std::string& site) {
  const DriftAnswer& said = state().drift().value();
  const auto* report = std::get_if<DriftReport>(&said);
  if (std::holds_alternative<BelowMinPictures>(said)) {
    Tell(site + ": fewer than min_pictures pictures are left: nothing is said of its latents");
    return;
  }
  if (report == nullptr) {
    Tell(site + ": its pictures could not be compared with the consortium's: " +
         std::string(DriftRefusalName(std::get<DriftRefusal>(said).reason)));
    return;
  }
  Tell(site + (report->IsUnlike() ? ": its pictures are UNLIKE the consortium's" : ": compared with the consortium") +
       ": MMD^2 " + std::to_string(report->mmd2_unbiased_millionths) + " millionths, p " +
       std::to_string(report->p_numerator) + "/" + std::to_string(report->p_denominator) + ", " +
       std::to_string(report->members_as_far) + " of " + std::to_string(report->members) +
       " members at least as far off");
}

void Service::PushAssignments(std::vector<wire::Outgoing>& out) {
  for (auto& [site, told] : told_) {
    std::string text = AssignmentFor(state(), site).ToText();
    const Digest digest = Sha256Of(text);
    if (digest == told) continue;
    told = digest;
    out.push_back({site, wire::Assignment{std::move(text)}});
  }
}

wire::Welcome Service::WelcomeFor(const std::string& site) const {
  wire::Welcome welcome{.site = site, .wall_ms = clock_.WallMs()};
  if (state().has_plan()) welcome.plan_digest = state().plan_digest();
  welcome.log_size = log().size();
  welcome.checkpoint = log().CheckpointNote();
  return welcome;
}

std::optional<wire::Refusal> Service::Authorise(const wire::TransferRequest& request) {
  const auto refuse = [&](std::string why) {
    return wire::Refusal{wire::RefusalCode::kNotAuthorised, std::move(why), request.digest};
  };
  if (!state().roster().contains(request.user) || !state().has_plan()) return refuse("there is no plan for this site");
  if (request.kind == wire::TransferRequest::Kind::kGet) {
    // What its assignment needs; and, while one follows another, what most of them need.
    const std::vector<Digest> needed = AssignmentFor(state(), request.user).Objects(&state().plan());
    const auto names = [&](const std::vector<Digest>& objects) {
      return std::find(objects.begin(), objects.end(), request.digest) != objects.end();
    };
    const bool current = request.digest == state().model() || request.digest == state().teacher() ||
                         names(state().plan().model.Files()) || names(needed);
    if (current) return std::nullopt;
    return refuse(
        "only what the site's assignment and plan need, the current model and its teacher can be fetched now");
  }
  const auto due = EnclosureDue(state(), request.user);
  if (!due) return refuse("no file of this site is due");
  UpdateLayout layout;  // What an analytic plan scores is a head, not a model file.
  if (NeedsLayout(*due)) {
    layout = LayoutOfModel(SafetensorsReader::Open(files_, store_.PathOf(state().model())));
  }
  if (request.size > MaxEnclosureBytes(*due, state().plan(), layout)) {
    return refuse("larger than what goes with its " + std::string(StatementKindName(*due)) + " can be");
  }
  // One file at a time for each site: another one replaces it, so a site cannot fill the disk.
  const auto [upload, first] = putting_.try_emplace(request.user, request.digest);
  if (!first && upload->second != request.digest) {
    uploads_.Remove(upload->second);
    upload->second = request.digest;
  }
  return std::nullopt;
}

wire::Message Service::HandleEnrolment(ByteView connection_key, const wire::Message& message) {
  if (const auto* request = std::get_if<wire::EnrolRequest>(&message)) {
    wire::Message answer = AnswerEnrolment(files_, consortium_, state(), *request, connection_key, clock_.WallMs());
    if (const auto* status = std::get_if<wire::EnrolStatus>(&answer)) {
      Tell("lab in slot " + request->slot + " asks to join, fingerprint " + status->fingerprint);
    }
    return answer;
  }
  if (const auto* poll = std::get_if<wire::EnrolPoll>(&message)) {
    return AnswerPoll(files_, consortium_, state(), *poll, connection_key);
  }
  return wire::Refusal{wire::RefusalCode::kUnexpected, "this endpoint only admits labs", {}};
}

std::vector<std::string> Service::TakeNews() { return std::exchange(news_, {}); }

}  // namespace hemafed::coordinator
