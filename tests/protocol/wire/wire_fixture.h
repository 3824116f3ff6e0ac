// tests/protocol/wire/wire_fixture.h
// SPDX-License-Identifier: Apache-2.0
//
// A coordinator's endpoint on loopback with one approved site, and ways to wait for what must happen. Waits end with
// the event; kPatienceMs only turns a hang into a failure.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/clock.h"
#include "protocol/wire/authenticator.h"
#include "protocol/wire/client_endpoint.h"
#include "protocol/wire/server_endpoint.h"

namespace hemafed::wire::testing_support {

inline constexpr int kPatienceMs = 60'000;

// Calls `step` (which waits a moment itself) until it returns a value.
template <typename T>
std::optional<T> WaitFor(const std::function<std::optional<T>()>& step) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  while (std::chrono::steady_clock::now() < deadline) {
    if (auto value = step()) return value;
  }
  ADD_FAILURE() << "nothing happened within " << kPatienceMs << " ms";
  return std::nullopt;
}

class WireTest : public ::testing::Test {
 protected:
  WireTest() {
    allowlist_.Allow(site_keys_.public_key, "matek-19");
    authenticator_ = std::make_unique<Authenticator>(context_, allowlist_, clock_);
    server_ = std::make_unique<ServerEndpoint>(context_, allowlist_, ServerOptions{"tcp://127.0.0.1:*", server_keys_});
  }

  [[nodiscard]] ClientOptions SiteOptions() const {
    return {server_->bound_endpoint(), server_keys_.public_key, site_keys_};
  }
  [[nodiscard]] std::unique_ptr<ClientEndpoint> Dial(const ClientOptions& options) {
    return std::make_unique<ClientEndpoint>(site_context_, clock_, options);
  }

  static std::optional<ClientEvent> NextNews(ClientEndpoint& client) {
    return WaitFor<ClientEvent>([&] {
      auto event = client.NextEvent();
      if (!event) (void)client.Receive(100);
      return event;
    });
  }
  static std::optional<ServerEvent> NextEvent(ServerEndpoint& server) {
    return WaitFor<ServerEvent>([&] {
      auto event = server.NextEvent();
      if (!event && server.Receive(100)) ADD_FAILURE() << "a message arrived where an event was expected";
      return event;
    });
  }
  static std::optional<Incoming> NextIncoming(ServerEndpoint& server) {
    return WaitFor<Incoming>([&] {
      auto incoming = server.Receive(100);
      while (!incoming && server.NextEvent()) {
      }
      return incoming;
    });
  }
  static std::optional<Message> NextMessage(ClientEndpoint& client) {
    return WaitFor<Message>([&]() -> std::optional<Message> {
      auto received = client.Receive(100);
      while (!received && client.NextEvent()) {
      }
      if (!received) return std::nullopt;
      if (const auto* bad = std::get_if<BadMessage>(&*received)) ADD_FAILURE() << bad->reason;
      return std::get<Message>(*received);
    });
  }
  static void ExpectReady(ClientEndpoint& client) {
    const auto news = NextNews(client);
    ASSERT_TRUE(news);
    ASSERT_EQ(news->news, ConnectionNews::kReady) << news->detail;
  }

  // The server answers an approved site: whatever came before did it no harm.
  void ExpectServerServes() {
    const auto client = Dial(SiteOptions());
    ASSERT_NO_FATAL_FAILURE(ExpectReady(*client));
    ASSERT_TRUE(client->Send(Ping{}));
    const auto incoming = NextIncoming(*server_);
    ASSERT_TRUE(incoming);
    EXPECT_EQ(incoming->peer.user_id, "matek-19");
    ASSERT_TRUE(std::holds_alternative<Message>(incoming->content));
    EXPECT_TRUE(std::holds_alternative<Ping>(std::get<Message>(incoming->content)));
    EXPECT_EQ(server_->SendTo(incoming->peer, Pong{}), SendResult::kSent);
    const auto answer = NextMessage(*client);
    ASSERT_TRUE(answer);
    EXPECT_TRUE(std::holds_alternative<Pong>(*answer));
  }

  SystemClock clock_;
  CurveKeyPair server_keys_ = GenerateCurveKeyPair();
  CurveKeyPair site_keys_ = GenerateCurveKeyPair();
  Allowlist allowlist_;
  WireContext context_;
  WireContext site_context_;
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<ServerEndpoint> server_;
};

}  // namespace hemafed::wire::testing_support
