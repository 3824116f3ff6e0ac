// SPDX-License-Identifier: Apache-2.0
//
// Pictures that travelled and are taken back: whole federations, from the giver's file of decisions to the recipients'
// signed word in the log.
#include <gtest/gtest.h>

#include <filesystem>

#include "protocol/federation/lab_withdrawals.h"
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

// The third hospital gets the exemplars of both others, the second those of the first: two classes with four each.
FederationHarness::Options Sealed(std::uint64_t order_seed = 1) {
  return {.order_seed = order_seed,
          .policy = "sealed",
          .tasks =
              "[[task]]\nsite = \"first\"\nrounds = 1\n[[task]]\nsite = \"second\"\nrounds = 2\n"
              "[[task]]\nsite = \"third\"\nrounds = 2\n"};
}

std::size_t HeldFrom(FederationHarness& harness, const std::string& site, const std::string& sender) {
  std::size_t held = 0;
  for (const auto& [from, picture] : harness.trainer(site).received) held += from == sender ? 1 : 0;
  return held;
}

std::size_t Count(FederationHarness& harness, StatementKind kind) {
  std::size_t found = 0;
  harness.service().log().ForEach(0, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    const auto* statement = std::get_if<StatementEntry>(&entry.body);
    found += statement != nullptr && statement->statement.kind == kind ? 1 : 0;
  });
  return found;
}

// As `hemafed-train withdraw` leaves it for the agent.
void Withdraw(FederationHarness& harness, const std::string& site, std::vector<WithdrawalReport> reports) {
  const Digest plan = harness.service().state().plan_digest();
  LabWithdrawals{.plan = plan, .reports = std::move(reports)}.Save(RealFileSystem(),
                                                                   WithdrawalsFileOf(harness.root() / site, plan));
}

Digest BundleFor(FederationHarness& harness, const std::string& recipient, const std::string& sender = "first") {
  for (const SentBundle& bundle : harness.service().state().bundles()) {
    if (bundle.report.recipient == recipient && bundle.sender() == sender) return bundle.report.file;
  }
  return {};
}

// The second hospital holds its bundle and trains; the third's of the first is still with the coordinator.
void RunToSecondTraining(FederationHarness& harness) {
  const auto& state = [&]() -> const FederationState& { return harness.service().state(); };
  while (state().task() < 1 || state().phase() != Phase::kRoundOpen) ASSERT_FALSE(harness.Run(1));
}

// The first withdrawal is in the log, and its pictures are held.
void RunToWithdrawal(FederationHarness& harness) {
  for (int i = 0; i < 2'000 && harness.service().state().MissingRemovals().empty(); ++i) ASSERT_FALSE(harness.Run(1));
}

// Every update that stands behind a removal in the log was made without the removed pictures.
void ExpectUpdatesWithoutRemovedPictures(FederationHarness& harness) {
  std::map<std::string, std::uint64_t> held;
  std::map<Digest, std::size_t> withdrawn;
  std::size_t updates = 0;
  harness.service().log().ForEach(0, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    const auto* said = std::get_if<StatementEntry>(&entry.body);
    if (said == nullptr) return;
    const JsonFields body(said->statement.body, said->site);
    if (said->statement.kind == StatementKind::kReceived) held[said->site] += ReceivedReport::FromJson(body).held;
    if (said->statement.kind == StatementKind::kWithdrawal) {
      withdrawn[Sha256Of(said->statement.ToText())] = WithdrawalReport::FromJson(body).items.size();
    }
    if (said->statement.kind == StatementKind::kRemoved) {
      held[said->site] -= withdrawn.at(RemovedReport::FromJson(body).withdrawal);
    }
    if (said->statement.kind != StatementKind::kUpdate) return;
    EXPECT_EQ(UpdateReport::FromJson(body).pictures, 50 + said->site.size() + held[said->site]) << said->site;
    ++updates;
  });
  EXPECT_EQ(updates, 5u);
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

TEST(Withdrawal, PicturesLeaveTheirRecipientsAndTheLogSaysSoWithoutNamingThem) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  RunToSecondTraining(harness);
  EXPECT_EQ(HeldFrom(harness, "second", "first"), 8u);
  Withdraw(harness, "first",
           {{.bundle = BundleFor(harness, "second"), .items = {0, 3}},
            {.bundle = BundleFor(harness, "third"), .items = {0}}});
  ASSERT_TRUE(harness.Run());
  EXPECT_EQ(HeldFrom(harness, "second", "first"), 6u);
  EXPECT_EQ(HeldFrom(harness, "third", "first"), 7u) << "taken in first, then removed before it trains";
  EXPECT_EQ(HeldFrom(harness, "third", "second"), 8u);
  const Digest gone = Sha256Of("picture of first, class 0, 0");
  EXPECT_FALSE(harness.trainer("third").received.contains({"first", gone}));
  EXPECT_FALSE(harness.trainer("second").received.contains({"first", gone}));
  EXPECT_EQ(Count(harness, StatementKind::kWithdrawal), 2u);
  EXPECT_EQ(Count(harness, StatementKind::kRemoved), 2u);
  EXPECT_TRUE(harness.service().state().MissingRemovals().empty());
  harness.service().log().ForEach(
      0, [&](std::uint64_t, std::string_view text) { EXPECT_EQ(text.find(gone.Hex()), std::string_view::npos); });
  ExpectUpdatesWithoutRemovedPictures(harness);
  EXPECT_EQ(harness.RoundDigests().size(), QuietRun().size()) << "fewer pictures than committed stop nothing";
  const auto finding = Replay(harness).finding;
  EXPECT_FALSE(finding.has_value()) << finding->message;
}

TEST(Withdrawal, OneThatTheLogDoesNotTakeKeepsTheOthersFromNothingAndIsTriedAgain) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  RunToSecondTraining(harness);
  // The bundle of the second hospital is not sealed yet, and the first one's is not the second's to withdraw from.
  Withdraw(harness, "second", {{.bundle = BundleFor(harness, "second"), .items = {1}}});
  Withdraw(
      harness, "first",
      {{.bundle = Sha256Of("never stated"), .items = {0}}, {.bundle = BundleFor(harness, "second"), .items = {1}}});
  RunToWithdrawal(harness);
  EXPECT_EQ(harness.service().state().MissingRemovals(), (std::vector<std::string>{"second"}));
  ASSERT_TRUE(harness.Run());
  EXPECT_EQ(Count(harness, StatementKind::kWithdrawal), 1u);
  EXPECT_EQ(HeldFrom(harness, "second", "first"), 7u);
  EXPECT_FALSE(Replay(harness).finding.has_value());
}

TEST(Withdrawal, WhatThePeopleWantedBeforeTheBundleWasStatedIsSaidOnceItIs) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  // In the moment after the trainer has made a bundle and before the agent has stated it.
  harness.trainer("first").tamper = [&](const Path&, BundleReport& report) {
    if (report.recipient == "second") Withdraw(harness, "first", {{.bundle = report.file, .items = {5}}});
  };
  ASSERT_TRUE(harness.Run());
  EXPECT_EQ(Count(harness, StatementKind::kWithdrawal), 1u);
  EXPECT_EQ(HeldFrom(harness, "second", "first"), 7u);
  ExpectUpdatesWithoutRemovedPictures(harness);
}

TEST(Withdrawal, ARecipientWhoseTrainerSleepsIsNamed) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  while (harness.service().state().task() < 2 || harness.service().state().phase() != Phase::kRoundOpen) {
    ASSERT_FALSE(harness.Run(1));
  }
  harness.trainer("second").asleep = true;
  Withdraw(harness, "first", {{.bundle = BundleFor(harness, "second"), .items = {7}}});
  // The others go on until everybody's evaluation is due.
  EXPECT_ERROR(ErrorCode::kInternal, "pictures were withdrawn: not yet removed by second", harness.Run());
  EXPECT_EQ(harness.service().state().phase(), Phase::kEvaluating);
  EXPECT_EQ(AssignmentFor(harness.service().state(), "second").job->kind, JobKind::kRemove);
  harness.trainer("second").asleep = false;
  ASSERT_TRUE(harness.Run());
  EXPECT_EQ(HeldFrom(harness, "second", "first"), 7u);
  EXPECT_EQ(harness.RoundDigests(), QuietRun());
}

TEST(Withdrawal, AfterThePlanPicturesAreStillRemoved) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  ASSERT_TRUE(harness.Run());
  Withdraw(harness, "first", {{.bundle = BundleFor(harness, "third"), .items = {2, 4}}});
  harness.KillAgent("first");  // Its people start it again.
  ASSERT_TRUE(harness.Run());
  EXPECT_EQ(harness.service().state().MissingRemovals(), (std::vector<std::string>{"third"}));
  for (int turn = 0; turn < 50 && !harness.service().state().MissingRemovals().empty(); ++turn) {
    while (harness.federation().DeliverOne()) continue;
    harness.clock().Advance(1000);
    (void)harness.trainer("third").RunAll();
    (void)harness.federation().PollSites();
  }
  ASSERT_TRUE(harness.Run());
  EXPECT_EQ(Count(harness, StatementKind::kRemoved), 1u);
  EXPECT_EQ(HeldFrom(harness, "third", "first"), 6u);
  EXPECT_TRUE(std::filesystem::exists(scratch / "third/agent/model.safetensors"));
  const auto finding = Replay(harness).finding;
  EXPECT_FALSE(finding.has_value()) << finding->message;
}

TEST(Withdrawal, ALabGetsTheFinishedModelOnceHoweverManyWithdrawalsItStates) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  ASSERT_TRUE(harness.Run());
  const Digest bundle = BundleFor(harness, "third");
  Withdraw(harness, "first",
           {{.bundle = bundle, .items = {2}}, {.bundle = bundle, .items = {4}}, {.bundle = bundle, .items = {5}}});
  harness.KillAgent("first");
  const std::filesystem::path model = scratch / "first/agent/model.safetensors";
  std::filesystem::remove(model);
  for (int i = 0; i < 2'000 && Count(harness, StatementKind::kWithdrawal) == 0; ++i) (void)harness.Run(1);
  ASSERT_EQ(Count(harness, StatementKind::kWithdrawal), 1u);
  EXPECT_TRUE(std::filesystem::exists(model)) << "of the agent that was started anew";
  std::filesystem::remove(model);
  ASSERT_TRUE(harness.Run());
  EXPECT_EQ(Count(harness, StatementKind::kWithdrawal), 3u);
  EXPECT_FALSE(std::filesystem::exists(model)) << "written a second time";
}

TEST(Withdrawal, AnAgreementThatEndedKeepsNoPicture) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  RunToSecondTraining(harness);
  for (const std::string site : {"first", "second"}) agent::EndAgreement(RealFileSystem(), {scratch / site});
  Withdraw(
      harness, "first",
      {{.bundle = BundleFor(harness, "second"), .items = {6}}, {.bundle = BundleFor(harness, "third"), .items = {6}}});
  ASSERT_TRUE(harness.Run());
  EXPECT_EQ(Count(harness, StatementKind::kAgreementEnd), 2u);
  EXPECT_EQ(HeldFrom(harness, "second", "first"), 7u);
  EXPECT_EQ(HeldFrom(harness, "third", "first"), 0u) << "what was not taken in is not taken in";
  EXPECT_EQ(Count(harness, StatementKind::kWithdrawal), 2u);
  EXPECT_EQ(Count(harness, StatementKind::kRemoved), 1u);
  EXPECT_TRUE(harness.service().state().MissingRemovals().empty());
  EXPECT_FALSE(Replay(harness).finding.has_value());
}

TEST(Withdrawal, ARemovalTakesTheSealedFileWithIt) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  RunToSecondTraining(harness);
  // As if its agent had died before the next job cleared its objects.
  const Digest bundle = BundleFor(harness, "second");
  const Path file = scratch / "second/jobs/objects" / bundle.Hex();
  WriteFileAtomically(RealFileSystem(), file, "the sealed file");
  Withdraw(harness, "first", {{.bundle = bundle, .items = {2}}});
  for (int i = 0; i < 2'000 && Count(harness, StatementKind::kRemoved) == 0; ++i) ASSERT_FALSE(harness.Run(1));
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_FALSE(std::filesystem::exists(ObjectOf(harness, bundle)));
}

TEST(Withdrawal, AnAgentDoesNotHandOutARemovalThatTheGiverDidNotSign) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Sealed());
  RunToSecondTraining(harness);
  harness.trainer("second").asleep = true;
  Withdraw(harness, "first", {{.bundle = BundleFor(harness, "second"), .items = {2}}});
  RunToWithdrawal(harness);
  Assignment forged = AssignmentFor(harness.service().state(), "second");
  std::string& statement = forged.job->partner->statement;
  statement.replace(statement.find("\"items\":[2]"), 11, "\"items\":[3]");
  agent::Session session(RealFileSystem(), harness.clock(), agent::SiteFolder{scratch / "second"},
                         agent::Membership::Load(RealFileSystem(), scratch / "second/agent/membership.json"),
                         harness.KeysOf("second").statement);
  EXPECT_ERROR(ErrorCode::kRefused, "not signed by that lab", (void)session.Handle(wire::Assignment{forged.ToText()}));
}

TEST(Withdrawal, SurvivesKillsAndIsCarriedOutOnce) {
  for (const std::uint64_t seed : {6u, 7u, 8u, 9u}) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), Sealed(seed));
    RunToSecondTraining(harness);
    Withdraw(harness, "first",
             {{.bundle = BundleFor(harness, "second"), .items = {2}},
              {.bundle = BundleFor(harness, "second"), .items = {1, 7}},
              {.bundle = BundleFor(harness, "third"), .items = {2}}});
    RandomStream random(seed);
    const std::vector<std::string> sites{"first", "second", "third"};
    for (int kill = 0; kill < 60 && !harness.Run(1 + random.NextBelow(6)); ++kill) {
      if (random.NextBelow(2) == 0)
        harness.KillCoordinator();
      else
        harness.KillAgent(sites[random.NextBelow(3)]);
    }
    ASSERT_TRUE(harness.Run());
    EXPECT_EQ(Count(harness, StatementKind::kWithdrawal), 3u);
    EXPECT_EQ(Count(harness, StatementKind::kRemoved), 3u);
    EXPECT_EQ(HeldFrom(harness, "second", "first"), 5u);
    EXPECT_EQ(HeldFrom(harness, "third", "first"), 7u);
    EXPECT_EQ(harness.RoundDigests(), QuietRun());
    ExpectUpdatesWithoutRemovedPictures(harness);
    EXPECT_FALSE(Replay(harness).finding.has_value());
  }
}

}  // namespace
}  // namespace hemafed
