// SPDX-License-Identifier: Apache-2.0
//
// Both sides of the object transfer through memory: honest programs that are cut and killed anywhere.
#include <set>

#include "tests/protocol/objects/transfer_pump.h"

namespace hemafed::wire {
namespace {

using testing_support::Content;
using testing_support::TransferPump;

constexpr std::size_t kFiveChunks = 4 * kChunkBytes + 100;

void Plant(TransferPump& pump, const std::string& name, const Path& path, const Bytes& content) {
  pump.site(name).files.Plant(path, AsText(content));
}

// One site uploads "out"; returns the content.
Bytes StartUpload(TransferPump& pump, std::size_t size) {
  const Bytes content = Content(size);
  pump.AddSite("a");
  Plant(pump, "a", "out", content);
  pump.Say("a", pump.site("a").client->Upload("out", Sha256Of(content)));
  return content;
}

Bytes StartDownload(TransferPump& pump, std::size_t size) {
  const Bytes content = Content(size);
  pump.store().Put(content);
  pump.AddSite("a");
  pump.Say("a", pump.site("a").client->Download(Sha256Of(content), size, "in"));
  return content;
}

void ExpectUploaded(TransferPump& pump, const Bytes& content) {
  ASSERT_EQ(pump.site("a").results.size(), 1u);
  EXPECT_FALSE(pump.site("a").results[0].refusal);
  EXPECT_TRUE(pump.store().Verify(Sha256Of(content)));
  EXPECT_TRUE(pump.server_files().List("coordinator/tmp").empty());
  EXPECT_EQ(pump.server().credits_in_use(), 0u);
}

void ExpectDownloaded(TransferPump& pump, const Bytes& content) {
  ASSERT_FALSE(pump.site("a").results.empty());
  EXPECT_FALSE(pump.site("a").results.back().refusal);
  EXPECT_EQ(pump.site("a").files.Peek("in"), std::string(AsText(content)));
  EXPECT_FALSE(pump.site("a").files.Exists("in.part"));
  EXPECT_EQ(pump.server().credits_in_use(), 0u);
}

class EverySize : public ::testing::TestWithParam<std::size_t> {};

TEST_P(EverySize, GoesUp) {
  TransferPump pump;
  const Bytes content = StartUpload(pump, GetParam());
  pump.Run();
  ExpectUploaded(pump, content);
  EXPECT_EQ(pump.site("a").chunk_bytes, content.size());
  EXPECT_EQ(pump.server().TakeCompleted(), std::vector<Digest>{Sha256Of(content)});
}

TEST_P(EverySize, ComesDown) {
  TransferPump pump;
  const Bytes content = StartDownload(pump, GetParam());
  pump.Run();
  ExpectDownloaded(pump, content);
  EXPECT_EQ(pump.site("a").chunk_bytes, content.size());
}

INSTANTIATE_TEST_SUITE_P(Sizes, EverySize,
                         ::testing::Values(0, 1, kChunkBytes - 1, kChunkBytes, kChunkBytes + 1, kFiveChunks,
                                           20 * kChunkBytes));

TEST(Transfer, WhatTheCoordinatorHasIsNotSentAgain) {
  TransferPump pump;
  const Bytes content = Content(kFiveChunks);
  pump.store().Put(content);
  StartUpload(pump, kFiveChunks);
  pump.Run();
  ExpectUploaded(pump, content);
  EXPECT_EQ(pump.site("a").chunk_bytes, 0u);
}

// Runs the transfer that `start` begins, and calls `disturb` once after n deliveries, for every n.
void DisturbAfterEveryStep(const std::function<void(TransferPump&)>& start,
                           const std::function<void(TransferPump&)>& disturb,
                           const std::function<void(TransferPump&)>& check) {
  for (int n = 0;; ++n) {
    TransferPump pump(static_cast<std::uint64_t>(n));
    start(pump);
    int steps = 0;
    while (steps < n && pump.Step()) ++steps;
    if (steps < n) {
      EXPECT_GT(n, 8);
      return;  // The transfer ends before this step: all have been tried.
    }
    disturb(pump);
    pump.Run();
    SCOPED_TRACE("disturbed after " + std::to_string(n) + " deliveries");
    check(pump);
    // At most the window that was under way goes over the wire twice.
    EXPECT_LE(pump.site("a").chunk_bytes, kFiveChunks + kCreditsPerSite * std::uint64_t{kChunkBytes});
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(Transfer, AnUploadCutAnywhereGoesOn) {
  DisturbAfterEveryStep([](TransferPump& pump) { StartUpload(pump, kFiveChunks); },
                        [](TransferPump& pump) { pump.Cut("a"); },
                        [](TransferPump& pump) { ExpectUploaded(pump, Content(kFiveChunks)); });
}

TEST(Transfer, ADownloadCutAnywhereGoesOn) {
  DisturbAfterEveryStep([](TransferPump& pump) { StartDownload(pump, kFiveChunks); },
                        [](TransferPump& pump) { pump.Cut("a"); },
                        [](TransferPump& pump) { ExpectDownloaded(pump, Content(kFiveChunks)); });
}

TEST(Transfer, AnUploadSurvivesAPowerFailureAtTheCoordinatorAnywhere) {
  DisturbAfterEveryStep([](TransferPump& pump) { StartUpload(pump, kFiveChunks); },
                        [](TransferPump& pump) { pump.KillServer(); },
                        [](TransferPump& pump) { ExpectUploaded(pump, Content(kFiveChunks)); });
}

TEST(Transfer, ADownloadSurvivesARestartOfTheCoordinatorAnywhere) {
  DisturbAfterEveryStep([](TransferPump& pump) { StartDownload(pump, kFiveChunks); },
                        [](TransferPump& pump) { pump.KillServer(); },
                        [](TransferPump& pump) { ExpectDownloaded(pump, Content(kFiveChunks)); });
}

TEST(Transfer, AnUploadSurvivesARestartOfTheSiteAnywhere) {
  DisturbAfterEveryStep(
      [](TransferPump& pump) { StartUpload(pump, kFiveChunks); },
      [](TransferPump& pump) {
        pump.site("a").results.clear();
        pump.KillSite("a", [](TransferClient& client) { return client.Upload("out", Sha256Of(Content(kFiveChunks))); });
      },
      [](TransferPump& pump) { ExpectUploaded(pump, Content(kFiveChunks)); });
}

TEST(Transfer, ADownloadSurvivesARestartOfTheSiteAnywhere) {
  DisturbAfterEveryStep([](TransferPump& pump) { StartDownload(pump, kFiveChunks); },
                        [](TransferPump& pump) {
                          if (pump.site("a").files.Exists("in")) return;  // Done; the new agent has nothing to ask.
                          pump.KillSite("a", [](TransferClient& client) {
                            return client.Download(Sha256Of(Content(kFiveChunks)), kFiveChunks, "in");
                          });
                        },
                        [](TransferPump& pump) { ExpectDownloaded(pump, Content(kFiveChunks)); });
}

TEST(Transfer, ARestartedSiteAsksFromTheChunkItHas) {
  TransferPump pump;
  const Bytes content = StartDownload(pump, kFiveChunks);
  while (pump.site("a").client->done_bytes() < 2 * kChunkBytes) ASSERT_TRUE(pump.Step());
  TransferClient next(pump.site("a").files);
  const auto asked = next.Download(Sha256Of(content), content.size(), "in");
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0], Message(Get{Sha256Of(content), 2 * kChunkBytes, 2 * kChunkBytes + 100}));
}

TEST(Transfer, TransfersOfASiteRunInTheOrderAskedFor) {
  TransferPump pump;
  const Bytes first = Content(kFiveChunks, 1);
  const Bytes second = Content(kFiveChunks, 2);
  pump.store().Put(second);
  pump.AddSite("a");
  Plant(pump, "a", "out", first);
  TransferClient& client = *pump.site("a").client;
  pump.Say("a", client.Upload("out", Sha256Of(first)));
  EXPECT_TRUE(client.Download(Sha256Of(second), second.size(), "in").empty());
  EXPECT_TRUE(client.Download(Sha256Of(second), second.size(), "in").empty());  // Already in line.
  EXPECT_EQ(client.total_bytes(), first.size());
  pump.Run();
  ASSERT_EQ(pump.site("a").results.size(), 2u);
  EXPECT_EQ(pump.site("a").results[0].digest, Sha256Of(first));
  EXPECT_EQ(pump.site("a").results[1].digest, Sha256Of(second));
  EXPECT_TRUE(client.idle());
  EXPECT_EQ(pump.site("a").files.Peek("in"), std::string(AsText(second)));
}

TEST(Transfer, AnyOrderOfManySitesWithRandomCutsEndsWithEverythingInPlace) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TransferPump pump(seed);
    RandomStream random(seed, 1);
    const Bytes model = Content(3 * kChunkBytes + 5);
    pump.store().Put(model);
    std::map<std::string, Bytes> updates;
    for (int i = 0; i < 6; ++i) {
      const std::string name = "site" + std::to_string(i);
      updates[name] = Content(kChunkBytes * (1 + random.NextBelow(4)) + random.NextBelow(kChunkBytes),
                              static_cast<std::uint8_t>(i));
      pump.AddSite(name);
      Plant(pump, name, "out", updates[name]);
      pump.Say(name, pump.site(name).client->Download(Sha256Of(model), model.size(), "in"));
      pump.Say(name, pump.site(name).client->Upload("out", Sha256Of(updates[name])));
    }
    for (int steps = 0; pump.Step(); ++steps) {
      ASSERT_LT(steps, 100'000);
      if (steps < 500 && random.NextBelow(25) == 0) pump.Cut("site" + std::to_string(random.NextBelow(6)));
    }
    for (const auto& [name, update] : updates) {
      ASSERT_EQ(pump.site(name).results.size(), 2u) << name;
      for (const TransferResult& result : pump.site(name).results) EXPECT_FALSE(result.refusal) << result.refusal->text;
      EXPECT_EQ(pump.site(name).files.Peek("in"), std::string(AsText(model)));
      EXPECT_TRUE(pump.store().Verify(Sha256Of(update)));
    }
    EXPECT_EQ(pump.server().credits_in_use(), 0u);
  }
}

TEST(Transfer, SitesThatWaitGetCreditInTurn) {
  TransferPump pump;
  const Bytes model = Content(12 * kChunkBytes);
  pump.store().Put(model);
  constexpr int kSites = 20;
  for (int i = 0; i < kSites; ++i) {
    const std::string name = "site" + std::to_string(100 + i);
    pump.AddSite(name);
    pump.Say(name, pump.site(name).client->Download(Sha256Of(model), model.size(), "in"));
    pump.site(name).mute = true;
  }
  pump.Run();  // Everybody has asked; two have taken all credit.
  EXPECT_EQ(pump.server().credits_in_use(), kTransferCredits);
  std::set<std::string> holders;
  for (const TransferProgress& progress : pump.server().progress()) {
    if (progress.done_bytes > 0) holders.insert(progress.user);
  }
  ASSERT_EQ(holders.size(), 2u);
  // As the two acknowledge, each of the others gets one chunk before anybody gets a second.
  std::map<std::string, int> got;
  for (unsigned chunk = 1; chunk <= kCreditsPerSite; ++chunk) {
    for (const std::string& name : holders) {
      for (const Outgoing& out : pump.server().Handle(name, ChunkAck{Sha256Of(model), chunk * kChunkBytes})) {
        if (std::holds_alternative<Chunk>(out.message)) ++got[out.user];
      }
    }
  }
  EXPECT_EQ(got.size(), kTransferCredits);
  for (const auto& [name, count] : got) {
    EXPECT_EQ(count, 1) << name;
    EXPECT_FALSE(holders.contains(name));
  }
}

TEST(Transfer, ADroppedSiteGivesItsCreditToOthers) {
  TransferPump pump;
  const Bytes model = Content(12 * kChunkBytes);
  pump.store().Put(model);
  for (const char* name : {"a", "b", "c"}) {
    pump.AddSite(name);
    pump.Say(name, pump.site(name).client->Download(Sha256Of(model), model.size(), "in"));
    pump.site(name).mute = true;
    pump.Run();  // The first two take all credit.
  }
  std::size_t chunks = 0;
  for (const Outgoing& out : pump.server().DropPeer("a")) {
    EXPECT_EQ(out.user, "c");
    chunks += std::holds_alternative<Chunk>(out.message) ? 1 : 0;
  }
  EXPECT_EQ(chunks, kCreditsPerSite);
}

TEST(Transfer, AStalledSiteLosesItsCreditOnlyWhenOthersWaitAndGoesOnLater) {
  for (const bool uploads : {false, true}) {
    SCOPED_TRACE(uploads ? "upload" : "download");
    TransferPump pump;
    const Bytes model = Content(12 * kChunkBytes);
    pump.store().Put(model);
    const auto begin = [&](const std::string& name, std::uint8_t salt) {
      pump.AddSite(name);
      Plant(pump, name, "out", Content(12 * kChunkBytes, salt));
      pump.Say(name, uploads ? pump.site(name).client->Upload("out", Sha256Of(Content(12 * kChunkBytes, salt)))
                             : pump.site(name).client->Download(Sha256Of(model), model.size(), "in"));
      pump.site(name).mute = true;
    };
    begin("a", 1);
    begin("b", 2);
    pump.Run();
    pump.clock().Advance(kStallMs + 1);
    EXPECT_TRUE(pump.server().ReclaimStalled().empty());  // Nobody waits.
    begin("c", 3);
    pump.Run();
    pump.site("a").reclaimed = pump.site("b").reclaimed = true;
    pump.Send(pump.server().ReclaimStalled());
    pump.site("c").mute = false;
    pump.Run();
    ASSERT_EQ(pump.site("c").results.size(), 1u);
    EXPECT_FALSE(pump.site("c").results[0].refusal);
    // The two come back to life, find their transfers forgotten and ask again.
    pump.site("a").mute = pump.site("b").mute = false;
    pump.Run();
    for (const char* name : {"a", "b"}) {
      ASSERT_EQ(pump.site(name).results.size(), 1u) << name;
      EXPECT_FALSE(pump.site(name).results[0].refusal);
    }
    EXPECT_EQ(pump.server().credits_in_use(), 0u);
  }
}

TEST(Transfer, AnObjectThatTwoSitesPutIsReceivedOnce) {
  TransferPump pump;
  const Bytes content = Content(kFiveChunks);
  for (const char* name : {"a", "b"}) {
    pump.AddSite(name);
    Plant(pump, name, "out", content);
    pump.Say(name, pump.site(name).client->Upload("out", Sha256Of(content)));
  }
  pump.Run();
  EXPECT_EQ(pump.site("a").chunk_bytes + pump.site("b").chunk_bytes, content.size());
  for (const char* name : {"a", "b"}) {
    ASSERT_EQ(pump.site(name).results.size(), 1u);
    EXPECT_FALSE(pump.site(name).results[0].refusal);
  }
}

TEST(Transfer, TheSecondSiteTakesOverWhereTheFirstLeft) {
  TransferPump pump;
  const Bytes content = Content(kFiveChunks);
  for (const char* name : {"a", "b"}) {
    pump.AddSite(name);
    Plant(pump, name, "out", content);
  }
  pump.Say("a", pump.site("a").client->Upload("out", Sha256Of(content)));
  while (pump.site("a").client->done_bytes() < 2 * kChunkBytes) ASSERT_TRUE(pump.Step());
  pump.site("a").to_server.clear();
  pump.Say("b", pump.site("b").client->Upload("out", Sha256Of(content)));
  pump.Run();
  EXPECT_EQ(pump.site("b").chunk_bytes, 0u);
  pump.Send(pump.server().DropPeer("a"));
  pump.Run();
  ASSERT_EQ(pump.site("b").results.size(), 1u);
  EXPECT_LE(pump.site("b").chunk_bytes, content.size() - 2 * kChunkBytes);
  EXPECT_TRUE(pump.store().Verify(Sha256Of(content)));
}

TEST(Transfer, ProgressNamesWhoMovesWhat) {
  TransferPump pump;
  const Bytes content = StartUpload(pump, kFiveChunks);
  while (pump.site("a").client->done_bytes() < kChunkBytes) ASSERT_TRUE(pump.Step());
  const auto all = pump.server().progress();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].user, "a");
  EXPECT_EQ(all[0].kind, TransferRequest::Kind::kPut);
  EXPECT_EQ(all[0].digest, Sha256Of(content));
  EXPECT_GE(all[0].done_bytes, kChunkBytes);
  EXPECT_EQ(all[0].total_bytes, content.size());
}

}  // namespace
}  // namespace hemafed::wire
