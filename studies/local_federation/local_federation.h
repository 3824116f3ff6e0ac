// studies/local_federation/local_federation.h
// SPDX-License-Identifier: Apache-2.0
//
// A federation in one thread without sockets: the coordinator's service and each site's agent session, exactly those
// that the programs run, with queues in place of connections. Trainers are the caller's: they work in a site's job
// folder, as behind `hemafed-site` (docs/job_folder.md).
//
//     root/operator.pem       the operator's key               root/consortium/       coordinator/consortium_folder.h
//     sites/<site>/           site_agent/agent/site_folder.h
//
// Each message passes through its wire form and back, so that what is delivered is what a connection would deliver, and
// bytes are counted as protocol/wire/traffic.h counts them. Every connection keeps its order; which of several waiting
// messages comes next is the caller's choice, so the same choices give the same course.
//
// Enrolment takes the real course: invitation, request, comparison of fingerprints, approval, roster entry. With a key
// seed every private key follows from it (and anybody can compute it: a log signed so proves nothing to others).
//
// Errors: those of Service and Session; kInternal for a message whose wire form cannot be read back.
// Thread-safety: one thread. Everything in Options is borrowed.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/file_system.h"
#include "coordinator/service.h"
#include "protocol/wire/traffic.h"
#include "site_agent/agent/session.h"

namespace hemafed::studies {

class LocalFederation {
 public:
  struct Options {
    Path root;
    Path sites;
    FileSystem* coordinator_files = nullptr;
    FileSystem* site_files = nullptr;
    const Clock* clock = nullptr;
    std::string name;                       // Of the consortium.
    std::optional<std::uint64_t> key_seed;  // None: random keys, as in production.
    // Which of `waiting` messages (1 or more) is delivered next; null: the first. They stand by site in ascending
    // order, for each what goes to it before what comes from it.
    std::function<std::size_t(std::size_t waiting)> choose;
    std::function<void()> on_delivery;  // Called before each delivery; may be null.
  };

  explicit LocalFederation(Options options);

  // Makes the consortium's folder and keys; once.
  void Found();
  // Starts the service, from its log if there is one. Needs a founded consortium.
  void StartCoordinator();
  // Invites, asks, approves and takes into the roster. Needs a running coordinator.
  void Enrol(const std::string& site);
  // Signs the plan as the operator; the service takes it in at its next Tick.
  void SubmitPlan(const std::string& text);
  // What the lab's people would say where a plan moves pictures: yes, to all that it names (site_agent/agent/agree.h).
  // Nothing happens under other plans.
  void Agree(const std::string& site, const std::string& plan_text);
  // Stores a plan's initial weights: a file on the consortium's disk, which is moved.
  void AdoptWeights(const Path& file, const Digest& digest);
  // Starts an enrolled site's session and connects it.
  void StartSite(const std::string& site);

  // As after kill -9: what is in memory and on the way is gone. The other end sees the connection break.
  void KillCoordinator();
  void KillSite(const std::string& site);

  // Delivers one waiting message; false if none waits.
  bool DeliverOne();
  // Lets every session look for results; false if none had anything to say.
  bool PollSites();
  // Lets the service do what is due; false if nothing came of it.
  bool Tick();
  // The plan is closed and every site has its model.
  [[nodiscard]] bool Finished() const;

  [[nodiscard]] bool running() const { return service_ != nullptr; }
  [[nodiscard]] coordinator::Service& service() { return *service_; }
  [[nodiscard]] const coordinator::Service& service() const { return *service_; }
  [[nodiscard]] const coordinator::Consortium& consortium() const { return *consortium_; }
  [[nodiscard]] agent::Session& session(const std::string& site) { return *sites_.at(site).session; }
  [[nodiscard]] agent::SiteFolder FolderOf(const std::string& site) const { return {options_.sites / site}; }
  [[nodiscard]] Ed25519KeyPair OperatorKey() const;
  [[nodiscard]] std::deque<wire::Message>& inbox(const std::string& site) { return sites_.at(site).inbox; }
  // A message that no session sent: as if `site` had.
  void Inject(const std::string& site, const wire::Message& message) { ToSites(service_->Handle(site, message)); }
  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }
  // As the coordinator sees it, over the life of this object.
  [[nodiscard]] const wire::Traffic& traffic() const { return traffic_; }

 private:
  struct Site {
    std::unique_ptr<agent::Session> session;
    std::deque<wire::Message> inbox, outbox;
  };

  [[nodiscard]] Path OperatorKeyFile() const { return options_.root / "operator.pem"; }
  [[nodiscard]] coordinator::ConsortiumFolder ConsortiumAt() const { return {options_.root / "consortium"}; }
  void MakeSiteKeys(const std::string& site);
  void ToSites(const std::vector<wire::Outgoing>& messages);
  void FromSite(const std::string& site, agent::Session::Messages messages);

  Options options_;
  FileSystem& coordinator_files_;
  FileSystem& site_files_;
  std::unique_ptr<coordinator::Consortium> consortium_;
  std::unique_ptr<coordinator::Service> service_;
  std::map<std::string, Site> sites_;
  std::uint64_t delivered_ = 0;
  wire::Traffic traffic_;
};

}  // namespace hemafed::studies
