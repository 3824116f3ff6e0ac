// SPDX-License-Identifier: Apache-2.0
//
// The parts of a federation in memory; whole courses are in tests/scenarios and tests/studies/federation.
#include "studies/local_federation/local_federation.h"

#include <gtest/gtest.h>

#include "common/clock.h"
#include "studies/local_federation/derived_keys.h"
#include "studies/local_federation/unsynced_file_system.h"
#include "studies/local_federation/virtual_clock.h"
#include "tests/fault/fault_file_system.h"
#include "tests/scratch.h"

namespace hemafed::studies {
namespace {

using testing_support::FaultFileSystem;
using testing_support::Scratch;

TEST(VirtualClock, WallTimeFollowsFromTheEndOfTheLog) {
  LogEnd end;
  VirtualClock clock([&] { return end; });
  EXPECT_EQ(clock.WallMs(), kSimulatedStartMs + kEntryMs);
  for (int i = 0; i < 5; ++i) clock.PassMessage();
  EXPECT_EQ(clock.WallMs(), kSimulatedStartMs + kEntryMs) << "messages differ between courses, entries do not";
  EXPECT_EQ(clock.MonotonicMs(), 5 * kMessageMs);
  end = {.entries = 1, .at_ms = clock.WallMs()};
  EXPECT_EQ(clock.WallMs(), kSimulatedStartMs + 2 * kEntryMs);
}

TEST(VirtualClock, IdleTimeCountsUntilTheNextEntryAndIsKeptByIt) {
  LogEnd end{.entries = 3, .at_ms = 1'000'000};
  VirtualClock clock([&] { return end; });
  clock.PassIdle(40'000);
  clock.PassIdle(20'000);
  const std::int64_t late = clock.WallMs();
  EXPECT_EQ(late, 1'000'000 + kEntryMs + 60'000);
  end = {.entries = 4, .at_ms = late};
  EXPECT_EQ(clock.WallMs(), late + kEntryMs) << "time never goes back";
  clock.PassIdle(500);
  EXPECT_EQ(clock.WallMs(), late + kEntryMs + 500);
}

TEST(DerivedKeys, DependOnSeedAndPurposeAndNothingElse) {
  EXPECT_EQ(DerivedSigningKey(1, "log").PublicKey(), DerivedSigningKey(1, "log").PublicKey());
  EXPECT_NE(DerivedSigningKey(1, "log").PublicKey(), DerivedSigningKey(2, "log").PublicKey());
  EXPECT_NE(DerivedSigningKey(1, "log").PublicKey(), DerivedSigningKey(1, "operator").PublicKey());
  EXPECT_NE(DerivedSigningKey(1, "1").PublicKey(), DerivedSigningKey(11, "").PublicKey());
  const wire::CurveKeyPair pair = DerivedCurveKey(1, "server");
  EXPECT_EQ(pair.public_key, wire::CurvePublicKeyOf(pair.secret_key));
}

TEST(UnsyncedFileSystem, KeepsFilesForTheNextProcessButNotThroughALossOfPower) {
  const Scratch scratch;
  FaultFileSystem disk;
  disk.Plant(scratch / "folder" / "old", "");  // So that the folder itself is durable.
  UnsyncedFileSystem files(disk);
  WriteFileAtomically(disk, scratch / "folder" / "synced", "content");
  WriteFileAtomically(files, scratch / "folder" / "unsynced", "content");
  EXPECT_EQ(ReadFile(disk, scratch / "folder" / "unsynced", 100), "content");
  disk.Crash();
  EXPECT_EQ(ReadFile(disk, scratch / "folder" / "synced", 100), "content");
  EXPECT_FALSE(disk.Exists(scratch / "folder" / "unsynced"));
}

class Enrolment : public testing::Test {
 protected:
  std::unique_ptr<LocalFederation> Make(const Path& root, std::optional<std::uint64_t> key_seed) {
    auto federation = std::make_unique<LocalFederation>(LocalFederation::Options{.root = root,
                                                                                 .sites = root / "sites",
                                                                                 .coordinator_files = &RealFileSystem(),
                                                                                 .site_files = &RealFileSystem(),
                                                                                 .clock = &clock_,
                                                                                 .name = "test",
                                                                                 .key_seed = key_seed,
                                                                                 .choose = {},
                                                                                 .on_delivery = {}});
    federation->Found();
    federation->StartCoordinator();
    for (const std::string site : {"north", "south"}) federation->Enrol(site);
    return federation;
  }
  Scratch scratch_;
  ManualClock clock_{1'700'000'000'000};
};

TEST_F(Enrolment, PutsEverySiteIntoTheRosterWithItsOwnKey) {
  const auto federation = Make(scratch_.path(), std::nullopt);
  const auto& roster = federation->service().state().roster();
  ASSERT_EQ(roster.size(), 2u);
  const auto keys = agent::SiteKeys::Load(RealFileSystem(), federation->FolderOf("north"));
  EXPECT_EQ(roster.at("north").statement_key, keys.statement.PublicKey());
}

TEST_F(Enrolment, WithAKeySeedTheLogIsTheSameEveryTimeAndWithoutItIsNot) {
  const auto first = Make(scratch_ / "a", 5), second = Make(scratch_ / "b", 5);
  EXPECT_EQ(first->service().log().root(), second->service().log().root());
  EXPECT_NE(Make(scratch_ / "c", 6)->service().log().root(), first->service().log().root());
  EXPECT_NE(Make(scratch_ / "d", std::nullopt)->service().log().root(),
            Make(scratch_ / "e", std::nullopt)->service().log().root());
}

TEST_F(Enrolment, MessagesAreDeliveredInOrderAndCountedInBothDirections) {
  const auto federation = Make(scratch_.path(), 5);
  for (const std::string site : {"north", "south"}) federation->StartSite(site);
  while (federation->DeliverOne()) {
  }
  const wire::Traffic& traffic = federation->traffic();
  EXPECT_EQ(traffic.sent_messages + traffic.received_messages, federation->delivered());
  // Hello and a request for work from each; a welcome and "there is no plan yet" to each.
  EXPECT_EQ(traffic.received_messages, 4u);
  EXPECT_EQ(traffic.sent_messages, 4u);
  EXPECT_GT(traffic.sent_bytes, traffic.sent_messages * wire::kFrameHeaderBytes);
  EXPECT_FALSE(federation->Finished());
}

}  // namespace
}  // namespace hemafed::studies
