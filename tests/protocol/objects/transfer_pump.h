// tests/protocol/objects/transfer_pump.h
// SPDX-License-Identifier: Apache-2.0
//
// A coordinator and any number of sites joined by queues in memory instead of sockets. Messages are delivered one at a
// time in an order that a seed decides (in order within a connection, as TCP keeps it), connections can be cut and
// either side can be killed between any two deliveries. After each delivery the pump checks the bounds that must always
// hold.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/random.h"
#include "protocol/objects/transfer_client.h"
#include "protocol/objects/transfer_server.h"
#include "tests/fault/fault_file_system.h"

namespace hemafed::wire::testing_support {

using hemafed::testing_support::FaultFileSystem;

inline Bytes Content(std::size_t size, std::uint8_t salt = 0) {
  Bytes content(size);
  for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<std::uint8_t>(i * 31 + i / 1000 + salt);
  return content;
}

class TransferPump {
 public:
  explicit TransferPump(std::uint64_t seed = 0) : random_(seed) { StartServer(); }

  struct Site {
    FaultFileSystem files;
    std::unique_ptr<TransferClient> client;
    std::deque<Message> to_server, to_site;
    std::vector<TransferResult> results;
    std::uint64_t chunk_bytes = 0;  // Sent by either side, also again.
    bool mute = false;              // It receives and does not answer.
    bool reclaimed = false;         // Its credit was taken back, so what is in its queue is beyond the bounds.
  };

  Site& AddSite(const std::string& name) {
    auto& site = sites_[name];
    site = std::make_unique<Site>();
    site->client = std::make_unique<TransferClient>(site->files);
    return *site;
  }
  Site& site(const std::string& name) { return *sites_.at(name); }
  TransferServer& server() { return *server_; }
  ObjectStore& store() { return *store_; }
  FaultFileSystem& server_files() { return server_files_; }
  ManualClock& clock() { return clock_; }

  void Say(const std::string& name, std::vector<Message> messages) {
    for (Message& message : messages) {
      if (const auto* chunk = std::get_if<Chunk>(&message)) site(name).chunk_bytes += chunk->data.size();
      site(name).to_server.push_back(std::move(message));
    }
  }
  void Send(std::vector<Outgoing> messages) {
    for (Outgoing& out : messages) {
      const auto found = sites_.find(out.user);
      if (found == sites_.end()) continue;
      if (const auto* chunk = std::get_if<Chunk>(&out.message)) found->second->chunk_bytes += chunk->data.size();
      found->second->to_site.push_back(std::move(out.message));
    }
  }

  void Cut(const std::string& name) {
    site(name).to_server.clear();
    site(name).to_site.clear();
    Send(server_->DropPeer(name));
    Say(name, site(name).client->OnReconnect());
  }
  // Power failure at the coordinator: only what was synced is left.
  void KillServer() {
    server_files_.Crash();
    StartServer();
    for (auto& [name, site] : sites_) {
      site->to_server.clear();
      site->to_site.clear();
      Say(name, site->client->OnReconnect());
    }
  }
  // The agent dies; a new one asks for the same thing with `again`.
  void KillSite(const std::string& name, const std::function<std::vector<Message>(TransferClient&)>& again) {
    site(name).to_server.clear();
    site(name).to_site.clear();
    Send(server_->DropPeer(name));
    site(name).client = std::make_unique<TransferClient>(site(name).files);
    Say(name, again(*site(name).client));
  }

  // Delivers one message; false if there is none.
  bool Step() {
    std::vector<std::pair<std::string, bool>> ready;
    for (auto& [name, site] : sites_) {
      if (!site->to_server.empty()) ready.emplace_back(name, true);
      if (!site->to_site.empty() && !site->mute) ready.emplace_back(name, false);
    }
    if (ready.empty()) return false;
    const auto [name, to_server] = ready[random_.NextBelow(static_cast<std::uint32_t>(ready.size()))];
    Site& site = *sites_.at(name);
    auto& queue = to_server ? site.to_server : site.to_site;
    const Message message = std::move(queue.front());
    queue.pop_front();
    if (to_server) {
      Send(server_->Handle(name, message));
    } else if (site.client->Handles(message)) {
      Say(name, site.client->Handle(message));
    } else {
      unhandled_.push_back(message);
    }
    Collect();
    CheckBounds();
    return true;
  }
  // Until nothing is left to deliver. A transfer that never ends would be caught here.
  void Run() {
    for (int steps = 0; Step(); ++steps) ASSERT_LT(steps, 1'000'000);
    Collect();  // An empty object needs no delivery at all.
  }

  // What the sites' clients did not take, such as refusals without a subject of theirs.
  std::vector<Message> TakeUnhandled() { return std::exchange(unhandled_, {}); }

  std::map<TransferRequest::Kind, std::function<std::optional<Refusal>(const TransferRequest&)>> rules;

 private:
  void StartServer() {
    server_.reset();
    store_ = std::make_unique<ObjectStore>(server_files_, "coordinator");
    server_files_.SyncDirectory("coordinator");
    server_files_.SyncDirectory("");
    server_ = std::make_unique<TransferServer>(*store_, *store_, clock_, [this](const TransferRequest& request) {
      const auto rule = rules.find(request.kind);
      return rule == rules.end() ? std::optional<Refusal>() : rule->second(request);
    });
  }

  void Collect() {
    for (auto& [name, site] : sites_) {
      while (auto result = site->client->NextResult()) site->results.push_back(std::move(*result));
    }
  }

  void CheckBounds() {
    EXPECT_LE(server_->credits_in_use(), kTransferCredits);
    std::size_t chunks_down = 0;
    for (auto& [name, site] : sites_) {
      if (site->reclaimed) continue;
      std::size_t own = 0;
      for (const Message& message : site->to_site) own += std::holds_alternative<Chunk>(message) ? 1 : 0;
      EXPECT_LE(own, kCreditsPerSite) << name;
      chunks_down += own;
    }
    EXPECT_LE(chunks_down, kTransferCredits);
  }

  RandomStream random_;
  ManualClock clock_;
  FaultFileSystem server_files_;
  std::unique_ptr<ObjectStore> store_;
  std::unique_ptr<TransferServer> server_;
  std::map<std::string, std::unique_ptr<Site>> sites_;
  std::vector<Message> unhandled_;
};

}  // namespace hemafed::wire::testing_support
