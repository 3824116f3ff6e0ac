// SPDX-License-Identifier: Apache-2.0
//
// Exemplars that travel: whole federations with real bundles, from agreement to the recipient's trainer.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "site_agent/agent/agree.h"
#include "tests/expect_error.h"
#include "tests/scenarios/audit_support.h"
#include "tests/scenarios/federation_harness.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::FederationHarness;
using testing_support::ObjectOf;
using testing_support::Replay;
using testing_support::Scratch;

// Three hospitals; the last one gets the exemplars of both others, the second those of the first.
const std::string kThreeHospitals = R"([[task]]
site = "first"
rounds = 1
[[task]]
site = "second"
rounds = 1
[[task]]
site = "third"
rounds = 2
)";

FederationHarness::Options Sealed(std::uint64_t order_seed = 1) {
  return {.order_seed = order_seed, .policy = "sealed", .tasks = kThreeHospitals};
}

std::vector<StatementEntry> Statements(FederationHarness& harness, StatementKind kind) {
  std::vector<StatementEntry> found;
  harness.service().log().ForEach(0, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    const auto* statement = std::get_if<StatementEntry>(&entry.body);
    if (statement != nullptr && statement->statement.kind == kind) found.push_back(*statement);
  });
  return found;
}

std::size_t HeldFrom(FederationHarness& harness, const std::string& site, const std::string& sender) {
  std::size_t held = 0;
  for (const auto& [from, picture] : harness.trainer(site).received) held += from == sender ? 1 : 0;
  return held;
}

const std::vector<std::string>& QuietRun() {
  static const std::vector<std::string> digests = [] {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), Sealed());
    harness.Run();
    return harness.RoundDigests();
  }();
  return digests;
}

TEST(SealedFederation, ExemplarsOfEveryEarlierHospitalReachTheActiveOneAndNobodyElse) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  ASSERT_TRUE(harness.Run());
  // Two classes with four exemplars each.
  EXPECT_EQ(HeldFrom(harness, "second", "first"), 8u);
  EXPECT_EQ(HeldFrom(harness, "third", "first"), 8u);
  EXPECT_EQ(HeldFrom(harness, "third", "second"), 8u);
  EXPECT_TRUE(harness.trainer("first").received.empty());
  EXPECT_EQ(Statements(harness, StatementKind::kAgreement).size(), 3u);
  EXPECT_EQ(Statements(harness, StatementKind::kBundle).size(), 3u);
  EXPECT_EQ(Statements(harness, StatementKind::kReceived).size(), 3u);
  for (const StatementEntry& bundle : Statements(harness, StatementKind::kBundle)) {
    const auto report = BundleReport::FromJson({bundle.statement.body, "bundle"});
    EXPECT_FALSE(std::filesystem::exists(ObjectOf(harness, report.file))) << "its recipient holds it";
  }
  const auto finding = Replay(harness).finding;
  EXPECT_FALSE(finding.has_value()) << finding->message;
}

TEST(SealedFederation, OnlyTheActiveSiteTrains) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  ASSERT_TRUE(harness.Run());
  std::vector<std::string> trained;
  for (const StatementEntry& update : Statements(harness, StatementKind::kUpdate)) trained.push_back(update.site);
  EXPECT_EQ(trained, (std::vector<std::string>{"first", "second", "third", "third"}));
}

TEST(SealedFederation, NeitherTheCoordinatorsDiskNorTheMessagesHoldAPicture) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  while (harness.service().state().bundles().size() < 2) ASSERT_FALSE(harness.Run(1));
  std::size_t files = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(scratch.path())) {
    if (!file.is_regular_file()) continue;
    const std::string content = ReadFile(RealFileSystem(), file.path(), 1 << 24);
    EXPECT_EQ(content.find("picture of first"), std::string::npos) << file.path();
    ++files;
  }
  EXPECT_GT(files, 20u);
  const Digest bundle = harness.service().state().bundles().front().report.file;
  EXPECT_TRUE(std::filesystem::exists(ObjectOf(harness, bundle))) << "until its recipient holds it";
}

TEST(SealedFederation, WhatLeftIsInTheGiversRecord) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  ASSERT_TRUE(harness.Run());
  const std::string record = ReadFile(RealFileSystem(), scratch / "first/agent/egress.jsonl", 1 << 20);
  for (const StatementEntry& bundle : Statements(harness, StatementKind::kBundle)) {
    const auto report = BundleReport::FromJson({bundle.statement.body, "bundle"});
    const bool of_first = record.find(report.file.Hex()) != std::string::npos;
    EXPECT_EQ(of_first, bundle.site == "first");
  }
  EXPECT_NE(record.find("\"what\":\"bundle file\""), std::string::npos) << record;
}

TEST(SealedFederation, WithoutOneLabsYesNothingIsTrainedAndTheStatusSaysWhose) {
  const Scratch scratch;
  auto options = Sealed();
  options.silent = {"second"};
  FederationHarness harness(scratch.path(), options);
  EXPECT_ERROR(ErrorCode::kInternal, "stands still", harness.Run());
  EXPECT_EQ(harness.service().state().phase(), Phase::kBetweenTasks);
  EXPECT_EQ(harness.service().state().MissingAgreements(), (std::vector<std::string>{"second"}));
  EXPECT_NE(AssignmentFor(harness.service().state(), "first").note.find("agreements are missing: second"),
            std::string::npos);
  EXPECT_EQ(Statements(harness, StatementKind::kAgreement).size(), 2u) << "one-sided agreement is not enough";

  // Naming too few labs is no agreement either; naming all of them lets the plan go on.
  const agent::SiteFolder folder{scratch / "second"};
  EXPECT_ERROR(ErrorCode::kRefused, "name exactly these labs",
               agent::Agree(RealFileSystem(), folder, harness.plan_text(), {"first"}));
  agent::Agree(RealFileSystem(), folder, harness.plan_text(), {"third", "first"});
  ASSERT_TRUE(harness.Run());
  EXPECT_EQ(harness.RoundDigests(), QuietRun());
}

TEST(SealedFederation, AnAgreementToAnotherPlanIsNone) {
  const Scratch scratch;
  auto options = Sealed();
  options.silent = {"second"};
  FederationHarness harness(scratch.path(), options);
  const agent::SiteFolder folder{scratch / "second"};
  std::string other = harness.plan_text();
  other.replace(other.find("seed = 7"), 8, "seed = 8");
  agent::Agree(RealFileSystem(), folder, other, {"first", "third"});
  EXPECT_ERROR(ErrorCode::kInternal, "stands still", harness.Run());
  EXPECT_EQ(harness.service().state().MissingAgreements(), (std::vector<std::string>{"second"}));
  EXPECT_ERROR(ErrorCode::kConflict, "agreed to another plan",
               agent::Agree(RealFileSystem(), folder, harness.plan_text(), {"first", "third"}));
}

TEST(SealedFederation, ATakenBackAgreementStopsWhatWasNotSent) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  // The first hospital's bundles are sent, and the second holds its one.
  while (harness.service().state().task() < 1 || harness.service().state().phase() != Phase::kRoundOpen) {
    ASSERT_FALSE(harness.Run(1));
  }
  agent::EndAgreement(RealFileSystem(), {scratch / "second"});
  ASSERT_TRUE(harness.Run());
  EXPECT_EQ(Statements(harness, StatementKind::kAgreementEnd).size(), 1u);
  EXPECT_EQ(HeldFrom(harness, "third", "second"), 0u);
  EXPECT_EQ(HeldFrom(harness, "third", "first"), 8u) << "others go on";
  EXPECT_EQ(HeldFrom(harness, "second", "first"), 8u) << "what is held, is held";
  EXPECT_FALSE(Replay(harness).finding.has_value());
  EXPECT_ERROR(ErrorCode::kConflict, "taken its agreement to this plan back",
               agent::Agree(RealFileSystem(), {scratch / "second"}, harness.plan_text(), {"first", "third"}));
}

TEST(SealedFederation, WhatATrainerSealedDoesNotLeaveAfterItsPeopleTookTheirYesBack) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  // In the moment after the trainer has made a bundle and before the agent looks.
  harness.trainer("first").tamper = [&](const Path&, BundleReport&) {
    if (std::filesystem::exists(scratch / "first/trainer/agreement.json")) {
      agent::EndAgreement(RealFileSystem(), {scratch / "first"});
    }
  };
  ASSERT_TRUE(harness.Run());
  EXPECT_TRUE(HeldFrom(harness, "second", "first") == 0 && HeldFrom(harness, "third", "first") == 0);
  EXPECT_EQ(HeldFrom(harness, "third", "second"), 8u);
  EXPECT_EQ(ReadFile(RealFileSystem(), scratch / "first/agent/egress.jsonl", 1 << 20).find("bundle file"),
            std::string::npos);
}

TEST(SealedFederation, ABundleThatWasAlteredOrIsForAnotherDoesNotLeaveTheLab) {
  const auto flip = [](const Path& bundle, std::uint64_t at) {
    std::string content = ReadFile(RealFileSystem(), bundle, 1 << 20);
    content.at(at) = static_cast<char>(content[at] ^ 1);
    WriteFileAtomically(RealFileSystem(), bundle, content);
    return Sha256Of(content);
  };
  struct Case {
    std::function<void(const Path&, BundleReport&)> tamper;
    ErrorCode code;
    std::string says;
  };
  const std::vector<Case> cases{
      {[&](const Path& bundle, BundleReport&) { (void)flip(bundle, 300); }, ErrorCode::kCorrupt, "not the file"},
      {[](const Path&, BundleReport& report) { report.recipient = "third"; }, ErrorCode::kRefused, "another lab"},
      {[](const Path&, BundleReport& report) { report.items = 7; }, ErrorCode::kRefused, "whose size"},
      {[](const Path&, BundleReport& report) { report.items = 9; }, ErrorCode::kRefused, "holds 9 pictures"},
      // The task, the recipient's name and its key in the header.
      {[&](const Path& bundle, BundleReport& report) { report.file = flip(bundle, 40); }, ErrorCode::kRefused,
       "whose address"},
      {[&](const Path& bundle, BundleReport& report) { report.file = flip(bundle, 105); }, ErrorCode::kRefused,
       "whose address"},
      {[&](const Path& bundle, BundleReport& report) { report.file = flip(bundle, 152); }, ErrorCode::kRefused,
       "another key"}};
  for (const Case& c : cases) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), Sealed());
    harness.trainer("first").tamper = c.tamper;
    EXPECT_ERROR(c.code, c.says, harness.Run());
    EXPECT_TRUE(harness.service().state().bundles().empty());
  }
}

TEST(SealedFederation, ABundleThatDoesNotOpenIsLoggedWithItsSenderAndThePlanGoesOnWithoutIt) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  // A byte of the ciphertext, and the digest with it: nobody on the way can see that.
  harness.trainer("first").tamper = [](const Path& bundle, BundleReport& report) {
    std::string content = ReadFile(RealFileSystem(), bundle, 1 << 20);
    content.at(400) = static_cast<char>(content[400] ^ 1);
    WriteFileAtomically(RealFileSystem(), bundle, content);
    report.file = Sha256Of(content);
  };
  ASSERT_TRUE(harness.Run());
  EXPECT_EQ(HeldFrom(harness, "second", "first"), 0u);
  EXPECT_EQ(HeldFrom(harness, "third", "second"), 8u);
  std::size_t troubles = 0;
  for (const SentBundle& bundle : harness.service().state().bundles()) {
    if (!bundle.received->trouble) continue;
    EXPECT_EQ(bundle.sender(), "first");
    EXPECT_TRUE(std::filesystem::exists(ObjectOf(harness, bundle.report.file))) << "kept as evidence";
    ++troubles;
  }
  EXPECT_EQ(troubles, 2u);
  EXPECT_FALSE(Replay(harness).finding.has_value());
}

TEST(SealedFederation, ALabFetchesOnlyTheBundleThatItHasToTakeIn) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  while (harness.service().state().task() < 1) ASSERT_FALSE(harness.Run(1));
  const FederationState& state = harness.service().state();
  ASSERT_EQ(state.phase(), Phase::kCommitting);
  const Digest for_second = state.BundleToReceive()->report.file;
  for (const std::string site : {"first", "third"}) {
    harness.inbox(site).clear();
    harness.Deliver(site, wire::Get{for_second, 0, 100});
    const auto* refusal = std::get_if<wire::Refusal>(&harness.inbox(site).back());
    ASSERT_NE(refusal, nullptr) << site;
    EXPECT_EQ(refusal->code, wire::RefusalCode::kNotAuthorised);
  }
  harness.KillAgent("first");
  harness.KillAgent("third");
  ASSERT_TRUE(harness.Run());
}

TEST(SealedFederation, AnAgentDoesNotWorkForAKeyOrFileThatThePartnerDidNotSign) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  while (harness.service().state().task() < 1) ASSERT_FALSE(harness.Run(1));
  const Assignment good = AssignmentFor(harness.service().state(), "second");
  ASSERT_EQ(good.job->kind, JobKind::kReceive);
  agent::Session session(RealFileSystem(), harness.clock(), agent::SiteFolder{scratch / "second"},
                         agent::Membership::Load(RealFileSystem(), scratch / "second/agent/membership.json"),
                         harness.KeysOf("second").statement);
  // Another object that the agent holds, in the bundle's place.
  Assignment swapped = good;
  swapped.bundle = good.job->model;
  while (!std::filesystem::exists(scratch / "second/jobs/objects" / good.job->model.Hex())) {
    ASSERT_FALSE(harness.Run(1));
  }
  EXPECT_ERROR(ErrorCode::kRefused, "another file than the bundle that first signed",
               (void)session.Handle(wire::Assignment{swapped.ToText()}));
}

TEST(SealedFederation, EverythingKilledEveryFewMessagesStillEndsWithTheSameModelsAndPictures) {
  for (const std::uint64_t seed : {3u, 4u, 5u}) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), Sealed(seed));
    RandomStream random(seed);
    const std::vector<std::string> sites{"first", "second", "third"};
    for (int kill = 0; kill < 80 && !harness.Run(2 + random.NextBelow(9)); ++kill) {
      if (random.NextBelow(2) == 0)
        harness.KillCoordinator();
      else
        harness.KillAgent(sites[random.NextBelow(3)]);
    }
    ASSERT_TRUE(harness.Run());
    EXPECT_EQ(harness.RoundDigests(), QuietRun());
    EXPECT_EQ(HeldFrom(harness, "third", "first") + HeldFrom(harness, "third", "second"), 16u);
    EXPECT_EQ(Statements(harness, StatementKind::kReceived).size(), 3u) << "nothing is stated twice";
    EXPECT_FALSE(Replay(harness).finding.has_value());
  }
}

TEST(SealedFederation, KilledAfterAnyMessageItEndsTheSame) {
  std::uint64_t messages = 0;
  {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), Sealed());
    harness.Run();
    messages = harness.delivered();
  }
  for (std::uint64_t kill_at = 1; kill_at < messages; kill_at += 37) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), Sealed());
    harness.Run(kill_at);
    harness.KillCoordinator();
    for (const std::string site : {"first", "second", "third"}) harness.KillAgent(site);
    ASSERT_TRUE(harness.Run()) << "killed after message " << kill_at;
    ASSERT_EQ(harness.RoundDigests(), QuietRun()) << "killed after message " << kill_at;
    ASSERT_EQ(HeldFrom(harness, "third", "first"), 8u) << "killed after message " << kill_at;
  }
}

}  // namespace
}  // namespace hemafed
