// SPDX-License-Identifier: Apache-2.0
//
// Wrong bytes on a live socket, stage by stage: greeting, HELLO, INITIATE, ZMTP frames, and messages inside a session.
// Up to the stage under test the peer does everything right, so that each stage is really reached (the idea of libzmq's
// tests/test_bind_curve_fuzzer.cpp). After each stage the server still serves an approved site, and nothing that was
// changed came through as a message of a peer that was not admitted.
//
// HEMAFED_SEED repeats a run, HEMAFED_FUZZ_ROUNDS makes it longer (default 40 peers a stage).
#include <cstdlib>

#include "common/random.h"
#include "tests/protocol/wire/raw_peer.h"
#include "tests/protocol/wire/samples.h"
#include "tests/protocol/wire/wire_fixture.h"

namespace hemafed::wire {
namespace {

using testing_support::DealerMetadata;
using testing_support::RawCurvePeer;
using testing_support::RawSocket;
using testing_support::WireTest;

std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoull(text);
}

class SocketFuzz : public WireTest {
 protected:
  SocketFuzz()
      : seed_(FromEnvironment("HEMAFED_SEED", 1)), rounds_(FromEnvironment("HEMAFED_FUZZ_ROUNDS", 40)), random_(seed_) {
    allowlist_.Allow(mallory_.public_key, "mallory");
  }
  ~SocketFuzz() override {
    if (HasFailure()) std::cerr << "repeat with HEMAFED_SEED=" << seed_ << "\n";
  }

  // The valid bytes with something wrong: flipped bits, a cut, more bytes, a part of them again, or others altogether.
  Bytes Spoiled(Bytes bytes) {
    const auto at = [&](std::size_t size) { return random_.NextBelow(static_cast<std::uint32_t>(size)); };
    switch (random_.NextBelow(6)) {
      case 0:
      case 1:
        for (std::uint32_t flips = 1 + random_.NextBelow(3); flips > 0 && !bytes.empty(); --flips) {
          bytes[at(bytes.size())] ^= static_cast<std::uint8_t>(1u << random_.NextBelow(8));
        }
        break;
      case 2:
        if (!bytes.empty()) bytes.resize(at(bytes.size()));
        break;
      case 3:
        for (std::uint32_t more = 1 + random_.NextBelow(64); more > 0; --more) {
          bytes.push_back(static_cast<std::uint8_t>(random_.NextWord()));
        }
        break;
      case 4: {
        const Bytes again(bytes.begin(), bytes.begin() + at(bytes.size() + 1));
        bytes.insert(bytes.end(), again.begin(), again.end());
        break;
      }
      default:
        bytes.assign(random_.NextBelow(600), 0);
        for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random_.NextWord());
    }
    return bytes;
  }

  // Takes what the server has received; counts messages and refusals of mallory.
  void TakeIncoming() {
    while (true) {
      const auto incoming = server_->Receive(0);
      if (!incoming) {
        if (!server_->NextEvent()) return;
        continue;
      }
      EXPECT_EQ(incoming->peer.user_id, "mallory");
      ++(std::holds_alternative<Message>(incoming->content) ? messages_ : refusals_);
    }
  }
  // A round trip through the server's only I/O thread and a full handshake: what was sent before has been looked at.
  void ExpectStillServing() {
    const auto client = Dial(SiteOptions());
    ASSERT_NO_FATAL_FAILURE(ExpectReady(*client));
    ASSERT_TRUE(client->Send(WorkRequest{}));
    const auto seen = testing_support::WaitFor<bool>([&]() -> std::optional<bool> {
      const auto incoming = server_->Receive(100);
      while (!incoming && server_->NextEvent()) {
      }
      if (!incoming) return std::nullopt;
      if (incoming->peer.user_id == "matek-19") {
        return server_->SendTo(incoming->peer, Pong{}) == SendResult::kSent;
      }
      EXPECT_EQ(incoming->peer.user_id, "mallory");
      ++(std::holds_alternative<Message>(incoming->content) ? messages_ : refusals_);
      return std::nullopt;
    });
    ASSERT_TRUE(seen && *seen);
    const auto answer = NextMessage(*client);
    ASSERT_TRUE(answer);
    EXPECT_TRUE(std::holds_alternative<Pong>(*answer));
  }

  std::uint64_t seed_;
  std::uint64_t rounds_;
  RandomStream random_;
  CurveKeyPair mallory_ = GenerateCurveKeyPair();
  std::uint64_t messages_ = 0;
  std::uint64_t refusals_ = 0;
};

TEST_F(SocketFuzz, InsteadOfAGreeting) {
  for (std::uint64_t round = 0; round < rounds_; ++round) {
    RawSocket socket(server_->bound_endpoint());
    (void)socket.Send(Spoiled(RawCurvePeer::Greeting()));
    (void)socket.Send(Spoiled(RawCurvePeer(server_keys_.public_key, mallory_).Hello()));
  }
  ExpectStillServing();
  EXPECT_EQ(messages_ + refusals_, 0u);
}

TEST_F(SocketFuzz, InsteadOfHello) {
  for (std::uint64_t round = 0; round < rounds_; ++round) {
    RawSocket socket(server_->bound_endpoint());
    RawCurvePeer peer(server_keys_.public_key, mallory_);
    ASSERT_TRUE(socket.Send(RawCurvePeer::Greeting()));
    ASSERT_TRUE(socket.Receive(64));
    (void)socket.Send(Spoiled(peer.Hello()));
    (void)socket.Send(Spoiled(peer.Hello()));
  }
  ExpectStillServing();
  EXPECT_EQ(messages_ + refusals_, 0u);
}

TEST_F(SocketFuzz, InsteadOfInitiate) {
  for (std::uint64_t round = 0; round < rounds_; ++round) {
    RawSocket socket(server_->bound_endpoint());
    RawCurvePeer peer(server_keys_.public_key, mallory_);
    ASSERT_TRUE(peer.SayHello(socket));
    // Half the time the box is right and what is in it is not.
    auto metadata = DealerMetadata();
    if (round % 2 == 0) {
      metadata[random_.NextBelow(2)].second = std::string(AsText(Spoiled(ToBytes("DEALER"))));
      (void)socket.Send(peer.Initiate(metadata));
    } else {
      (void)socket.Send(Spoiled(peer.Initiate(metadata)));
    }
    (void)socket.Send(Spoiled(peer.MessageFrame(EncodeMessage(Ping{}))));
  }
  ExpectStillServing();
}

TEST_F(SocketFuzz, InsteadOfAZmtpFrame) {
  for (std::uint64_t round = 0; round < rounds_; ++round) {
    RawSocket socket(server_->bound_endpoint());
    RawCurvePeer peer(server_keys_.public_key, mallory_);
    ASSERT_TRUE(peer.Handshake(socket, DealerMetadata()));
    (void)socket.Send(peer.MessageFrame(EncodeMessage(Ping{})));
    (void)socket.Send(Spoiled(peer.MessageFrame(EncodeMessage(Ping{}))));
    // A command inside the session: heartbeats with too little or too much in them.
    (void)socket.Send(peer.MessageFrame(Spoiled(ToBytes(std::string_view("\4PING\0\1context", 14))), false, true));
  }
  ExpectStillServing();
  EXPECT_GE(messages_, 1u);  // The stage was reached: the Ping before came through.
}

TEST_F(SocketFuzz, InsteadOfAMessage) {
  // All over one connection, because a refused message must not end it.
  RawSocket socket(server_->bound_endpoint());
  RawCurvePeer peer(server_keys_.public_key, mallory_);
  ASSERT_TRUE(peer.Handshake(socket, DealerMetadata()));
  const auto samples = testing_support::SampleMessages();
  std::uint64_t sent = 0;
  for (std::uint64_t round = 0; round < rounds_; ++round) {
    for (const Message& sample : samples) {
      // Some in several parts.
      const bool parts = random_.NextBelow(10) == 0;
      if (parts) {
        ASSERT_TRUE(socket.Send(peer.MessageFrame(Spoiled(EncodeMessage(sample)), true)));
      }
      ASSERT_TRUE(socket.Send(peer.MessageFrame(Spoiled(EncodeMessage(sample)))));
      ++sent;
    }
    TakeIncoming();
  }
  ExpectStillServing();
  // Each was answered for, as a message or as a refusal.
  while (messages_ + refusals_ < sent) {
    const auto incoming = NextIncoming(*server_);
    ASSERT_TRUE(incoming) << sent << " sent, " << messages_ << " accepted, " << refusals_ << " refused";
    EXPECT_EQ(incoming->peer.user_id, "mallory");
    ++(std::holds_alternative<Message>(incoming->content) ? messages_ : refusals_);
  }
  EXPECT_EQ(messages_ + refusals_, sent);
  EXPECT_GT(refusals_, messages_);
}

}  // namespace
}  // namespace hemafed::wire
