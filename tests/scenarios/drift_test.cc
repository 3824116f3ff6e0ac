// SPDX-License-Identifier: Apache-2.0
//
// Federations over latents with [drift]: hospitals are compared before they train, whatever dies on the way, and an
// auditor sees what was compared with what.
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "auditor/audited_report.h"
#include "auditor/replay.h"
#include "codec/latent_reference.h"
#include "protocol/federation/signing.h"
#include "tests/expect_error.h"
#include "tests/scenarios/audit_support.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::FederationHarness;
using testing_support::kDriftCheck;
using testing_support::kThreeTasks;
using testing_support::ObjectOf;
using testing_support::Replay;
using testing_support::Scratch;
using testing_support::TrustOf;

FederationHarness::Options Compared(std::uint64_t order_seed = 1) {
  return {.order_seed = order_seed, .tasks = std::string(kThreeTasks) + kDriftCheck, .latents = true};
}

std::vector<StatementEntry> StatementsOf(FederationHarness& harness, StatementKind kind) {
  std::vector<StatementEntry> found;
  harness.service().log().ForEach(0, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    const auto* statement = std::get_if<StatementEntry>(&entry.body);
    if (statement != nullptr && statement->statement.kind == kind) found.push_back(*statement);
  });
  return found;
}

// What the log says of all comparisons, in its order.
std::vector<std::string> Said(FederationHarness& harness) {
  std::vector<std::string> said;
  for (const StatementEntry& entry : StatementsOf(harness, StatementKind::kDrift)) {
    said.push_back(entry.site + " " + entry.statement.body.dump());
  }
  return said;
}

Digest MomentsOf(const StatementEntry& entry) {
  return MomentsReport::FromJson({entry.statement.body, "moments"}).values;
}

GaussianComponent ComponentIn(const FederationHarness& harness, const StatementEntry& entry) {
  return ComponentOf(ReadLatentMoments(*RealFileSystem().OpenForRead(ObjectOf(harness, MomentsOf(entry))), 50));
}

std::string ReportOf(FederationHarness& harness, const Scratch& scratch) {
  return auditor::WriteAuditedReport(RealFileSystem(), TrustOf(harness), harness.root() / "consortium",
                                     scratch / "report")
      .text;
}

TEST(DriftPlans, LaterHospitalsAreComparedWithTheMomentsOfAllBeforeThem) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Compared());
  ASSERT_TRUE(harness.Run());
  const std::vector<StatementEntry> moments = StatementsOf(harness, StatementKind::kMoments);
  const std::vector<StatementEntry> drift = StatementsOf(harness, StatementKind::kDrift);
  ASSERT_EQ(moments.size(), 3u);
  ASSERT_EQ(drift.size(), 2u);
  EXPECT_EQ(drift[0].site, "second");
  EXPECT_EQ(drift[1].site, "watcher");
  const auto report = DriftReport::FromJson({drift[1].statement.body, "drift"});
  EXPECT_EQ(report.reference_digest,
            DigestOfComponents(std::vector{ComponentIn(harness, moments[0]), ComponentIn(harness, moments[1])}));
  EXPECT_EQ(report.members, 1u);
  const auditor::AuditResult audit = Replay(harness);
  EXPECT_FALSE(audit.finding.has_value()) << audit.finding->message;
  EXPECT_TRUE(audit.closed);
}

TEST(DriftPlans, WhoeverIsKilledAfterAnyMessageTheLogSaysTheSame) {
  std::vector<std::string> rounds, said;
  {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), Compared());
    ASSERT_TRUE(harness.Run());
    rounds = harness.RoundDigests();
    said = Said(harness);
  }
  ASSERT_EQ(rounds.size(), 3u);
  ASSERT_EQ(said.size(), 2u);
  for (std::uint64_t kill_at = 1; kill_at < 300; kill_at += 11) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), Compared(1 + kill_at % 3));
    if (harness.Run(kill_at)) break;
    if (kill_at % 2 == 0) {
      harness.KillCoordinator();
    } else {
      harness.KillAgent(kill_at % 4 == 1 ? "second" : "watcher");
    }
    ASSERT_TRUE(harness.Run());
    ASSERT_EQ(Said(harness), said) << "killed after message " << kill_at;
    ASSERT_EQ(harness.RoundDigests(), rounds) << "killed after message " << kill_at;
  }
}

TEST(DriftPlans, AnotherReferenceIsNotTakenAndTheTaskWaitsForTheRightOne) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Compared());
  harness.trainer("second").drifts = [](DriftAnswer& answer) {
    std::get<DriftReport>(answer).reference_digest = Sha256Of("another consortium");
  };
  while (harness.service().state().phase() != Phase::kComparing) ASSERT_FALSE(harness.Run(1));
  ASSERT_FALSE(harness.Run(200));
  EXPECT_EQ(harness.service().state().phase(), Phase::kComparing);
  EXPECT_NE(harness.Describe().find("is not that of the log's moments"), std::string::npos);
  EXPECT_TRUE(Said(harness).empty());
  harness.trainer("second").drifts = nullptr;
  ASSERT_TRUE(harness.Run());
  EXPECT_FALSE(Replay(harness).finding.has_value());
}

TEST(DriftPlans, WhatBreaksARuleIsAskedForAgainOnceTheLabHasMendedIt) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Compared());
  // Pictures came after the commitment.
  harness.trainer("second").drifts = [](DriftAnswer& answer) { std::get<DriftReport>(answer).pictures += 1'000; };
  while (harness.service().state().phase() != Phase::kComparing) ASSERT_FALSE(harness.Run(1));
  ASSERT_FALSE(harness.Run(200));
  EXPECT_EQ(harness.service().state().phase(), Phase::kComparing);
  EXPECT_NE(harness.Describe().find("of more pictures than it committed to"), std::string::npos);
  harness.trainer("second").drifts = nullptr;
  ASSERT_TRUE(harness.Run());
}

TEST(DriftPlans, AComparisonThatCannotBeMadeStopsNothingAndIsSaidInTheReport) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Compared());
  harness.trainer("second").drifts = [](DriftAnswer& answer) {
    const DriftReport report = std::get<DriftReport>(answer);
    answer = DriftRefusal{.reason = DriftRefusalReason::kConstantFeatures,
                          .reference_digest = report.reference_digest,
                          .pictures = report.pictures};
  };
  ASSERT_TRUE(harness.Run());
  EXPECT_FALSE(Replay(harness).finding.has_value());
  const std::string text = ReportOf(harness, scratch);
  EXPECT_NE(text.find("the first hospital: there is nothing to compare it with"), std::string::npos) << text;
  EXPECT_NE(text.find("not compared: more than half of the pairs"), std::string::npos) << text;
  // The third has nobody to be measured by: it is different, not unlike.
  EXPECT_NE(text.find("no earlier hospital's own distance is known"), std::string::npos) << text;
  EXPECT_EQ(text.find("unlike the consortium"), std::string::npos) << text;
}

TEST(DriftPlans, TooFewPicturesLeftAreSaidAndStopNothing) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Compared());
  harness.trainer("second").drifts = [](DriftAnswer& answer) { answer = BelowMinPictures{}; };
  ASSERT_TRUE(harness.Run());
  EXPECT_NE(harness.Describe().find("second: fewer than min_pictures pictures are left"), std::string::npos);
  EXPECT_FALSE(Replay(harness).finding.has_value());
  ASSERT_EQ(StatementsOf(harness, StatementKind::kMoments).size(), 2u) << "first and watcher";
  const auto report = DriftReport::FromJson({StatementsOf(harness, StatementKind::kDrift).at(1).statement.body, "d"});
  EXPECT_EQ(report.members, 0u);
  const std::string text = ReportOf(harness, scratch);
  EXPECT_NE(text.find("nothing is said: fewer than min_pictures"), std::string::npos) << text;
}

// The agent keeps the number of so few pictures here, and stops; started again it asks the trainer anew.
TEST(DriftPlans, AComparisonThatMayNotLeaveIsMadeAnewOnceTheLabHasMendedIt) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Compared());
  harness.trainer("second").drifts = [](DriftAnswer& answer) {
    auto& report = std::get<DriftReport>(answer);
    report.pictures = report.pictures_used = 9;
  };
  EXPECT_ERROR(ErrorCode::kRefused, "fewer than min_pictures", (void)harness.Run());
  EXPECT_TRUE(Said(harness).empty());
  harness.trainer("second").drifts = nullptr;
  harness.KillAgent("second");
  ASSERT_TRUE(harness.Run());
  EXPECT_EQ(Said(harness).size(), 2u);
}

TEST(DriftPlans, AHospitalThatIsFurtherOffThanAllMembersIsNamedInReportAndNews) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Compared());
  const auto distance = [](std::int64_t millionths) {
    return [millionths](DriftAnswer& answer) { std::get<DriftReport>(answer).mmd2_unbiased_millionths = millionths; };
  };
  harness.trainer("second").drifts = distance(90'000);
  harness.trainer("watcher").drifts = distance(300'000);
  ASSERT_TRUE(harness.Run());
  EXPECT_NE(harness.Describe().find("watcher: its pictures are UNLIKE the consortium's: MMD^2 300000 millionths"),
            std::string::npos);
  const std::string text = ReportOf(harness, scratch);
  EXPECT_NE(text.find("unlike the consortium: further off than the only hospital with"), std::string::npos) << text;
  const auto read = [&](const char* name) { return ReadFile(RealFileSystem(), scratch / "report" / name, 1 << 22); };
  const std::string csv = read("drift.csv");
  EXPECT_EQ(csv.substr(0, csv.find('\n')), "hospital,against,pictures,MMD^2,p,members' MMD^2,as far off,which means");
  EXPECT_NE(csv.find("0.3"), std::string::npos) << csv;
  EXPECT_NE(csv.find("0.0900"), std::string::npos) << "the only member's distance beside it: " << csv;
  const auto json = nlohmann::json::parse(read("report.json"));
  const auto& drift = json.at("tasks").at(2).at("drift");
  EXPECT_EQ(drift.at("against"), (nlohmann::json{"first", "second"}));
  EXPECT_EQ(drift.at("said").at("mmd2_unbiased_millionths"), 300'000);
  EXPECT_TRUE(json.at("tasks").at(0).at("drift").at("said").is_null());
  EXPECT_NE(read("report.html").find("look alike?"), std::string::npos);
}

TEST(DriftPlans, WhatCanBeChanceIsNotCalledUnlike) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Compared());
  const auto distance = [](std::int64_t millionths, std::uint64_t p) {
    return [=](DriftAnswer& answer) {
      std::get<DriftReport>(answer).mmd2_unbiased_millionths = millionths;
      std::get<DriftReport>(answer).p_numerator = p;
    };
  };
  harness.trainer("second").drifts = distance(90'000, 1);
  harness.trainer("watcher").drifts = distance(300'000, 6);  // Of 100.
  ASSERT_TRUE(harness.Run());
  const std::string text = ReportOf(harness, scratch);
  EXPECT_NE(text.find("the difference can be chance"), std::string::npos) << text;
  EXPECT_EQ(text.find("unlike the consortium"), std::string::npos) << text;
}

TEST(DriftPlans, OneIntegerOfTheMomentsThatIsChangedIsFoundAndNamed) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Compared());
  ASSERT_TRUE(harness.Run());
  const StatementEntry stated = StatementsOf(harness, StatementKind::kMoments).at(1);
  const Path path = ObjectOf(harness, MomentsOf(stated));
  std::string altered = ReadFile(RealFileSystem(), path, 1 << 20);
  altered[24] = static_cast<char>(altered[24] ^ 2);  // Two more or less in S of the first value: its parity holds.
  std::filesystem::permissions(path, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
  WriteFileAtomically(RealFileSystem(), path, altered);
  const auditor::AuditResult audit = Replay(harness);
  ASSERT_TRUE(audit.finding.has_value());
  EXPECT_NE(audit.finding->message.find("latent moments of second"), std::string::npos) << audit.finding->message;
}

// A coordinator that took what it had to refuse, signed by the hospital.
TEST(DriftPlans, AComparisonWithAnotherReferenceThatWasTakenIsFound) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Compared());
  ASSERT_TRUE(harness.Run());
  FederationState state(
      [&](const Digest& plan) { return ReadFile(RealFileSystem(), ObjectOf(harness, plan), kMaxPlanBytes); });
  auditor::Replay replay(RealFileSystem(), scratch / "replay",
                         [&](const Digest& digest) { return ObjectOf(harness, digest); });
  int tried = 0;
  harness.service().log().ForEach(0, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    const auto* statement = std::get_if<StatementEntry>(&entry.body);
    if (statement != nullptr && statement->statement.kind == StatementKind::kDrift) {
      ++tried;
      const auto changed = [&](const char* key, const nlohmann::json& value) {
        StatementEntry other = *statement;
        other.statement.body[key] = value;
        other.signature = SignSiteStatement(harness.KeysOf(other.site).statement, state.plan_digest(), other.statement);
        return Entry{0, other};
      };
      EXPECT_ERROR(ErrorCode::kRefused, "not that of the log's moments, yet it was taken",
                   replay.Check(state, changed("reference_digest", Sha256Of("another").Hex())));
      EXPECT_ERROR(ErrorCode::kRefused, "other pictures than the log's",
                   replay.Check(state, changed("reference_pictures", 7)));
    }
    replay.Check(state, entry);
    state.Apply(entry);
  });
  EXPECT_EQ(tried, 2);
}

}  // namespace
}  // namespace hemafed
