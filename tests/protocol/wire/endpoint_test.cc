// SPDX-License-Identifier: Apache-2.0
//
// What the two endpoints promise to honest programs. The dishonest ones are in hostile_test.cc.
#include <thread>

#include "common/error.h"
#include "tests/protocol/wire/raw_peer.h"
#include "tests/protocol/wire/wire_fixture.h"

namespace hemafed::wire {
namespace {

using testing_support::RawListener;
using testing_support::WireTest;

TEST_F(WireTest, AMessageArrivesUnderTheNameOfItsKey) {
  const auto client = Dial(SiteOptions());
  ASSERT_NO_FATAL_FAILURE(ExpectReady(*client));
  const Hello hello{"hemafed-site 0.1.0", 1234, Sha256Of("plan")};
  ASSERT_TRUE(client->Send(hello));
  const auto incoming = NextIncoming(*server_);
  ASSERT_TRUE(incoming);
  EXPECT_EQ(incoming->peer.user_id, "matek-19");
  EXPECT_EQ(std::get<Message>(incoming->content), Message(hello));
}

TEST_F(WireTest, AFullChunkPassesInBothDirections) {
  const auto client = Dial(SiteOptions());
  ASSERT_NO_FATAL_FAILURE(ExpectReady(*client));
  const Chunk chunk{Sha256Of("object"), 0, kChunkBytes, Bytes(kChunkBytes, 0xA5)};
  ASSERT_TRUE(client->Send(chunk));
  const auto incoming = NextIncoming(*server_);
  ASSERT_TRUE(incoming);
  EXPECT_EQ(std::get<Message>(incoming->content), Message(chunk));
  EXPECT_EQ(server_->SendTo(incoming->peer, chunk), SendResult::kSent);
  const auto back = NextMessage(*client);
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, Message(chunk));
}

TEST_F(WireTest, TrafficIsCountedTheSameAtBothEnds) {
  const auto client = Dial(SiteOptions());
  ASSERT_NO_FATAL_FAILURE(ExpectReady(*client));
  ASSERT_TRUE(client->Send(Ping{}));
  ASSERT_TRUE(client->Send(Chunk{{}, 0, 5, Bytes(5)}));
  ASSERT_TRUE(NextIncoming(*server_));
  ASSERT_TRUE(NextIncoming(*server_));
  // Frame 16, CURVE 33, ZMTP 2; then 52 + 5 more.
  EXPECT_EQ(client->traffic().sent_bytes, 51u + 51u + 57u);
  EXPECT_EQ(server_->traffic().received_bytes, client->traffic().sent_bytes);
  EXPECT_EQ(server_->traffic().received_messages, 2u);
}

TEST_F(WireTest, NothingIsQueuedBeforeTheHandshakeIsDone) {
  const auto client = Dial({"tcp://127.0.0.1:1", server_keys_.public_key, site_keys_});
  EXPECT_FALSE(client->Send(Ping{}));
}

TEST_F(WireTest, AServerThatIsNotRunningIsNamedFirst) {
  std::string endpoint;
  {
    const RawListener gone;
    endpoint = gone.endpoint();
  }
  const auto client = Dial({endpoint, server_keys_.public_key, site_keys_});
  const auto news = NextNews(*client);
  ASSERT_TRUE(news);
  EXPECT_EQ(news->news, ConnectionNews::kUnreachable);
  const std::string text = client->ExplainFailure();
  EXPECT_NE(text.find("Nothing answers at " + endpoint), std::string::npos) << text;
  EXPECT_NE(text.find("1. the coordinator is not running"), std::string::npos) << text;
}

TEST_F(WireTest, ASiteComesBackByItselfWhenTheServerDoes) {
  auto context = std::make_unique<WireContext>();
  auto authenticator = std::make_unique<Authenticator>(*context, allowlist_, clock_);
  auto server =
      std::make_unique<ServerEndpoint>(*context, allowlist_, ServerOptions{"tcp://127.0.0.1:*", server_keys_});
  const std::string endpoint = server->bound_endpoint();
  const auto client = Dial({endpoint, server_keys_.public_key, site_keys_});
  ASSERT_NO_FATAL_FAILURE(ExpectReady(*client));
  server.reset();
  authenticator.reset();
  context.reset();  // Returns when the port is free.
  const auto news = NextNews(*client);
  ASSERT_TRUE(news);
  EXPECT_EQ(news->news, ConnectionNews::kDisconnected);
  EXPECT_FALSE(client->ready());
  server_ = std::make_unique<ServerEndpoint>(context_, allowlist_, ServerOptions{endpoint, server_keys_});
  std::optional<ClientEvent> next = NextNews(*client);
  while (next && next->news == ConnectionNews::kUnreachable) next = NextNews(*client);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->news, ConnectionNews::kReady);
}

TEST_F(WireTest, ASiteThatIsApprovedLaterConnectsByItself) {
  const CurveKeyPair late = GenerateCurveKeyPair();
  ManualClock clock;
  ClientEndpoint client(site_context_, clock, {server_->bound_endpoint(), server_keys_.public_key, late});
  const auto news = NextNews(client);
  ASSERT_TRUE(news);
  EXPECT_EQ(news->news, ConnectionNews::kRefused);
  allowlist_.Allow(late.public_key, "int-20");
  // The connection's end, from which the time counts, may be told a moment after the refusal.
  const auto next = testing_support::WaitFor<ClientEvent>([&] {
    clock.Advance(kReopenMs);
    (void)client.Receive(10);
    return client.NextEvent();
  });
  ASSERT_TRUE(next);
  ASSERT_EQ(next->news, ConnectionNews::kReady);
  ASSERT_TRUE(client.Send(Ping{}));
  const auto incoming = NextIncoming(*server_);
  ASSERT_TRUE(incoming);
  EXPECT_EQ(incoming->peer.user_id, "int-20");
}

TEST_F(WireTest, APeerThatLeavesIsReportedAndCannotBeSentTo) {
  auto client = Dial(SiteOptions());
  ASSERT_NO_FATAL_FAILURE(ExpectReady(*client));
  ASSERT_TRUE(client->Send(Ping{}));
  const auto incoming = NextIncoming(*server_);
  ASSERT_TRUE(incoming);
  EXPECT_EQ(server_->PeerOf("matek-19"), incoming->peer);
  client.reset();
  const auto event = NextEvent(*server_);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, ServerEvent::Kind::kPeerLeft);
  EXPECT_EQ(event->peer, incoming->peer);
  EXPECT_FALSE(server_->PeerOf("matek-19"));
  EXPECT_EQ(server_->SendTo(incoming->peer, Pong{}), SendResult::kUnreachable);
}

TEST_F(WireTest, ASiteThatComesBackEarlyTakesOverAndItsOldConnectionIsNotHeard) {
  auto first = Dial(SiteOptions());
  ASSERT_NO_FATAL_FAILURE(ExpectReady(*first));
  ASSERT_TRUE(first->Send(Ping{}));
  const auto old = NextIncoming(*server_);
  ASSERT_TRUE(old);
  auto second = Dial(SiteOptions());
  ASSERT_NO_FATAL_FAILURE(ExpectReady(*second));
  ASSERT_TRUE(second->Send(Pong{}));
  // First the departure of the old connection, then the new one's message.
  const auto event = NextEvent(*server_);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, ServerEvent::Kind::kPeerLeft);
  EXPECT_EQ(event->peer, old->peer);
  EXPECT_FALSE(server_->PeerOf("matek-19"));
  const auto latest = NextIncoming(*server_);
  ASSERT_TRUE(latest);
  EXPECT_TRUE(std::holds_alternative<Message>(latest->content));
  EXPECT_EQ(server_->PeerOf("matek-19"), latest->peer);
  // The old one is told why it is not heard any more.
  ASSERT_TRUE(first->Send(Ping{}));
  const auto refused = NextIncoming(*server_);
  ASSERT_TRUE(refused);
  ASSERT_TRUE(std::holds_alternative<Refusal>(refused->content));
  EXPECT_NE(std::get<Refusal>(refused->content).text.find("second agent"), std::string::npos);
  EXPECT_EQ(server_->PeerOf("matek-19"), latest->peer);
  // Its end is nobody's departure; the new one's is.
  first.reset();
  second.reset();
  const auto left = NextEvent(*server_);
  ASSERT_TRUE(left);
  EXPECT_EQ(left->kind, ServerEvent::Kind::kPeerLeft);
  EXPECT_EQ(left->peer, latest->peer);
  EXPECT_FALSE(server_->NextEvent());
}

TEST_F(WireTest, APeerThatDoesNotReadFillsItsQueueAndNoMore) {
  const auto client = Dial(SiteOptions());
  ASSERT_NO_FATAL_FAILURE(ExpectReady(*client));
  ASSERT_TRUE(client->Send(Ping{}));
  const auto incoming = NextIncoming(*server_);
  ASSERT_TRUE(incoming);
  const Chunk chunk{{}, 0, kChunkBytes, Bytes(kChunkBytes)};
  int accepted = 0;
  while (server_->SendTo(incoming->peer, chunk) == SendResult::kSent && accepted < 1000) ++accepted;
  EXPECT_GE(accepted, kSendQueueMessages);
  EXPECT_LT(accepted, 1000);
  EXPECT_EQ(server_->SendTo(incoming->peer, chunk), SendResult::kQueueFull);
}

TEST_F(WireTest, WakeEndsAWaitFromAnotherThread) {
  const auto client = Dial(SiteOptions());
  ASSERT_NO_FATAL_FAILURE(ExpectReady(*client));
  {
    std::jthread other([&] { server_->Wake(); });
    EXPECT_FALSE(server_->Receive(testing_support::kPatienceMs));
  }
  {
    std::jthread other([&] { client->Wake(); });
    EXPECT_FALSE(client->Receive(testing_support::kPatienceMs));
  }
}

TEST_F(WireTest, OneLoopWaitsForSeveralServers) {
  ServerEndpoint enrol(context_, allowlist_, {"tcp://127.0.0.1:*", server_keys_, AdmissionDomain::kEnrol});
  EXPECT_FALSE(WaitForServers({server_.get(), &enrol}, 0));
  const CurveKeyPair stranger = GenerateCurveKeyPair();
  const auto client = Dial({enrol.bound_endpoint(), server_keys_.public_key, stranger});
  ASSERT_NO_FATAL_FAILURE(ExpectReady(*client));
  ASSERT_TRUE(client->Send(EnrolPoll{"slot", stranger.public_key}));
  // News of the connection may end a wait before the message is there.
  std::optional<Incoming> incoming;
  while (!incoming) {
    ASSERT_TRUE(WaitForServers({server_.get(), &enrol}, testing_support::kPatienceMs));
    EXPECT_FALSE(server_->Receive(0));
    incoming = enrol.Receive(0);
    while (enrol.NextEvent()) {
    }
  }
  EXPECT_EQ(incoming->peer.user_id, "enrol:" + HexEncode(stranger.public_key));
  enrol.Wake();
  EXPECT_TRUE(WaitForServers({server_.get(), &enrol}, testing_support::kPatienceMs));
}

TEST_F(WireTest, AnAddressThatIsNotOneIsInvalidInputAndAPortInUseIsUnavailable) {
  const auto code_of = [&](const std::string& address) {
    try {
      ServerEndpoint(context_, allowlist_, ServerOptions{address, server_keys_});
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  EXPECT_EQ(code_of("7007"), ErrorCode::kInvalidInput);
  EXPECT_EQ(code_of("carrier-pigeon://127.0.0.1:7007"), ErrorCode::kInvalidInput);
  EXPECT_EQ(code_of(server_->bound_endpoint()), ErrorCode::kUnavailable);
  EXPECT_THROW((void)Dial({"tcp//missing-colon", server_keys_.public_key, site_keys_}), Error);
}

TEST_F(WireTest, AContextHasOneAuthenticator) { EXPECT_THROW(Authenticator(context_, allowlist_, clock_), Error); }

}  // namespace
}  // namespace hemafed::wire
