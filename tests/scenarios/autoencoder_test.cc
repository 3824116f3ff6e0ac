// SPDX-License-Identifier: Apache-2.0
//
// Federations that train an autoencoder: moments of latents before each round, equals instead of rehearsing sites,
// nobody who scores; whatever dies on the way, and what an auditor sees of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "auditor/audited_report.h"
#include "auditor/replay.h"
#include "common/digest_of_file.h"
#include "protocol/federation/signing.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/scenarios/audit_support.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::FaultFileSystem;
using testing_support::FederationHarness;
using testing_support::ObjectOf;
using testing_support::Replay;
using testing_support::Scratch;

FederationHarness::Options Aligned(std::uint64_t order_seed = 1) {
  return {.order_seed = order_seed, .autoencoder = testing_support::kAligned, .with = "\"second\", \"third\""};
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

Digest MomentsOf(const StatementEntry& entry) {
  return MomentsReport::FromJson({entry.statement.body, "moments"}).values;
}

std::vector<std::string> QuietCourse() {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Aligned());
  EXPECT_TRUE(harness.Run());
  return harness.RoundDigests();
}

TEST(AutoencoderPlans, EveryLabEndsWithTheAutoencoderAndTheAuditorComputesTheSame) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Aligned());
  const Digest detector = harness.AdoptExtractor().detector;
  ASSERT_TRUE(harness.Run());
  const FederationState& state = harness.service().state();
  EXPECT_EQ(StatementsOf(harness, StatementKind::kMoments).size(), 6u) << "three sites, two rounds";
  EXPECT_EQ(StatementsOf(harness, StatementKind::kUpdate).size(), 6u);
  EXPECT_TRUE(StatementsOf(harness, StatementKind::kEvaluation).empty());
  FileSystem& files = RealFileSystem();
  for (const std::string site : {"first", "second", "third"}) {
    const agent::SiteFolder folder = harness.federation().FolderOf(site);
    EXPECT_EQ(DigestOfFile(files, folder.FinalAutoencoder()), state.model()) << site;
    EXPECT_EQ(DigestOfFile(files, folder.FinalDetector()), detector) << site;
    EXPECT_FALSE(files.Exists(folder.FinalModel())) << site << ": it is no classifier";
    // Its own moments stay out of its job folder; the source holds the others', the others the source's.
    const std::size_t held = site == "first" ? 2 : 1;
    std::size_t found = 0;
    for (const StatementEntry& entry : StatementsOf(harness, StatementKind::kMoments)) {
      if (entry.statement.round == 1 && files.Exists(JobFolder{folder.Jobs()}.Object(MomentsOf(entry)))) ++found;
    }
    EXPECT_EQ(found, held) << site;
  }
  const auditor::AuditResult audit = Replay(harness);
  EXPECT_FALSE(audit.finding.has_value()) << audit.finding->message;
  EXPECT_TRUE(audit.closed);
  EXPECT_EQ(audit.aggregates, 2u);
  EXPECT_EQ(audit.model, state.model());
  EXPECT_TRUE(audit.columns.empty());
}

TEST(AutoencoderPlans, WithoutAlignmentNoMomentsTravel) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.autoencoder = testing_support::kUnaligned});
  ASSERT_TRUE(harness.Run());
  EXPECT_TRUE(StatementsOf(harness, StatementKind::kMoments).empty());
  EXPECT_FALSE(Replay(harness).finding.has_value());
}

TEST(AutoencoderPlans, WhoeverIsKilledAfterAnyMessageTheModelIsTheSame) {
  const std::vector<std::string> quiet = QuietCourse();
  ASSERT_EQ(quiet.size(), 2u);
  for (std::uint64_t seed = 2; seed < 4; ++seed) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), Aligned(seed));
    ASSERT_TRUE(harness.Run());
    EXPECT_EQ(harness.RoundDigests(), quiet) << "order seed " << seed;
  }
  for (std::uint64_t kill_at = 1; kill_at < 300; kill_at += 13) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), Aligned());
    if (harness.Run(kill_at)) break;
    if (kill_at % 2 == 0) {
      harness.KillCoordinator();
    } else {
      harness.KillAgent(kill_at % 4 == 1 ? "first" : "third");
    }
    ASSERT_TRUE(harness.Run());
    ASSERT_EQ(harness.RoundDigests(), quiet) << "killed after message " << kill_at;
  }
}

TEST(AutoencoderPlans, ADiskThatFailsAtAnyCallAndLosesPowerEndsWithTheSameModel) {
  const std::vector<std::string> quiet = QuietCourse();
  for (std::uint64_t n = 1; n < 900; n += 97) {
    const Scratch scratch;
    FaultFileSystem disk;
    FederationHarness::Options options = Aligned();
    options.coordinator_files = &disk;
    FederationHarness harness(scratch.path(), options);
    disk.FailCall(n, ErrorCode::kUnavailable);
    try {
      harness.Run();
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::kUnavailable) << error.what();
    }
    disk.Crash();
    harness.KillCoordinator();
    ASSERT_TRUE(harness.Run()) << "call " << n;
    ASSERT_EQ(harness.RoundDigests(), quiet) << "call " << n;
  }
}

TEST(AutoencoderPlans, ALateHospitalIsLeftOutFromItsMomentsOn) {
  const Scratch scratch;
  FederationHarness::Options options = Aligned();
  options.top = testing_support::kAbsence;
  FederationHarness harness(scratch.path(), options);
  while (harness.service().state().round() == 0) ASSERT_FALSE(harness.Run(1));
  harness.trainer("third").asleep = true;
  while (harness.service().state().phase() != Phase::kEvaluating && harness.service().state().task() == 0) {
    ASSERT_FALSE(harness.Run(1));
  }
  EXPECT_TRUE(harness.service().state().absent().contains("third") || harness.service().state().task() == 1);
  ASSERT_TRUE(harness.Run());
  EXPECT_EQ(StatementsOf(harness, StatementKind::kMoments).size(), 5u);
  EXPECT_EQ(StatementsOf(harness, StatementKind::kUpdate).size(), 5u);
  EXPECT_FALSE(Replay(harness).finding.has_value());
}

TEST(AutoencoderPlans, MomentsOfTooFewCellsDoNotLeaveTheLab) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Aligned());
  harness.trainer("second").spoil = true;
  // The file holds nine cells, whatever the report beside it says.
  EXPECT_ERROR(ErrorCode::kRefused, "are of 9 cells, the site signed", harness.Run());
}

TEST(AutoencoderPlans, OneIntegerOfMomentsThatIsChangedIsFoundAndNamed) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Aligned());
  ASSERT_TRUE(harness.Run());
  const StatementEntry stated = StatementsOf(harness, StatementKind::kMoments).at(1);
  const Path path = ObjectOf(harness, MomentsOf(stated));
  const std::string honest = ReadFile(RealFileSystem(), path, 1 << 20);
  std::string altered = honest;
  altered[24] = static_cast<char>(altered[24] ^ 2);  // Two more or less in S of the first value: its parity holds.
  std::filesystem::permissions(path, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
  WriteFileAtomically(RealFileSystem(), path, altered);
  auditor::AuditResult audit = Replay(harness);
  ASSERT_TRUE(audit.finding.has_value());
  EXPECT_NE(audit.finding->message.find("latent moments of " + stated.site), std::string::npos)
      << audit.finding->message;
  EXPECT_NE(audit.finding->message.find("content of its name"), std::string::npos) << audit.finding->message;
  std::filesystem::remove(path);
  audit = Replay(harness);
  ASSERT_TRUE(audit.finding.has_value());
  EXPECT_NE(audit.finding->message.find("latent moments of " + stated.site), std::string::npos)
      << audit.finding->message;
  EXPECT_NE(audit.finding->message.find("is missing"), std::string::npos) << audit.finding->message;
  WriteFileAtomically(RealFileSystem(), path, honest);
  EXPECT_FALSE(Replay(harness).finding.has_value());
}

TEST(AutoencoderPlans, MomentsThatTheCoordinatorHadToRefuseAreFound) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Aligned());
  ASSERT_TRUE(harness.Run());
  const StatementEntry stated = StatementsOf(harness, StatementKind::kMoments).at(0);
  std::string altered = ReadFile(RealFileSystem(), ObjectOf(harness, MomentsOf(stated)), 1 << 20);
  altered.back() = static_cast<char>(altered.back() ^ 0x7f);  // The highest byte of the last product.
  const Path forged = scratch / "forged";
  WriteFileAtomically(RealFileSystem(), forged, altered);
  FederationState state(
      [&](const Digest& plan) { return ReadFile(RealFileSystem(), ObjectOf(harness, plan), kMaxPlanBytes); });
  auditor::Replay replay(RealFileSystem(), scratch / "replay", [&](const Digest& digest) {
    return digest == Sha256Of(altered) ? forged : ObjectOf(harness, digest);
  });
  bool tried = false;
  harness.service().log().ForEach(0, [&](std::uint64_t, std::string_view text) {
    if (tried) return;
    const Entry entry = ParseEntry(text);
    const auto* statement = std::get_if<StatementEntry>(&entry.body);
    tried = statement != nullptr && statement->statement.kind == StatementKind::kMoments;
    if (!tried) {
      replay.Check(state, entry);
      state.Apply(entry);
      return;
    }
    // Under its right name, signed by the lab.
    StatementEntry other = *statement;
    other.statement.body["values"] = Sha256Of(altered).Hex();
    other.signature = SignSiteStatement(harness.KeysOf(other.site).statement, state.plan_digest(), other.statement);
    EXPECT_ERROR(ErrorCode::kRefused, "yet they were taken", replay.Check(state, {0, other}));
  });
  EXPECT_TRUE(tried);
}

TEST(AutoencoderPlans, TheReportShowsLossesInsteadOfAccuracies) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Aligned());
  const auto report = [&] {
    return auditor::WriteAuditedReport(RealFileSystem(), TrustOf(harness), harness.root() / "consortium",
                                       scratch / "report")
        .text;
  };
  while (harness.service().state().round() == 0) ASSERT_FALSE(harness.Run(1));
  EXPECT_NE(report().find("an autoencoder, 1 of 2 rounds finished"), std::string::npos);
  ASSERT_TRUE(harness.Run());
  const std::string text = report();
  EXPECT_NE(text.find("an autoencoder, 2 of 2 rounds finished. Nobody scores it."), std::string::npos) << text;
  EXPECT_NE(text.find("Loss and alignment by round and hospital"), std::string::npos) << text;
  const auto read = [&](const char* name) { return ReadFile(RealFileSystem(), scratch / "report" / name, 1 << 22); };
  const std::string losses = read("losses.csv");
  EXPECT_EQ(losses.substr(0, losses.find('\n')),
            "round,first loss,first alignment,second loss,second alignment,third loss,third alignment");
  EXPECT_EQ(std::count(losses.begin(), losses.end(), '\n'), 3);
  const auto json = nlohmann::json::parse(read("report.json"));
  EXPECT_TRUE(json.at("columns").empty());
  EXPECT_TRUE(json.at("matrix_millionths").empty());
  EXPECT_EQ(json.at("tasks").at(0).at("rounds").at(1).at("moments").size(), 3u);
  const std::string page = read("report.html");
  EXPECT_NE(page.find("Loss of each hospital"), std::string::npos);
  EXPECT_EQ(page.find("Accuracy and forgetting"), std::string::npos);
}

}  // namespace
}  // namespace hemafed
