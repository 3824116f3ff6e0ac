// tests/scenarios/federation_harness.h
// SPDX-License-Identifier: Apache-2.0
//
// A whole federation in one thread: the real coordinator service, real agent sessions, toy trainers, and a message pump
// in place of the sockets. Any of them can be killed at any message and made anew from its folder; the order in which
// waiting messages are delivered follows from a seed. Time moves only when told.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/random.h"
#include "coordinator/enrolment.h"
#include "coordinator/service.h"
#include "protocol/federation/signing.h"
#include "protocol/log/canonical_json.h"
#include "site_agent/agent/session.h"
#include "tests/protocol/federation/consortium_fixture.h"
#include "tests/scenarios/toy_trainer.h"

namespace hemafed::testing_support {

// A model file of two small tensors and a head of width 4, as a plan's initial weights.
inline Digest WriteToyWeights(FileSystem& files, const Path& path) {
  TensorInfo conv, norm;
  conv.name = "stage.conv.weight";
  conv.shape = {3, 5};
  norm.name = "stage.norm.running_mean";
  norm.shape = {3};
  SafetensorsWriter writer(files, path, {conv, norm}, {{"hemafed.feature_width", "4"}});
  for (const TensorInfo& tensor : writer.tensors()) {
    std::vector<float> values(tensor.Values());
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.125f * static_cast<float>(i + 1);
    writer.Append(tensor.name, {reinterpret_cast<const std::uint8_t*>(values.data()), tensor.bytes});
  }
  return writer.Finish();
}

class FederationHarness {
 public:
  struct Options {
    std::uint64_t order_seed = 1;             // In which order waiting messages are delivered.
    FileSystem* coordinator_files = nullptr;  // Null: the machine's.
    std::string policy = "federated";
    std::string tasks = kSmallTasks;
    std::string top = {};  // More lines of the plan, in front of its tables.
    std::string encoding = "int32";
    std::string rule = "\"mean\"";  // Of [aggregation]; may be followed by further lines.
  };

  FederationHarness(Path root, Options options)
      : root_(std::move(root)),
        options_(options),
        files_(RealFileSystem()),
        coordinator_files_(options.coordinator_files != nullptr ? *options.coordinator_files : files_),
        order_(options.order_seed) {
    coordinator_files_.CreateFolders(root_ / "consortium");
    coordinator::CreateConsortium(coordinator_files_, {root_ / "consortium"},
                                  {.name = "test",
                                   .work_endpoint = "tcp://127.0.0.1:1",
                                   .enrol_endpoint = "tcp://127.0.0.1:2",
                                   .work_bind = "tcp://127.0.0.1:1",
                                   .enrol_bind = "tcp://127.0.0.1:2"},
                                  root_ / "operator.pem");
    consortium_ = std::make_unique<coordinator::Consortium>(
        coordinator::LoadConsortium(coordinator_files_, {root_ / "consortium"}));
    const Path weights = root_ / "consortium" / "scratch" / "weights";
    const Digest digest = WriteToyWeights(coordinator_files_, weights);
    ObjectStore store(coordinator_files_, root_ / "consortium");
    store.AdoptFile(weights, digest);
    plan_text_ = SmallPlanText(digest, options.policy, options.tasks, options.top);
    const std::string mean = "rule = \"mean\"";
    plan_text_.replace(plan_text_.find(mean), mean.size(), "rule = " + options.rule);
    plan_text_.replace(plan_text_.find("int32"), 5, options.encoding);
    const std::vector<std::string> sites = ParsePlan(plan_text_, "plan").Sites();
    StartCoordinator();
    for (const std::string& site : sites) Join(site);
    const Path plan = root_ / "plan.toml";
    WriteFileAtomically(coordinator_files_, plan, plan_text_);
    coordinator::SubmitPlan(coordinator_files_, *consortium_, OperatorKey(), plan);
    for (const std::string& site : sites) StartAgent(site);
  }

  [[nodiscard]] coordinator::Service& service() { return *service_; }
  [[nodiscard]] ToyTrainer& trainer(const std::string& site) { return *sites_.at(site).trainer; }
  [[nodiscard]] const Path& root() const { return root_; }
  [[nodiscard]] const coordinator::Consortium& consortium() const { return *consortium_; }
  [[nodiscard]] Ed25519KeyPair OperatorKey() {
    return Ed25519KeyPair::Load(coordinator_files_, root_ / "operator.pem");
  }
  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }
  [[nodiscard]] ManualClock& clock() { return clock_; }

  // Delivers messages and runs trainers until the plan is closed at every site, or `deliveries` messages were
  // delivered. Returns whether it is closed.
  bool Run(std::uint64_t deliveries = UINT64_MAX) {
    // Far above what a plan of four rounds needs; a federation that stands still must fail, not hang.
    constexpr int kMaxIdleTurns = 50;
    int idle = 0;
    const std::uint64_t until = deliveries == UINT64_MAX ? deliveries : delivered_ + deliveries;
    while (!Closed()) {
      if (delivered_ >= until) return false;
      if (DeliverOne()) {
        idle = 0;
        continue;
      }
      if (++idle > kMaxIdleTurns) throw Error(ErrorCode::kInternal, "the federation stands still: " + Describe());
      clock_.Advance(1000);
      ToSites(service_->Tick());
      for (auto& [name, site] : sites_) {
        if (site.trainer->RunAll()) idle = 0;
        if (site.session) ToCoordinator(name, site.session->Poll());
      }
    }
    return true;
  }

  // As after kill -9: everything in memory and on the way is gone.
  void KillCoordinator() {
    service_.reset();
    to_coordinator_.clear();
    for (auto& [name, site] : sites_) site.inbox.clear();
    StartCoordinator();
    for (auto& [name, site] : sites_) {
      if (site.session) ToCoordinator(name, site.session->OnReady());
    }
  }
  void KillAgent(const std::string& name) {
    Site& site = sites_.at(name);
    site.session.reset();
    site.inbox.clear();
    std::erase_if(to_coordinator_, [&](const auto& waiting) { return waiting.first == name; });
    ToSites(service_->Drop(name));
    StartAgent(name);
  }

  [[nodiscard]] bool Closed() {
    return service_->state().phase() == Phase::kClosed &&
           std::all_of(sites_.begin(), sites_.end(), [](const auto& site) { return site.second.session->finished(); });
  }

  // Digests of all closed rounds, in order.
  [[nodiscard]] std::vector<std::string> RoundDigests() {
    std::vector<std::string> digests;
    service_->log().ForEach(0, [&](std::uint64_t, std::string_view text) {
      const Entry entry = ParseEntry(text);
      if (const auto* closed = std::get_if<RoundClosedEntry>(&entry.body)) {
        digests.push_back(closed->step.Hex() + closed->model.Hex());
      }
    });
    return digests;
  }

  // What a stranger's or a lab's message does; for hostile tests.
  void Deliver(const std::string& site, const wire::Message& message) { ToSites(service_->Handle(site, message)); }
  [[nodiscard]] std::deque<wire::Message>& inbox(const std::string& site) { return sites_.at(site).inbox; }
  [[nodiscard]] agent::SiteKeys KeysOf(const std::string& site) {
    return agent::SiteKeys::Load(files_, FolderOf(site));
  }

  [[nodiscard]] std::string Describe() {
    std::string text = std::string(PhaseName(service_->state().phase()));
    for (const std::string& line : service_->TakeNews()) text += "; " + line;
    return text;
  }

 private:
  struct Site {
    std::unique_ptr<agent::Session> session;
    std::unique_ptr<ToyTrainer> trainer;
    std::deque<wire::Message> inbox;
  };

  agent::SiteFolder FolderOf(const std::string& site) const { return {root_ / site}; }

  void StartCoordinator() {
    service_ = std::make_unique<coordinator::Service>(coordinator_files_, clock_, *consortium_);
  }

  void Join(const std::string& name) {
    const agent::SiteFolder folder = FolderOf(name);
    files_.CreateFolders(folder.root);
    const LabIdentity lab = agent::EnsureIdentity(files_, folder, name);
    const agent::SiteKeys keys = agent::SiteKeys::Load(files_, folder);
    const Invitation invitation =
        Invitation::FromToken(coordinator::Invite(coordinator_files_, *consortium_, name, clock_.WallMs()).ToToken());
    const wire::Message answer =
        service_->HandleEnrolment(lab.curve_key, wire::EnrolRequest{.slot = name,
                                                                    .secret = invitation.secret,
                                                                    .lab_entry = CanonicalJson(lab.ToJson()),
                                                                    .signature = SignLabIdentity(keys.statement, lab)});
    coordinator::Approve(coordinator_files_, *consortium_, OperatorKey(), name,
                         std::get<wire::EnrolStatus>(answer).fingerprint);
    (void)service_->Tick();
    agent::Membership{.slot = name,
                      .work_endpoint = invitation.work_endpoint,
                      .server_key = invitation.server_key,
                      .log_name = invitation.log_name,
                      .log_key = invitation.log_key,
                      .operator_key = invitation.operator_key}
        .Save(files_, folder.MembershipFile());
    sites_[name].trainer = std::make_unique<ToyTrainer>(files_, folder.Jobs(), name);
  }

  void StartAgent(const std::string& name) {
    const agent::SiteFolder folder = FolderOf(name);
    Site& site = sites_.at(name);
    site.session = std::make_unique<agent::Session>(files_, clock_, folder,
                                                    agent::Membership::Load(files_, folder.MembershipFile()),
                                                    agent::SiteKeys::Load(files_, folder).statement);
    ToCoordinator(name, site.session->OnReady());
  }

  void ToSites(const std::vector<wire::Outgoing>& messages) {
    for (const wire::Outgoing& out : messages) sites_.at(out.user).inbox.push_back(out.message);
  }
  void ToCoordinator(const std::string& site, const agent::Session::Messages& messages) {
    for (const wire::Message& message : messages) to_coordinator_.emplace_back(site, message);
  }

  // One waiting message, of a connection chosen at random; each connection keeps its order.
  bool DeliverOne() {
    std::vector<std::string> waiting;
    for (auto& [name, site] : sites_) {
      if (!site.inbox.empty()) waiting.push_back("to " + name);
      const auto mine = [&, name = name](const auto& each) { return each.first == name; };
      if (std::any_of(to_coordinator_.begin(), to_coordinator_.end(), mine)) waiting.push_back("from " + name);
    }
    if (waiting.empty()) return false;
    const std::string choice = waiting[order_.NextBelow(static_cast<std::uint32_t>(waiting.size()))];
    ++delivered_;
    if (choice.starts_with("to ")) {
      const std::string name = choice.substr(3);
      Site& site = sites_.at(name);
      const wire::Message message = std::move(site.inbox.front());
      site.inbox.pop_front();
      ToCoordinator(name, site.session->Handle(message));
    } else {
      const std::string name = choice.substr(5);
      const auto first = std::find_if(to_coordinator_.begin(), to_coordinator_.end(),
                                      [&](const auto& each) { return each.first == name; });
      const wire::Message message = std::move(first->second);
      to_coordinator_.erase(first);
      ToSites(service_->Handle(name, message));
    }
    return true;
  }

  Path root_;
  Options options_;
  FileSystem& files_;
  FileSystem& coordinator_files_;
  ManualClock clock_{1'700'000'000'000};
  RandomStream order_;
  std::string plan_text_;
  std::unique_ptr<coordinator::Consortium> consortium_;
  std::unique_ptr<coordinator::Service> service_;
  std::map<std::string, Site> sites_;
  std::deque<std::pair<std::string, wire::Message>> to_coordinator_;
  std::uint64_t delivered_ = 0;
};

}  // namespace hemafed::testing_support
