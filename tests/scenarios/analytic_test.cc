// SPDX-License-Identifier: Apache-2.0
//
// Whole federations whose head is solved from sums (strategy analytic): one regression over all pictures, in whatever
// order the tasks come, whatever dies on the way, and the auditor solves the same.
#include <gtest/gtest.h>

#include <filesystem>

#include "auditor/replay.h"
#include "codec/analytic_head.h"
#include "coordinator/enrolment.h"
#include "protocol/federation/signing.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/scenarios/audit_support.h"
#include "tests/scenarios/federation_harness.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::FaultFileSystem;
using testing_support::FederationHarness;
using testing_support::ObjectOf;
using testing_support::Replay;
using testing_support::Scratch;
using testing_support::ToyTrainer;

FederationHarness::Options Analytic(std::uint64_t order_seed = 1) {
  return {.order_seed = order_seed, .policy = "analytic"};
}

std::vector<HeadSolvedEntry> SolvedHeads(FederationHarness& harness) {
  std::vector<HeadSolvedEntry> heads;
  harness.service().log().ForEach(0, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    if (const auto* solved = std::get_if<HeadSolvedEntry>(&entry.body)) heads.push_back(*solved);
  });
  return heads;
}

// One regression over the pictures of all tasks at once, without any federation.
Bytes JointHead(const Plan& plan) {
  const auto classes = static_cast<std::uint32_t>(plan.classes.size());
  FeatureSums all(plan.strategy.features, classes);
  for (const TaskPlan& task : plan.tasks) all.Add(ToyTrainer::SumsOf(task.site, plan, task.classes));
  return AnalyticHead{.trunk = plan.model.weights, .seed = plan.seed, .weights = SolveRidge(all, plan.strategy.ridge)}
      .ToBytes();
}

const std::vector<std::string>& QuietRun() {
  static const std::vector<std::string> digests = [] {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), Analytic());
    harness.Run();
    return harness.RoundDigests();
  }();
  return digests;
}

TEST(AnalyticFederation, EndsWithTheJointSolutionToTheByteAndTheAuditorSolvesItAgain) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Analytic());
  ASSERT_TRUE(harness.Run());
  const Plan& plan = harness.service().state().plan();
  const std::vector<HeadSolvedEntry> heads = SolvedHeads(harness);
  ASSERT_EQ(heads.size(), 2u);
  EXPECT_NE(heads[0].head, heads[1].head);
  const Bytes joint = JointHead(plan);
  EXPECT_EQ(heads[1].head, Sha256Of(joint));
  EXPECT_EQ(harness.service().state().model(), heads[1].head);
  const auditor::AuditResult audit = Replay(harness);
  EXPECT_FALSE(audit.finding.has_value()) << audit.finding->message;
  EXPECT_TRUE(audit.closed);
  EXPECT_EQ(audit.aggregates, 2u);
  EXPECT_EQ(audit.model, heads[1].head);
  for (const std::string site : {"first", "second"}) {
    const Path agent = scratch / site / "agent";
    EXPECT_EQ(Sha256Of(ReadFile(RealFileSystem(), agent / "head.hfr", 1 << 20)), heads[1].head);
    EXPECT_EQ(Sha256Of(ReadFile(RealFileSystem(), agent / "model.safetensors", 1 << 20)), plan.model.weights);
  }
}

TEST(AnalyticFederation, AnyOrderOfTasksEndsWithTheSameBytes) {
  // Domain by domain forwards and backwards, and class by class with the hospitals mixed.
  const std::vector<std::string> orders{
      "[[task]]\nsite = \"first\"\n[[task]]\nsite = \"second\"\n[[task]]\nsite = \"watcher\"\n",
      "[[task]]\nsite = \"watcher\"\n[[task]]\nsite = \"second\"\n[[task]]\nsite = \"first\"\n",
      "[[task]]\nsite = \"second\"\nclasses = [\"basophil\"]\n[[task]]\nsite = \"watcher\"\n"
      "[[task]]\nsite = \"first\"\n[[task]]\nsite = \"second\"\nclasses = [\"monocyte\"]\n"};
  std::vector<Digest> last_heads, last_totals;
  for (const std::string& tasks : orders) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), {.policy = "analytic", .tasks = tasks});
    ASSERT_TRUE(harness.Run());
    last_heads.push_back(SolvedHeads(harness).back().head);
    last_totals.push_back(SolvedHeads(harness).back().totals);
    const auditor::AuditResult audit = Replay(harness);
    EXPECT_FALSE(audit.finding.has_value()) << audit.finding->message;
  }
  EXPECT_EQ(last_heads, std::vector<Digest>(orders.size(), last_heads[0]));
  EXPECT_EQ(last_totals, std::vector<Digest>(orders.size(), last_totals[0]));
}

TEST(AnalyticFederation, AnyOrderOfMessagesGivesTheSameHeads) {
  for (std::uint64_t seed = 2; seed < 6; ++seed) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), Analytic(seed));
    ASSERT_TRUE(harness.Run());
    EXPECT_EQ(harness.RoundDigests(), QuietRun()) << "order seed " << seed;
  }
}

TEST(AnalyticFederation, ACoordinatorKilledAfterAnyMessageEndsWithTheSameHeads) {
  std::uint64_t messages = 0;
  {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), Analytic());
    harness.Run();
    messages = harness.delivered();
  }
  for (std::uint64_t kill_at = 0; kill_at < messages; kill_at += 7) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), Analytic());
    harness.Run(kill_at);
    harness.KillCoordinator();
    ASSERT_TRUE(harness.Run());
    ASSERT_EQ(harness.RoundDigests(), QuietRun()) << "killed after message " << kill_at;
  }
}

TEST(AnalyticFederation, AnAgentKilledAfterAnyMessageEndsWithTheSameHeads) {
  for (std::uint64_t kill_at = 1; kill_at < 150; kill_at += 9) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), Analytic());
    if (harness.Run(kill_at)) break;
    harness.KillAgent(kill_at % 2 == 1 ? "first" : "second");
    ASSERT_TRUE(harness.Run());
    ASSERT_EQ(harness.RoundDigests(), QuietRun()) << "killed after message " << kill_at;
  }
}

TEST(AnalyticFederation, ADiskThatFailsAtAnyCallAndLosesPowerEndsWithTheSameHeads) {
  std::uint64_t calls = 0;
  {
    const Scratch scratch;
    FaultFileSystem disk;
    FederationHarness harness(scratch.path(), {.coordinator_files = &disk, .policy = "analytic"});
    const std::uint64_t before = disk.calls();
    harness.Run();
    calls = disk.calls() - before;
  }
  for (std::uint64_t n = 1; n < calls; n += 37) {
    const Scratch scratch;
    FaultFileSystem disk;
    FederationHarness harness(scratch.path(), {.coordinator_files = &disk, .policy = "analytic"});
    disk.FailCall(n, ErrorCode::kUnavailable);
    try {
      harness.Run();
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::kUnavailable) << error.what();
    }
    disk.Crash();
    harness.KillCoordinator();
    ASSERT_TRUE(harness.Run()) << "call " << n;
    ASSERT_EQ(harness.RoundDigests(), QuietRun()) << "call " << n;
  }
}

// A run that stands at the sums of the first task, with its site away, and what that site would have said.
struct Summing {
  Summing() : harness(scratch.path(), Analytic()) {
    while (harness.service().state().phase() != Phase::kCommitting) harness.Run(1);
    while (harness.service().state().phase() != Phase::kSumming) harness.Run(1);
    harness.trainer("first").asleep = true;
    const Plan& plan = harness.service().state().plan();
    const FeatureSums sums = ToyTrainer::SumsOf("first", plan, plan.tasks[0].classes);
    const FeatureSumsFileInfo info = WriteFeatureSums(RealFileSystem(), scratch / "sums", sums);
    file = ReadFile(RealFileSystem(), scratch / "sums", 1 << 20);
    report.sums = info.sums;
    report.file = info.file;
    report.file_bytes = info.file_bytes;
    report.pictures = static_cast<std::uint64_t>(sums.TotalPictures());
    report.classes = {static_cast<std::uint64_t>(sums.Pictures(0)), static_cast<std::uint64_t>(sums.Pictures(1))};
  }

  // Puts the file past the agent, which would not let it out, and states the report.
  void Submit() {
    ObjectStore uploads(RealFileSystem(), harness.consortium().folder.Uploads());
    report.file = uploads.Put(AsBytes(file));
    const FederationState& state = harness.service().state();
    const SiteStatement statement{
        .kind = StatementKind::kSums, .task = 0, .round = 0, .subject = state.model(), .body = report.ToJson()};
    harness.Deliver("first", wire::Submission{
                                 static_cast<std::uint16_t>(statement.kind), statement.ToText(),
                                 SignSiteStatement(harness.KeysOf("first").statement, state.plan_digest(), statement)});
  }

  void TryAgain() {
    coordinator::Decide(RealFileSystem(), harness.consortium(), harness.service().state(), harness.OperatorKey(),
                        DecisionKind::kTryAgain, "first");
  }

  std::string RefusalInLog() {
    std::string reason;
    harness.service().log().ForEach(0, [&](std::uint64_t, std::string_view text) {
      const Entry entry = ParseEntry(text);
      if (const auto* refused = std::get_if<RefusedEntry>(&entry.body)) reason = refused->site + ": " + refused->reason;
    });
    return reason;
  }

  Scratch scratch;
  FederationHarness harness;
  SumsReport report;
  std::string file;
};

TEST(AnalyticFederation, SumsThatAreNotWhatTheSiteSignedAreRefusedByNameAndTheTaskWaitsForAPerson) {
  struct Case {
    const char* name;
    std::function<void(Summing&)> forge;
    const char* words;
  };
  const std::vector<Case> cases{
      {"garbage", [](Summing& s) { s.file = "no sums at all, really"; }, "cannot be read"},
      {"cut", [](Summing& s) { s.file.resize(s.file.size() / 2); }, "cannot be read"},
      {"digest", [](Summing& s) { s.report.sums = Sha256Of("other"); }, "digest that the site signed"},
      {"counts",
       [](Summing& s) {
         s.report.classes = {s.report.classes[0], *s.report.classes[1] - 1};
         --s.report.pictures;
       },
       "pictures of monocyte"}};
  for (const Case& one : cases) {
    Summing summing;
    one.forge(summing);
    summing.Submit();
    EXPECT_NE(summing.RefusalInLog().find(one.words), std::string::npos) << one.name << ": " << summing.RefusalInLog();
    EXPECT_EQ(summing.RefusalInLog().rfind("first: ", 0), 0u) << one.name;
    EXPECT_EQ(summing.harness.service().state().phase(), Phase::kSumming) << one.name;
    EXPECT_NE(summing.harness.service().Stuck().value_or("").find("the sums of the active site first were refused"),
              std::string::npos);
    summing.harness.KillCoordinator();
    EXPECT_TRUE(summing.harness.service().Stuck().has_value()) << one.name;
    EXPECT_FALSE(Replay(summing.harness).finding.has_value()) << one.name;
  }
}

TEST(AnalyticFederation, SumsThatAreStoredAlreadyAreComparedWithTheirStatementAllTheSame) {
  Summing summing;
  const Plan& plan = summing.harness.service().state().plan();
  const Path canonical = summing.scratch / "canonical";
  WriteCanonicalSums(RealFileSystem(), canonical, ToyTrainer::SumsOf("first", plan, plan.tasks[0].classes));
  ObjectStore(RealFileSystem(), summing.harness.consortium().folder.root).AdoptFile(canonical, summing.report.sums);
  summing.report.classes = {summing.report.classes[0], *summing.report.classes[1] - 1};
  --summing.report.pictures;
  summing.Submit();
  EXPECT_NE(summing.RefusalInLog().find("pictures of monocyte"), std::string::npos) << summing.RefusalInLog();
  EXPECT_EQ(summing.harness.service().state().phase(), Phase::kSumming);
}

TEST(AnalyticFederation, ReportsThatBreakARuleAreRefusedByNameAndMalformedOnesChangeNothing) {
  struct Case {
    std::function<void(SumsReport&)> breaks;
    const char* words;
  };
  for (const Case& one :
       std::vector<Case>{{[](SumsReport& r) {
                            r.classes = {*r.classes[0] + 1, *r.classes[1] - 1};
                          },
                          "than it committed to"},
                         {[](SumsReport& r) {
                            r.classes = {5, std::nullopt}, r.pictures = 5;
                          },
                          "min_pictures"},
                         {[](SumsReport& r) { r.classes.push_back(std::nullopt); }, "another number of classes"}}) {
    Summing summing;
    one.breaks(summing.report);
    summing.Submit();
    EXPECT_NE(summing.RefusalInLog().find(one.words), std::string::npos) << summing.RefusalInLog();
    EXPECT_TRUE(summing.harness.service().state().paused());
  }
  Summing summing;
  const std::uint64_t size = summing.harness.service().log().size();
  summing.report.pictures += 1;  // Not the classes' sum.
  summing.Submit();
  EXPECT_EQ(summing.harness.service().log().size(), size);
  summing.harness.trainer("first").asleep = false;
  EXPECT_TRUE(summing.harness.Run());
  EXPECT_EQ(summing.harness.RoundDigests(), QuietRun());
}

TEST(AnalyticFederation, ChangedSumsOrTotalsAreNamedByReplay) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Analytic());
  ASSERT_TRUE(harness.Run());
  const std::vector<HeadSolvedEntry> heads = SolvedHeads(harness);
  for (const Digest& object : {heads[0].sums, heads[1].sums, heads[0].totals}) {
    const Path path = ObjectOf(harness, object);
    const std::string content = ReadFile(RealFileSystem(), path, 1 << 20);
    std::string flipped = content;
    flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 1);
    std::filesystem::permissions(path, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
    WriteFileAtomically(RealFileSystem(), path, flipped);
    const auditor::AuditResult audit = Replay(harness);
    ASSERT_TRUE(audit.finding.has_value());
    EXPECT_NE(audit.finding->message.find("content of its name"), std::string::npos) << audit.finding->message;
    WriteFileAtomically(RealFileSystem(), path, content);
  }
  EXPECT_FALSE(Replay(harness).finding.has_value());
}

TEST(AnalyticFederation, ACoordinatorThatLogsAnotherHeadOrOtherTotalsIsFound) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Analytic());
  ASSERT_TRUE(harness.Run());
  const auto object = [&](const Digest& digest) { return ObjectOf(harness, digest); };
  FederationState state([&](const Digest& plan) { return ReadFile(RealFileSystem(), object(plan), kMaxPlanBytes); });
  auditor::Replay replay(RealFileSystem(), scratch / "replay", object);
  std::size_t solved = 0;
  harness.service().log().ForEach(0, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    if (const auto* head = std::get_if<HeadSolvedEntry>(&entry.body)) {
      HeadSolvedEntry lie = *head;
      lie.head = Sha256Of("another");
      EXPECT_ERROR(ErrorCode::kRefused, "the sums give the head", replay.Check(state, {0, lie}));
      lie = *head;
      lie.totals = Sha256Of("others");
      const char* words = solved == 0 ? "the first task's totals are not its sums" : "the sums add up to";
      EXPECT_ERROR(ErrorCode::kRefused, words, replay.Check(state, {0, lie}));
      ++solved;
    }
    replay.Check(state, entry);
    state.Apply(entry);
  });
  EXPECT_EQ(solved, 2u);
}

}  // namespace
}  // namespace hemafed
