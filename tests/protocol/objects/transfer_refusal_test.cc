// SPDX-License-Identifier: Apache-2.0
//
// What the object transfer does with wrong bytes, full disks and peers that break the rules: a refusal that says so,
// and nothing changed.
#include "common/error.h"
#include "tests/expect_error.h"
#include "tests/protocol/objects/transfer_pump.h"

namespace hemafed::wire {
namespace {

using testing_support::Content;
using testing_support::TransferPump;

constexpr std::size_t kFiveChunks = 4 * kChunkBytes + 100;

const Refusal* OnlyRefusal(const std::vector<Outgoing>& out) {
  for (const Outgoing& outgoing : out) {
    if (const auto* refusal = std::get_if<Refusal>(&outgoing.message)) return refusal;
  }
  return nullptr;
}

class TransferRefusal : public ::testing::Test {
 protected:
  TransferRefusal() { pump_.AddSite("a"); }

  void BeginUpload(const Bytes& content, const Digest& digest) {
    pump_.site("a").files.Plant("out", AsText(content));
    pump_.Say("a", pump_.site("a").client->Upload("out", digest));
  }
  void ExpectResult(RefusalCode code) {
    ASSERT_EQ(pump_.site("a").results.size(), 1u);
    ASSERT_TRUE(pump_.site("a").results[0].refusal);
    EXPECT_EQ(pump_.site("a").results[0].refusal->code, code);
    EXPECT_FALSE(pump_.site("a").results[0].refusal->text.empty());
    EXPECT_EQ(pump_.server().credits_in_use(), 0u);
    pump_.site("a").results.clear();
  }
  void ExpectNothingStored(const Digest& digest) {
    EXPECT_FALSE(pump_.store().Has(digest));
    EXPECT_TRUE(pump_.server_files().List("coordinator/tmp").empty());
  }

  TransferPump pump_;
};

TEST_F(TransferRefusal, WhatASiteMayNotPutIsNotReceived) {
  const Bytes content = Content(kFiveChunks);
  pump_.rules[TransferRequest::Kind::kPut] = [](const TransferRequest& request) {
    EXPECT_EQ(request.user, "a");
    EXPECT_EQ(request.size, kFiveChunks);
    return Refusal{RefusalCode::kNotAuthorised, "no update of this site is due", {}};
  };
  BeginUpload(content, Sha256Of(content));
  pump_.Run();
  ExpectResult(RefusalCode::kNotAuthorised);
  ExpectNothingStored(Sha256Of(content));
  EXPECT_EQ(pump_.site("a").chunk_bytes, 0u);
}

TEST_F(TransferRefusal, WhatASiteMayNotGetIsNotSentNorConfirmed) {
  const Digest digest = pump_.store().Put(Content(10));
  pump_.rules[TransferRequest::Kind::kGet] = [](const TransferRequest&) {
    return Refusal{RefusalCode::kNotAuthorised, "only the current model", {}};
  };
  const auto answer = pump_.server().Handle("a", Have{digest});
  ASSERT_NE(OnlyRefusal(answer), nullptr);
  EXPECT_EQ(OnlyRefusal(answer)->subject, digest);
  pump_.Say("a", pump_.site("a").client->Download(digest, 10, "in"));
  pump_.Run();
  ExpectResult(RefusalCode::kNotAuthorised);
  EXPECT_FALSE(pump_.site("a").files.Exists("in"));
}

TEST_F(TransferRefusal, HaveSaysWhatIsThere) {
  const Digest digest = pump_.store().Put(Content(10));
  EXPECT_EQ(pump_.server().Handle("a", Have{digest}).at(0).message, Message(HaveReply{digest, true, 10}));
  const Digest absent = Sha256Of("absent");
  EXPECT_EQ(pump_.server().Handle("a", Have{absent}).at(0).message, Message(HaveReply{absent, false, 0}));
}

TEST_F(TransferRefusal, BytesWithAnotherDigestAreRemovedAndTheRightOnesAreTakenAfterwards) {
  const Bytes content = Content(kFiveChunks);
  const Digest digest = Sha256Of(content);
  Bytes wrong = content;
  wrong[kChunkBytes] ^= 1;
  BeginUpload(wrong, digest);
  pump_.Run();
  ExpectResult(RefusalCode::kDigestMismatch);
  ExpectNothingStored(digest);
  EXPECT_TRUE(pump_.server().TakeStorageErrors().empty());
  BeginUpload(content, digest);
  pump_.Run();
  EXPECT_TRUE(pump_.store().Verify(digest));
}

TEST_F(TransferRefusal, AnObjectThatIsDamagedAtRestIsNotTakenByASite) {
  const Bytes content = Content(kFiveChunks);
  const Digest digest = pump_.store().Put(content);
  Bytes damaged = content;
  damaged.back() ^= 1;
  pump_.server_files().Plant(pump_.store().PathOf(digest), AsText(damaged));
  pump_.Say("a", pump_.site("a").client->Download(digest, content.size(), "in"));
  pump_.Run();
  ExpectResult(RefusalCode::kDigestMismatch);
  EXPECT_FALSE(pump_.site("a").files.Exists("in"));
  EXPECT_FALSE(pump_.site("a").files.Exists("in.part"));
}

TEST_F(TransferRefusal, AFullDiskAtTheCoordinatorLeavesNothingBehindAndIsReported) {
  const Bytes content = Content(kFiveChunks);
  pump_.server_files().SetFreeBytes(2 * kChunkBytes + 10);
  BeginUpload(content, Sha256Of(content));
  pump_.Run();
  ExpectResult(RefusalCode::kNoSpace);
  ExpectNothingStored(Sha256Of(content));
  EXPECT_EQ(pump_.server().TakeStorageErrors().size(), 1u);
  pump_.server_files().SetFreeBytes(std::nullopt);
  BeginUpload(content, Sha256Of(content));
  pump_.Run();
  EXPECT_TRUE(pump_.store().Verify(Sha256Of(content)));
}

TEST_F(TransferRefusal, EveryFailedFileCallOfTheCoordinatorIsAnsweredAndCanBeTriedAgain) {
  const Bytes content = Content(2 * kChunkBytes);
  const Digest digest = Sha256Of(content);
  std::uint64_t n = 0;
  for (bool tried_all = false; !tried_all;) {
    TransferPump pump;
    auto& site = pump.AddSite("a");
    site.files.Plant("out", AsText(content));
    pump.Say("a", site.client->Upload("out", digest));
    pump.server_files().FailCall(++n, ErrorCode::kUnavailable);
    pump.Run();
    tried_all = !pump.server_files().failed();
    pump.server_files().FailCall(1'000'000, ErrorCode::kUnavailable);  // Not from here on.
    SCOPED_TRACE("call " + std::to_string(n));
    ASSERT_EQ(site.results.size(), 1u);
    if (site.results[0].refusal) {
      EXPECT_EQ(site.results[0].refusal->code, RefusalCode::kStorageFailed);
      EXPECT_FALSE(pump.server().TakeStorageErrors().empty());
    } else {
      EXPECT_TRUE(pump.store().Verify(digest));
    }
    pump.Say("a", site.client->Upload("out", digest));
    pump.Run();
    ASSERT_EQ(site.results.size(), 2u);
    EXPECT_FALSE(site.results[1].refusal);
    EXPECT_TRUE(pump.store().Verify(digest));
  }
  EXPECT_GT(n, 5u);
}

TEST_F(TransferRefusal, AFullDiskAtTheSiteIsThrownAndTheDownloadGoesOnAfterwards) {
  const Bytes content = Content(kFiveChunks);
  const Digest digest = pump_.store().Put(content);
  pump_.site("a").files.SetFreeBytes(2 * kChunkBytes);
  pump_.Say("a", pump_.site("a").client->Download(digest, content.size(), "in"));
  EXPECT_ERROR(ErrorCode::kNoSpace, "", pump_.Run());
  pump_.site("a").files.SetFreeBytes(std::nullopt);
  pump_.KillSite("a", [&](TransferClient& client) { return client.Download(digest, content.size(), "in"); });
  pump_.Run();
  EXPECT_EQ(pump_.site("a").files.Peek("in"), std::string(AsText(content)));
}

TEST_F(TransferRefusal, AnObjectOverTheLimitIsRefusedBeforeItComes) {
  const auto out = pump_.server().Handle("a", Put{Sha256Of("x"), kMaxObjectBytes + 1});
  ASSERT_NE(OnlyRefusal(out), nullptr);
  EXPECT_EQ(OnlyRefusal(out)->code, RefusalCode::kTooLarge);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "",
               (void)pump_.site("a").client->Download(Sha256Of("x"), kMaxObjectBytes + 1, "in"));
}

TEST_F(TransferRefusal, AMessageOfAnotherKindIsADefectOfTheCaller) {
  EXPECT_ERROR(ErrorCode::kInternal, "", (void)pump_.server().Handle("a", Ping{}));
}

// A site that has been granted credit for an object of five chunks and now sends `chunk`.
struct BadChunk {
  const char* name;
  std::function<void(Chunk&)> spoil;
  RefusalCode want;
};

class BadChunks : public ::testing::TestWithParam<BadChunk> {};

TEST_P(BadChunks, EndThePutAndChangeNothing) {
  TransferPump pump;
  const Bytes content = Content(kFiveChunks);
  const Digest digest = Sha256Of(content);
  (void)pump.server().Handle("mallory", Put{digest, content.size()});
  Chunk chunk{digest, 0, content.size(), Bytes(content.begin(), content.begin() + kChunkBytes)};
  (void)pump.server().Handle("mallory", chunk);  // One that fits.
  chunk.offset = kChunkBytes;
  GetParam().spoil(chunk);
  const auto out = pump.server().Handle("mallory", chunk);
  const Refusal* refusal = OnlyRefusal(out);
  ASSERT_NE(refusal, nullptr);
  EXPECT_EQ(refusal->code, GetParam().want);
  EXPECT_EQ(refusal->subject, chunk.digest);
  EXPECT_FALSE(pump.store().Has(digest));
  if (chunk.digest == digest) {
    EXPECT_EQ(pump.server().credits_in_use(), 0u);
  }
  // The chunk that fitted is still there for an honest attempt.
  const auto again = pump.server().Handle("honest", Put{digest, content.size()});
  const auto* status = chunk.digest == digest ? std::get_if<PutStatus>(&again.at(0).message) : nullptr;
  if (status != nullptr) {
    EXPECT_EQ(status->offset, kChunkBytes);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadChunks,
    ::testing::ValuesIn(std::vector<BadChunk>{
        {"AnotherTotal", [](Chunk& chunk) { ++chunk.total; }, RefusalCode::kBadContent},
        {"OffsetInsideAChunk", [](Chunk& chunk) { chunk.offset += 1; }, RefusalCode::kBadContent},
        {"ShortInTheMiddle", [](Chunk& chunk) { chunk.data.pop_back(); }, RefusalCode::kBadContent},
        {"Empty", [](Chunk& chunk) { chunk.data.clear(); }, RefusalCode::kBadContent},
        {"BeyondTheEnd", [](Chunk& chunk) { chunk.offset = 8 * kChunkBytes; }, RefusalCode::kBadContent},
        {"OffsetThatWouldWrap",
         [](Chunk& chunk) { chunk.offset = ~std::uint64_t{0} - (~std::uint64_t{0} % kChunkBytes); },
         RefusalCode::kBadContent},
        {"Gap", [](Chunk& chunk) { chunk.offset = 2 * kChunkBytes; }, RefusalCode::kUnknownTransfer},
        {"ObjectWithoutPut", [](Chunk& chunk) { chunk.digest = Sha256Of("other"); }, RefusalCode::kUnknownTransfer}}),
    [](const auto& row) { return row.param.name; });

TEST_F(TransferRefusal, ChunksWithoutCreditAreNotTaken) {
  // Two sites hold all credit; the third sends without any.
  for (const char* name : {"b", "c"}) {
    (void)pump_.server().Handle(name, Put{Sha256Of(name), 20 * kChunkBytes});
  }
  const Bytes content = Content(kFiveChunks);
  const Digest digest = Sha256Of(content);
  const auto answer = pump_.server().Handle("a", Put{digest, content.size()});
  EXPECT_EQ(answer.at(0).message, Message(PutStatus{digest, 0, 0, false}));
  const auto out = pump_.server().Handle(
      "a", Chunk{digest, 0, content.size(), Bytes(content.begin(), content.begin() + kChunkBytes)});
  ASSERT_NE(OnlyRefusal(out), nullptr);
  EXPECT_EQ(OnlyRefusal(out)->code, RefusalCode::kUnknownTransfer);
}

struct BadGet {
  const char* name;
  std::uint64_t offset;
  std::uint32_t bytes;
};

class BadGets : public ::testing::TestWithParam<BadGet> {};

TEST_P(BadGets, AreRefused) {
  TransferPump pump;
  const Digest digest = pump.store().Put(Content(2 * kChunkBytes));
  const auto out = pump.server().Handle("a", Get{digest, GetParam().offset, GetParam().bytes});
  ASSERT_NE(OnlyRefusal(out), nullptr);
  EXPECT_EQ(OnlyRefusal(out)->code, RefusalCode::kBadContent);
  EXPECT_EQ(pump.server().credits_in_use(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Table, BadGets,
                         ::testing::ValuesIn(std::vector<BadGet>{{"OffsetInsideAChunk", 1, 1},
                                                                 {"AtTheEnd", 2 * kChunkBytes, 1},
                                                                 {"FarBeyondTheEnd", std::uint64_t{1} << 62, 1},
                                                                 {"Nothing", 0, 0}}),
                         [](const auto& row) { return row.param.name; });

TEST_F(TransferRefusal, AGetOfWhatIsNotThereSaysSo) {
  const auto out = pump_.server().Handle("a", Get{Sha256Of("absent"), 0, 1});
  ASSERT_NE(OnlyRefusal(out), nullptr);
  EXPECT_EQ(OnlyRefusal(out)->code, RefusalCode::kUnknownObject);
}

TEST_F(TransferRefusal, AskingAgainAndAgainGetsNoMoreChunksThanCredit) {
  const Digest digest = pump_.store().Put(Content(20 * kChunkBytes));
  std::size_t chunks = 0;
  for (int i = 0; i < 50; ++i) {
    for (const Outgoing& out : pump_.server().Handle("a", Get{digest, 0, 20 * kChunkBytes})) {
      chunks += std::holds_alternative<Chunk>(out.message) ? 1 : 0;
    }
  }
  EXPECT_EQ(chunks, kCreditsPerSite);
}

TEST_F(TransferRefusal, AcknowledgingWhatWasNotSentGainsNothing) {
  const Digest digest = pump_.store().Put(Content(20 * kChunkBytes));
  (void)pump_.server().Handle("a", Get{digest, 0, 20 * kChunkBytes});
  const auto out = pump_.server().Handle("a", ChunkAck{digest, 15 * kChunkBytes});
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(std::get<Refusal>(out[0].message).code, RefusalCode::kUnknownTransfer);
  EXPECT_EQ(pump_.server().credits_in_use(), kCreditsPerSite);
}

TEST_F(TransferRefusal, AServerThatGrantsTooMuchIsNotFollowed) {
  const Bytes content = Content(kFiveChunks);
  BeginUpload(content, Sha256Of(content));
  const auto out = pump_.site("a").client->Handle(PutStatus{Sha256Of(content), 0, kMaxUploadWindow + 1, false});
  EXPECT_TRUE(out.empty());
  const auto result = pump_.site("a").client->NextResult();
  ASSERT_TRUE(result && result->refusal);
  EXPECT_EQ(result->refusal->code, RefusalCode::kBadContent);
}

TEST_F(TransferRefusal, AServerThatSendsChunksOfAnotherSizeIsNotFollowed) {
  const Digest digest = Sha256Of("object");
  (void)pump_.site("a").client->Download(digest, 10, "in");
  (void)pump_.site("a").client->Handle(Chunk{digest, 0, 11, Bytes(11)});
  const auto result = pump_.site("a").client->NextResult();
  ASSERT_TRUE(result && result->refusal);
  EXPECT_EQ(result->refusal->code, RefusalCode::kDigestMismatch);
}

}  // namespace
}  // namespace hemafed::wire
