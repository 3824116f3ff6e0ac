// SPDX-License-Identifier: Apache-2.0
//
// The object transfer over real sockets: one object up and one down while either end is killed in the middle.
#include "common/error.h"
#include "protocol/objects/transfer_client.h"
#include "protocol/objects/transfer_server.h"
#include "tests/protocol/wire/wire_fixture.h"
#include "tests/scratch.h"

namespace hemafed::wire {
namespace {

using hemafed::testing_support::Scratch;

constexpr std::size_t kObjectBytes = 24 * kChunkBytes + 12345;

Bytes Content(std::uint8_t salt) {
  Bytes content(kObjectBytes);
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<std::uint8_t>(i * 31 + i / 1000 + salt);
  return content;
}

// A coordinator and a site in one thread, each with its loop's body, so that a test can stop either between two
// messages.
class TransferOverSockets : public ::testing::Test {
 protected:
  TransferOverSockets() : store_(RealFileSystem(), scratch_ / "coordinator") {
    allowlist_.Allow(site_keys_.public_key, "a");
    StartServer("tcp://127.0.0.1:*");
    endpoint_ = server_->bound_endpoint();
    StartSite();
  }

  void StartServer(const std::string& address) {
    context_ = std::make_unique<WireContext>();
    authenticator_ = std::make_unique<Authenticator>(*context_, allowlist_, clock_);
    server_ = std::make_unique<ServerEndpoint>(*context_, allowlist_, ServerOptions{address, server_keys_});
    transfer_ = std::make_unique<TransferServer>(store_, store_, clock_,
                                                 [](const TransferRequest&) { return std::optional<Refusal>(); });
  }
  void KillServer() {
    transfer_.reset();
    server_.reset();
    authenticator_.reset();
    context_.reset();
  }
  void StartSite() {
    client_ = std::make_unique<TransferClient>(RealFileSystem());
    site_ = std::make_unique<ClientEndpoint>(site_context_, clock_,
                                             ClientOptions{endpoint_, server_keys_.public_key, site_keys_});
  }
  void KillSite() {
    site_.reset();
    client_.reset();
  }

  void Deliver(const std::vector<Outgoing>& messages) {
    for (const Outgoing& out : messages) {
      const auto peer = server_->PeerOf(out.user);
      if (peer) {
        EXPECT_NE(server_->SendTo(*peer, out.message), SendResult::kQueueFull);
      }
    }
  }
  void TurnServer() {
    while (auto incoming = server_->Receive(0)) {
      // What a connection left that has been replaced meanwhile is refused, and nobody is there to hear it.
      const auto* content = std::get_if<Message>(&incoming->content);
      if (content == nullptr) continue;
      const Message& message = *content;
      if (TransferServer::Handles(message)) Deliver(transfer_->Handle(incoming->peer.user_id, message));
    }
    while (auto event = server_->NextEvent()) {
      if (event->kind == ServerEvent::Kind::kPeerLeft) Deliver(transfer_->DropPeer(event->peer.user_id));
    }
  }
  void Send(const std::vector<Message>& messages) {
    for (const Message& message : messages) {
      if (const auto* get = std::get_if<Get>(&message)) first_get_offsets_.push_back(get->offset);
      if (!site_->Send(message)) return;
    }
  }
  void TurnSite() {
    const auto received = site_->Receive(1);
    while (const auto event = site_->NextEvent()) {
      if (event->news == ConnectionNews::kReady) Send(client_->OnReconnect());
    }
    if (!received) return;
    const auto& message = std::get<Message>(*received);
    if (client_->Handles(message)) Send(client_->Handle(message));
  }
  // Turns both loops (the server's only if it lives) until `done`.
  void TurnUntil(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(testing_support::kPatienceMs);
    while (!done()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "stuck at " << client_->done_bytes();
      if (server_) TurnServer();
      TurnSite();
    }
  }
  void AskForDownload() { Send(client_->Download(Sha256Of(down_), kObjectBytes, scratch_ / "in")); }
  void AskForUpload() { Send(client_->Upload(scratch_ / "out", Sha256Of(up_))); }

  void ExpectResult() {
    std::optional<TransferResult> result;
    ASSERT_NO_FATAL_FAILURE(TurnUntil([&] { return (result = client_->NextResult()).has_value(); }));
    EXPECT_FALSE(result->refusal) << result->refusal->text;
  }

  Scratch scratch_;
  SystemClock clock_;
  const Bytes up_ = Content(1), down_ = Content(2);
  CurveKeyPair server_keys_ = GenerateCurveKeyPair();
  CurveKeyPair site_keys_ = GenerateCurveKeyPair();
  Allowlist allowlist_;
  ObjectStore store_;
  WireContext site_context_;
  std::string endpoint_;
  std::unique_ptr<WireContext> context_;
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<ServerEndpoint> server_;
  std::unique_ptr<TransferServer> transfer_;
  std::unique_ptr<TransferClient> client_;
  std::unique_ptr<ClientEndpoint> site_;
  std::vector<std::uint64_t> first_get_offsets_;
};

TEST_F(TransferOverSockets, AnUploadGoesOnAfterTheCoordinatorAndThenTheSiteDied) {
  RealFileSystem().Create(scratch_ / "out")->Append(up_);
  AskForUpload();
  ASSERT_NO_FATAL_FAILURE(TurnUntil([&] { return client_->done_bytes() >= 4 * kChunkBytes; }));
  KillServer();
  StartServer(endpoint_);
  ASSERT_NO_FATAL_FAILURE(TurnUntil([&] { return client_->done_bytes() >= 12 * kChunkBytes; }));
  // What arrived before was not sent again from the start.
  const auto progress = transfer_->progress();
  ASSERT_EQ(progress.size(), 1u);
  EXPECT_LT(server_->traffic().received_bytes, progress[0].done_bytes);
  KillSite();
  StartSite();
  AskForUpload();
  ASSERT_NO_FATAL_FAILURE(ExpectResult());
  EXPECT_TRUE(store_.Verify(Sha256Of(up_)));
}

TEST_F(TransferOverSockets, ADownloadGoesOnAfterTheCoordinatorAndThenTheSiteDied) {
  store_.Put(down_);
  AskForDownload();
  ASSERT_NO_FATAL_FAILURE(TurnUntil([&] { return client_->done_bytes() >= 4 * kChunkBytes; }));
  KillServer();
  StartServer(endpoint_);
  ASSERT_NO_FATAL_FAILURE(TurnUntil([&] { return client_->done_bytes() >= 12 * kChunkBytes; }));
  KillSite();
  StartSite();
  AskForDownload();
  ASSERT_NO_FATAL_FAILURE(ExpectResult());
  EXPECT_EQ(DigestOfFile(RealFileSystem(), scratch_ / "in"), Sha256Of(down_));
  ASSERT_GE(first_get_offsets_.size(), 3u);
  EXPECT_GE(first_get_offsets_.back(), 12 * kChunkBytes);
}

TEST_F(TransferOverSockets, ASiteThatIsRevokedInTheMiddleGetsNoFurther) {
  store_.Put(down_);
  AskForDownload();
  ASSERT_NO_FATAL_FAILURE(TurnUntil([&] { return client_->done_bytes() >= 4 * kChunkBytes; }));
  allowlist_.Revoke("a");
  const std::uint64_t had = client_->done_bytes();
  bool refused = false;
  while (!refused) {
    if (auto incoming = server_->Receive(100)) refused = std::holds_alternative<Refusal>(incoming->content);
    while (auto event = server_->NextEvent()) {
      if (event->kind == ServerEvent::Kind::kPeerLeft) Deliver(transfer_->DropPeer(event->peer.user_id));
    }
    TurnSite();
  }
  EXPECT_EQ(transfer_->credits_in_use(), 0u);
  EXPECT_LE(client_->done_bytes(), had + kCreditsPerSite * kChunkBytes);
}

}  // namespace
}  // namespace hemafed::wire
