// coordinator/service.h
// SPDX-License-Identifier: Apache-2.0
//
// The coordinator as a state machine without sockets: a message of a site goes in, messages to sites come out. It owns
// the ledger, the object stores, the object transfer, and pushes each connected site its assignment whenever that
// changes.
//
// Each site gets an assignment after its WorkRequest; a later one is pushed as soon as the state gives it another. The
// texts are functions of the log, so a coordinator that restarted pushes the same ones.
//
// Errors: what sites do wrong is answered; what goes wrong on this machine (disk full, log damaged) is thrown and ends
// the process with its exit status: nothing that was not durable has been acknowledged. Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/clock.h"
#include "coordinator/consortium_folder.h"
#include "coordinator/intake.h"
#include "coordinator/ledger.h"
#include "coordinator/sequencer.h"
#include "protocol/objects/object_store.h"
#include "protocol/objects/transfer_server.h"
#include "protocol/wire/messages.h"

namespace hemafed::coordinator {

// Clocks further apart than this are named at once: entries and invitations carry wall time.
inline constexpr std::int64_t kMaxClockSkewMs = 10ll * 60 * 1000;

// What a person wants to see of one site.
struct SiteView {
  bool connected = false;
  std::string software;
  std::string phase;  // As the site reports it.
  std::uint64_t done = 0, total = 0;
  double pictures_per_s = 0;
  std::int64_t heard_ms = 0;  // Monotonic time of the last message.
};

class Service {
 public:
  // Opens the log and rebuilds the state from it; an empty log gets its first entry. All borrowed.
  // `solver`: of analytic heads; null for one that solves inside the call.
  Service(FileSystem& files, const Clock& clock, const Consortium& consortium,
          std::unique_ptr<HeadSolver> solver = nullptr);

  [[nodiscard]] std::vector<wire::Outgoing> Handle(const std::string& site, const wire::Message& message);
  // The site's connection ended.
  [[nodiscard]] std::vector<wire::Outgoing> Drop(const std::string& site);
  // Call every second or so, and after start: takes in the operator's decisions and does what is due.
  [[nodiscard]] std::vector<wire::Outgoing> Tick();

  // Answers on the enrolment endpoint; `connection_key` is the CURVE key of the connection.
  [[nodiscard]] wire::Message HandleEnrolment(ByteView connection_key, const wire::Message& message);

  [[nodiscard]] const FederationState& state() const { return ledger_.state(); }
  [[nodiscard]] const RoundLogWriter& log() const { return ledger_.log(); }
  [[nodiscard]] const std::map<std::string, SiteView>& sites() const { return views_; }
  // Why the plan cannot go on without a person, or a late site, if so.
  [[nodiscard]] std::optional<std::string> Stuck() const { return sequencer_.Stuck(); }
  // Initial weights and frozen files that the plan names and that the operator has still to add: until then its first
  // task does not open.
  [[nodiscard]] std::vector<Digest> MissingFiles() const;
  // Lines for the operator since the last call: what was admitted, opened, closed, refused.
  [[nodiscard]] std::vector<std::string> TakeNews();

 private:
  void TakeInbox();
  // Logs as absent whom the plan does not wait for any longer. The time runs anew after a restart.
  void LeaveOutTheLate();
  void Advance(std::vector<wire::Outgoing>& out);
  void PushAssignments(std::vector<wire::Outgoing>& out);
  [[nodiscard]] wire::Welcome WelcomeFor(const std::string& site) const;
  void TellOfMissingFiles();
  void TellOfAgreements();
  void TellOfRemovals();
  void TellOfDrift(const std::string& site);
  [[nodiscard]] std::optional<wire::Refusal> Authorise(const wire::TransferRequest& request);
  void Tell(std::string line) { news_.push_back(std::move(line)); }

  FileSystem& files_;
  const Clock& clock_;
  const Consortium& consortium_;
  ObjectStore store_;    // What sites may get: models and plans; and raw updates, for replay.
  ObjectStore uploads_;  // What sites put: files that go with statements, until they are logged.
  Ledger ledger_;
  std::unique_ptr<HeadSolver> solver_;
  Sequencer sequencer_;
  Intake intake_;
  wire::TransferServer transfer_;
  std::map<std::string, SiteView> views_;
  std::map<std::string, Digest> told_;     // Assignment each connected site was last sent.
  std::map<std::string, Digest> putting_;  // The one file each site may be putting.
  std::optional<std::string> told_stuck_;
  std::vector<Digest> told_missing_files_;
  std::string told_missing_agreements_;
  std::string told_missing_removals_;
  using WaitingFor = std::tuple<std::uint32_t, std::uint32_t, Phase, Digest>;  // Task, round, phase, candidate.
  std::optional<WaitingFor> waiting_for_;
  std::int64_t waiting_since_ms_ = 0;
  std::vector<std::string> news_;
};

}  // namespace hemafed::coordinator
