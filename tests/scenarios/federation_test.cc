// SPDX-License-Identifier: Apache-2.0
//
// Whole federations in memory: order, crashes and lies change no digest.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "auditor/replay.h"
#include "codec/head_growth.h"
#include "common/safetensors.h"
#include "coordinator/enrolment.h"
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
using testing_support::TrustOf;

// What an uninterrupted run gives; every other run is compared with it.
const std::vector<std::string>& QuietRun() {
  static const std::vector<std::string> digests = [] {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), {});
    harness.Run();
    return harness.RoundDigests();
  }();
  return digests;
}

TEST(Federation, RunsAPlanToItsEndAndTheAuditorReplaysIt) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {});
  ASSERT_TRUE(harness.Run());
  const auditor::AuditResult audit = Replay(harness, scratch / "consortium");
  EXPECT_FALSE(audit.finding.has_value()) << audit.finding->message;
  EXPECT_TRUE(audit.closed);
  EXPECT_EQ(audit.aggregates, 4u);
  EXPECT_EQ(audit.model, harness.service().state().model());
  for (const std::string site : {"first", "second"}) {
    EXPECT_EQ(Sha256Of(ReadFile(RealFileSystem(), scratch / site / "agent" / "model.safetensors", 1 << 20)),
              audit.model);
  }
}

TEST(Federation, ClassesAndHospitalsMayBeMixedAndTheAuditorGrowsTheSameHeads) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(),
                            {.tasks = testing_support::kMixedTasks, .top = "observers = [\"watcher\"]"});
  ASSERT_TRUE(harness.Run());
  const FederationState& state = harness.service().state();
  const SafetensorsReader model = SafetensorsReader::Open(RealFileSystem(), scratch / "first/agent/model.safetensors");
  EXPECT_EQ(model.Require(kHeadBias).shape, (std::vector<std::int64_t>{2}));
  EXPECT_EQ(state.matrix().rows(), 4u);
  EXPECT_EQ(state.matrix().columns(), 5u) << "four tasks and one hospital that only scores";
  const auditor::AuditResult audit = Replay(harness, scratch / "consortium");
  EXPECT_FALSE(audit.finding.has_value()) << audit.finding->message;
  EXPECT_EQ(audit.aggregates, 6u);
  EXPECT_EQ(audit.columns, (std::vector<std::string>{"first 1", "first 2", "second 1", "second 2", "watcher"}));
}

TEST(Federation, UnderLocalRehearsalOnlyTheActiveSiteTrains) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.policy = "local"});
  ASSERT_TRUE(harness.Run());
  std::vector<std::string> trained;
  harness.service().log().ForEach(0, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    if (const auto* closed = std::get_if<RoundClosedEntry>(&entry.body)) {
      for (const auto& [site, weight] : closed->weights) trained.push_back(site);
    }
  });
  EXPECT_EQ(trained, (std::vector<std::string>{"first", "first", "second", "second"}));
  EXPECT_FALSE(Replay(harness, scratch / "consortium").finding.has_value());
}

// Four hospitals: the last task has three rehearsing ones.
const std::string kFourHospitals = R"([[task]]
site = "first"
rounds = 2
rule = "mean"
[[task]]
site = "second"
rounds = 1
rule = "mean"
[[task]]
site = "third"
rounds = 1
rule = "mean"
[[task]]
site = "fourth"
rounds = 3
)";

TEST(Federation, TheAuditorReplaysEveryRuleAndEachGivesAnotherModel) {
  std::set<Digest> models;
  const std::vector<std::string> rules{"\"mean\"",
                                       "\"distillation\"",
                                       "\"median\"",
                                       "\"trimmed_mean\"\ntrim = 1",
                                       "\"mean\"\nserver_momentum = 0.5",
                                       "\"median\"\nserver_momentum = 0.9"};
  for (const std::string& rule : rules) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), {.tasks = kFourHospitals, .rule = rule});
    ASSERT_TRUE(harness.Run()) << rule;
    const auditor::AuditResult audit = Replay(harness, scratch / "consortium");
    EXPECT_FALSE(audit.finding.has_value()) << rule << ": " << audit.finding->message;
    EXPECT_EQ(audit.aggregates, 7u);
    models.insert(audit.model);
  }
  EXPECT_EQ(models.size(), rules.size());
}

TEST(Federation, Int8UpdatesAreReplayedLikeAnyOther) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.encoding = "int8"});
  ASSERT_TRUE(harness.Run());
  const auditor::AuditResult audit = Replay(harness, scratch / "consortium");
  EXPECT_FALSE(audit.finding.has_value()) << audit.finding->message;
  EXPECT_EQ(audit.model, harness.service().state().model());
}

std::vector<RoundClosedEntry> ClosedRounds(FederationHarness& harness) {
  std::vector<RoundClosedEntry> rounds;
  harness.service().log().ForEach(0, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    if (const auto* closed = std::get_if<RoundClosedEntry>(&entry.body)) rounds.push_back(*closed);
  });
  return rounds;
}

FederationHarness::Options Gated(std::uint64_t order_seed = 1) {
  return {.order_seed = order_seed,
          .tasks = std::string(testing_support::kSmallTasks) + testing_support::kRetentionGate,
          .rule = "\"mean\"\nserver_momentum = 0.5"};
}

TEST(Federation, TheRetentionGateHalvesStepsOrGivesThemUpAndTheAuditorFollows) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), Gated());
  std::set<Digest> candidates;
  // The first round's whole step loses too much, its half does not; nothing of the second round is good enough.
  harness.trainer("first").disagreements = [&](const Job& job) -> std::uint64_t {
    candidates.insert(job.model);
    return job.round == 1 ? 20 : candidates.size() == 1 ? 6 : 5;
  };
  ASSERT_TRUE(harness.Run());
  const std::vector<RoundClosedEntry> rounds = ClosedRounds(harness);
  ASSERT_EQ(rounds.size(), 4u);
  EXPECT_EQ(rounds[2].halvings, 1u);
  EXPECT_FALSE(rounds[2].rejected);
  EXPECT_EQ(rounds[3].halvings, 2u);
  EXPECT_TRUE(rounds[3].rejected);
  EXPECT_EQ(rounds[3].model, rounds[2].model);
  EXPECT_EQ(candidates.size(), 5u);
  const auditor::AuditResult audit = Replay(harness, scratch / "consortium");
  EXPECT_FALSE(audit.finding.has_value()) << audit.finding->message;
  EXPECT_EQ(audit.model, rounds[2].model);
}

TEST(Federation, AGatedPlanEndsTheSameHoweverOftenItIsKilled) {
  std::vector<std::vector<std::string>> digests;
  for (const bool kills : {false, true}) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), Gated(3));
    harness.trainer("first").disagreements = [](const Job& job) { return job.model.bytes[0] % 12u; };
    RandomStream random(4);
    for (int kill = 0; kills && kill < 40 && !harness.Run(3 + random.NextBelow(12)); ++kill) {
      if (random.NextBelow(2) == 0)
        harness.KillCoordinator();
      else
        harness.KillAgent(random.NextBelow(2) == 0 ? "first" : "second");
    }
    ASSERT_TRUE(harness.Run());
    digests.push_back(harness.RoundDigests());
  }
  EXPECT_EQ(digests[0], digests[1]);
}

TEST(Federation, ASiteThatIsAwayIsLeftOutOfTheTaskAndScoresWhenItIsBack) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(),
                            {.tasks = std::string(testing_support::kSmallTasks) + testing_support::kAbsence});
  while (harness.service().state().task() == 0) harness.Run(1);
  harness.trainer("first").asleep = true;
  while (harness.service().state().phase() != Phase::kEvaluating) ASSERT_FALSE(harness.Run(1));
  EXPECT_TRUE(harness.service().state().absent().contains("first"));
  harness.KillCoordinator();
  EXPECT_TRUE(harness.service().state().absent().contains("first"));
  harness.trainer("first").asleep = false;
  ASSERT_TRUE(harness.Run());
  const std::vector<RoundClosedEntry> rounds = ClosedRounds(harness);
  EXPECT_EQ(rounds.back().weights, (std::vector<std::pair<std::string, std::uint32_t>>{{"second", 1u << 15}}));
  EXPECT_FALSE(Replay(harness, scratch / "consortium").finding.has_value());
}

// "site: reason" of every refused update.
std::vector<std::string> Refusals(FederationHarness& harness) {
  std::vector<std::string> reasons;
  harness.service().log().ForEach(0, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    if (const auto* refused = std::get_if<RefusedEntry>(&entry.body))
      reasons.push_back(refused->site + ": " + refused->reason);
  });
  return reasons;
}

TEST(Federation, AProbeThatCannotBeIsRefusedAndNamed) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.rule = "\"distillation\""});
  while (harness.service().state().task() == 0) harness.Run(1);
  harness.trainer("first").more_sensitivities = 1;
  ASSERT_TRUE(harness.Run());
  const std::vector<std::string> reasons = Refusals(harness);
  ASSERT_EQ(reasons.size(), 2u);
  EXPECT_NE(reasons[0].find("first: its probe has"), std::string::npos) << reasons[0];
  EXPECT_FALSE(Replay(harness, scratch / "consortium").finding.has_value());
}

TEST(Federation, ARoundWhoseRuleCannotRunWithWhatWasAcceptedStandsStill) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.tasks = kFourHospitals, .rule = "\"median\""});
  while (harness.service().state().task() < 3) harness.Run(1);
  harness.trainer("third").scale = 1'000'000;
  EXPECT_ERROR(ErrorCode::kInternal, "NEEDS A PERSON", harness.Run());
  EXPECT_EQ(harness.service().state().phase(), Phase::kRoundOpen);
  EXPECT_NE(harness.service().Stuck().value_or("").find("stands still"), std::string::npos);
}

// The operator's word, as the command of the same name leaves it.
void Decide(FederationHarness& harness, DecisionKind kind, const std::string& site) {
  coordinator::Decide(RealFileSystem(), harness.consortium(), harness.service().state(), harness.OperatorKey(), kind,
                      site);
}

TEST(Federation, APoisonedActiveSiteIsNamedTheTaskPausedAndGoesOnOnceTheSiteIsMended) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {});
  while (harness.service().state().task() == 0) harness.Run(1);
  harness.trainer("second").scale = 1'000'000;
  EXPECT_ERROR(ErrorCode::kInternal, "NEEDS A PERSON", harness.Run());
  EXPECT_TRUE(harness.service().state().paused());
  EXPECT_EQ(harness.service().state().Blocking(), std::vector<std::string>{"second"});
  harness.KillCoordinator();
  EXPECT_TRUE(harness.service().state().paused()) << "the log knows";
  // Tried again without being mended, it is refused again.
  Decide(harness, DecisionKind::kTryAgain, "second");
  EXPECT_ERROR(ErrorCode::kInternal, "stands still", harness.Run());
  EXPECT_TRUE(harness.service().state().paused());
  harness.trainer("second").scale = 1;
  Decide(harness, DecisionKind::kTryAgain, "second");
  ASSERT_TRUE(harness.Run());
  EXPECT_EQ(harness.RoundDigests(), QuietRun()) << "the models of a run without poison";
  EXPECT_FALSE(Replay(harness, scratch / "consortium").finding.has_value());
}

TEST(Federation, APlanThatPausesWaitsForTheOperatorAndGoesOnWithoutTheLateSite) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(),
                            {.tasks = std::string(testing_support::kSmallTasks) + testing_support::kPause});
  while (harness.service().state().task() == 0) harness.Run(1);
  harness.trainer("first").asleep = true;
  EXPECT_ERROR(ErrorCode::kInternal, "stands still", harness.Run());
  EXPECT_TRUE(harness.service().state().paused());
  EXPECT_NE(harness.service().Stuck().value_or("").find("first did not answer"), std::string::npos);
  Decide(harness, DecisionKind::kLeaveOut, "first");
  while (harness.service().state().phase() != Phase::kEvaluating) ASSERT_FALSE(harness.Run(1));
  EXPECT_TRUE(harness.service().state().absent().contains("first"));
  // It does not score either; the plan's evaluations do not wait for it.
  ASSERT_TRUE(harness.Run());
  EXPECT_FALSE(harness.service().state().matrix().Millionths(1, 0).has_value());
  EXPECT_FALSE(Replay(harness, scratch / "consortium").finding.has_value());
}

TEST(Federation, FreshKeysAndAnyOrderOfAnswersGiveTheSameDigests) {
  for (std::uint64_t seed = 2; seed < 8; ++seed) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), {.order_seed = seed});
    harness.Run();
    EXPECT_EQ(harness.RoundDigests(), QuietRun()) << "order seed " << seed;
  }
}

TEST(Federation, ACoordinatorKilledAfterAnyMessageEndsWithTheSameModels) {
  std::uint64_t messages = 0;
  {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), {});
    harness.Run();
    messages = harness.delivered();
  }
  for (std::uint64_t kill_at = 0; kill_at < messages; kill_at += 11) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), {});
    harness.Run(kill_at);
    harness.KillCoordinator();
    ASSERT_TRUE(harness.Run());
    ASSERT_EQ(harness.RoundDigests(), QuietRun()) << "killed after message " << kill_at;
  }
}

TEST(Federation, AnAgentKilledAfterAnyMessageEndsWithTheSameModels) {
  for (std::uint64_t kill_at = 1; kill_at < 150; kill_at += 13) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), {});
    if (harness.Run(kill_at)) break;
    harness.KillAgent(kill_at % 2 == 0 ? "first" : "second");
    ASSERT_TRUE(harness.Run());
    ASSERT_EQ(harness.RoundDigests(), QuietRun()) << "killed after message " << kill_at;
  }
}

TEST(Federation, EverythingKilledEveryFewMessagesStillEndsWithTheSameModels) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.order_seed = 5});
  RandomStream random(9);
  for (int kill = 0; kill < 60 && !harness.Run(3 + random.NextBelow(12)); ++kill) {
    if (random.NextBelow(2) == 0)
      harness.KillCoordinator();
    else
      harness.KillAgent(random.NextBelow(2) == 0 ? "first" : "second");
  }
  ASSERT_TRUE(harness.Run());
  EXPECT_EQ(harness.RoundDigests(), QuietRun());
}

// Runs with the rehearsing site `first` poisoned from task 2 on; the round goes on without it.
std::vector<std::string> RefusalsOfPoisoned(const std::function<void(testing_support::ToyTrainer&)>& poison) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {});
  while (harness.service().state().task() == 0) harness.Run(1);
  poison(harness.trainer("first"));
  EXPECT_TRUE(harness.Run());
  EXPECT_FALSE(Replay(harness, scratch / "consortium").finding.has_value());
  return Refusals(harness);
}

TEST(Federation, ATighterBoundHoldsForSitesThatRehearseAlone) {
  const Scratch scratch;
  // Updates of about 0.07: fine where something new is learned.
  FederationHarness harness(scratch.path(), {.rule = "\"mean\"\nrehearsal_norm_bound = 0.01"});
  harness.trainer("first").scale = harness.trainer("second").scale = 100;
  EXPECT_TRUE(harness.Run());
  const auto refused = Refusals(harness);
  ASSERT_EQ(refused.size(), 2u) << "once in each round of task 2";
  for (const std::string& reason : refused) {
    EXPECT_NE(reason.find("first: the update's norm"), std::string::npos) << reason;
    EXPECT_NE(reason.find("bound of 0.01 for a site that rehearses"), std::string::npos) << reason;
  }
  EXPECT_FALSE(Replay(harness).finding.has_value());
}

TEST(Federation, ARehearsingSiteMayNotTakeTheTasksProgressBack) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.rule = "\"mean\"\nmax_retreat = 0.5"});
  harness.trainer("first").retreats = harness.trainer("second").retreats = true;
  EXPECT_TRUE(harness.Run());
  const auto refused = Refusals(harness);
  ASSERT_EQ(refused.size(), 1u) << "in the second round of task 2: before the first there is nothing to take back";
  EXPECT_NE(refused[0].find("first: the update would take back"), std::string::npos) << refused[0];
  EXPECT_NE(refused[0].find("more than the plan's 0.5"), std::string::npos) << refused[0];
  EXPECT_FALSE(Replay(harness).finding.has_value());

  const Scratch elsewhere;
  FederationHarness honest(elsewhere.path(), {.rule = "\"mean\"\nmax_retreat = 0.5"});
  EXPECT_TRUE(honest.Run());
  EXPECT_TRUE(Refusals(honest).empty());
}

TEST(Federation, APoisonedRehearsingSiteIsRefusedByNameAndTheRoundsGoOn) {
  const auto large = RefusalsOfPoisoned([](auto& trainer) { trainer.scale = 1'000'000; });
  ASSERT_EQ(large.size(), 2u);
  EXPECT_NE(large[0].find("first: the update's norm"), std::string::npos) << large[0];
  EXPECT_NE(large[0].find("in tensor stage.conv.weight"), std::string::npos) << large[0];
  const auto stale = RefusalsOfPoisoned([](auto& trainer) { trainer.stale = true; });
  ASSERT_EQ(stale.size(), 1u) << "the first one was new";
  EXPECT_NE(stale[0].find("first: its integers are those of the update of first in round 1 of task 2"),
            std::string::npos)
      << stale[0];
  const auto lazy = RefusalsOfPoisoned([](auto& trainer) { trainer.lazy = true; });
  ASSERT_EQ(lazy.size(), 2u);
  EXPECT_NE(lazy[0].find("number of steps"), std::string::npos) << lazy[0];
}

// Copies the log, changes it, and returns what the auditor finds.
auditor::AuditResult AuditChanged(FederationHarness& harness, const Scratch& scratch,
                                  const std::function<void(const Path& copy)>& change) {
  const Path copy = scratch / "copy";
  std::filesystem::remove_all(copy);
  std::filesystem::create_directories(copy);
  std::filesystem::copy(scratch / "consortium" / "log", copy / "log", std::filesystem::copy_options::recursive);
  std::filesystem::copy(scratch / "consortium" / "objects", copy / "objects", std::filesystem::copy_options::recursive);
  change(copy);
  return Replay(harness, copy);
}

void FlipBit(const Path& file, std::uint64_t byte) {
  std::string content = ReadFile(RealFileSystem(), file, 1 << 24);
  content.at(byte) = static_cast<char>(content[byte] ^ 1);
  std::filesystem::permissions(file, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
  WriteFileAtomically(RealFileSystem(), file, content);
}

TEST(Federation, AFlippedBitInAnyEntryIsNamedByTheAuditor) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {});
  ASSERT_TRUE(harness.Run());
  const std::uint64_t size = harness.service().log().size();
  ASSERT_LT(size, 256u) << "the test reads one bundle";
  const Path bundle = Path("log") / "tile" / "entries" / ("000.p") / std::to_string(size);
  const std::string content = ReadFile(RealFileSystem(), scratch / "consortium" / bundle.string(), 1 << 24);
  // Bundles hold each entry behind two bytes of length, big-endian (C2SP tlog-tiles).
  std::uint64_t at = 0;
  for (std::uint64_t entry = 0; entry < size; ++entry) {
    const std::uint64_t length =
        static_cast<std::uint8_t>(content[at]) * 256u + static_cast<std::uint8_t>(content[at + 1]);
    const auto result =
        AuditChanged(harness, scratch, [&](const Path& copy) { FlipBit(copy / bundle, at + 2 + length / 2); });
    ASSERT_TRUE(result.finding.has_value()) << "entry " << entry;
    EXPECT_EQ(result.finding->entry, entry) << result.finding->message;
    at += 2 + length;
  }
}

TEST(Federation, AChangedOrMissingUpdateIsNamedByReplay) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {});
  ASSERT_TRUE(harness.Run());
  std::optional<Digest> update;
  std::uint64_t entry_of_update = 0;
  harness.service().log().ForEach(0, [&](std::uint64_t index, std::string_view text) {
    const Entry entry = ParseEntry(text);
    const auto* statement = std::get_if<StatementEntry>(&entry.body);
    if (update || statement == nullptr || statement->statement.kind != StatementKind::kUpdate) return;
    update = UpdateReport::FromJson({statement->statement.body, "update"}).values;
    entry_of_update = index;
  });
  ASSERT_TRUE(update.has_value());
  const Path object = Path("objects") / update->Hex().substr(0, 2) / update->Hex().substr(2);
  const auto changed = AuditChanged(harness, scratch, [&](const Path& copy) { FlipBit(copy / object, 5); });
  ASSERT_TRUE(changed.finding.has_value());
  EXPECT_EQ(changed.finding->entry, entry_of_update);
  EXPECT_NE(changed.finding->message.find("content of its name"), std::string::npos) << changed.finding->message;
  const auto missing =
      AuditChanged(harness, scratch, [&](const Path& copy) { std::filesystem::remove(copy / object); });
  ASSERT_TRUE(missing.finding.has_value());
  EXPECT_EQ(missing.finding->entry, entry_of_update);
}

// Digests of the score histograms that the log's evaluations name, with the entries' numbers.
std::vector<std::pair<std::uint64_t, Digest>> LoggedScores(FederationHarness& harness) {
  std::vector<std::pair<std::uint64_t, Digest>> scores;
  harness.service().log().ForEach(0, [&](std::uint64_t index, std::string_view text) {
    const Entry entry = ParseEntry(text);
    const auto* statement = std::get_if<StatementEntry>(&entry.body);
    if (statement == nullptr || statement->statement.kind != StatementKind::kEvaluation) return;
    const std::string digest = statement->statement.body.at("scores").at("values");
    scores.emplace_back(index, *Digest::FromHex(digest));
  });
  return scores;
}

TEST(Federation, ChangedOrMissingScoreHistogramsAreNamedByReplay) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {});
  ASSERT_TRUE(harness.Run());
  const auto scores = LoggedScores(harness);
  ASSERT_EQ(scores.size(), 4u) << "two tasks at two sites";
  const auto& [entry, digest] = scores[2];
  const Path object = Path("objects") / digest.Hex().substr(0, 2) / digest.Hex().substr(2);
  const auto changed = AuditChanged(harness, scratch, [&](const Path& copy) { FlipBit(copy / object, 30); });
  ASSERT_TRUE(changed.finding.has_value());
  EXPECT_EQ(changed.finding->entry, entry);
  EXPECT_NE(changed.finding->message.find("content of its name"), std::string::npos) << changed.finding->message;
  const auto missing =
      AuditChanged(harness, scratch, [&](const Path& copy) { std::filesystem::remove(copy / object); });
  ASSERT_TRUE(missing.finding.has_value());
  EXPECT_EQ(missing.finding->entry, entry);
}

TEST(Federation, AnEvaluationWhoseHistogramsContradictItIsRefusedByItsOwnAgentAndByTheCoordinator) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {});
  // The trainer names other integers than its file has: the agent does not let it out.
  harness.trainer("second").falsify = [](EvaluationReport& report) {
    ScoresFile named = *report.scores();
    named.values = Sha256Of("others");
    report.set_scores(named);
  };
  EXPECT_ERROR(ErrorCode::kRefused, "do not have the digest that their report names", (void)harness.Run());
  // The same past the agent: put and signed by the lab itself.
  const FederationState& state = harness.service().state();
  ASSERT_EQ(state.phase(), Phase::kEvaluating);
  const auto keys = harness.KeysOf("second");
  ConfusionMatrix matrix(2);
  ScoreTally tally(2);
  for (std::size_t i = 0; i < 60; ++i) {
    matrix.Add(i % 2, i % 2);
    tally.Add(i % 2, std::vector{0.25, 0.75});
  }
  auto report = EvaluationReport::Of(matrix, 10, {{0, 1}});
  const auto histograms = ScoreHistograms::Of(tally, report, 10);
  const ScoresFile info = WriteScoreHistograms(RealFileSystem(), scratch / "scores", histograms);
  matrix.Add(0, 0);  // One picture more than the histograms have.
  report = EvaluationReport::Of(matrix, 10, {{0, 1}});
  report.set_scores(info);
  const SiteStatement statement{.kind = StatementKind::kEvaluation,
                                .task = state.task(),
                                .round = 0,
                                .subject = state.model(),
                                .body = report.ToJson()};
  const std::string file = ReadFile(RealFileSystem(), scratch / "scores", 1 << 20);
  const std::uint64_t before = harness.service().log().size();
  harness.inbox("second").clear();
  harness.Deliver("second", wire::Put{info.file, file.size()});
  harness.Deliver("second", wire::Chunk{.digest = info.file, .offset = 0, .total = file.size(), .data = ToBytes(file)});
  harness.inbox("second").clear();
  harness.Deliver("second", wire::Submission{static_cast<std::uint16_t>(statement.kind), statement.ToText(),
                                             SignSiteStatement(keys.statement, state.plan_digest(), statement)});
  ASSERT_FALSE(harness.inbox("second").empty());
  const auto& refusal = std::get<wire::Refusal>(harness.inbox("second").front());
  EXPECT_NE(refusal.text.find("the confusion matrix has 31"), std::string::npos) << refusal.text;
  EXPECT_EQ(harness.service().log().size(), before);
}

TEST(Federation, ATrustFileWithAnotherKeyIsNotSatisfied) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {});
  ASSERT_TRUE(harness.Run());
  auditor::Trust trust = TrustOf(harness);
  trust.labs["second"] = testing_support::KeyNumber(77).PublicKey();
  const auto result =
      auditor::Audit(RealFileSystem(), trust, {.folder = scratch / "consortium", .scratch = scratch / "s"});
  ASSERT_TRUE(result.finding.has_value());
  EXPECT_NE(result.finding->message.find("second has another key"), std::string::npos) << result.finding->message;
}

TEST(Federation, AFileOfThePlanThatIsNotStoredIsAskedForInTheNews) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {});
  const Digest weights = ParsePlan(harness.plan_text(), "plan").model.weights;
  const Path object = ObjectOf(harness, weights), aside = scratch / "aside";
  std::filesystem::rename(object, aside);
  while (!harness.service().state().has_plan()) ASSERT_FALSE(harness.Run(1));
  (void)harness.federation().Tick();
  const std::string asked =
      "waiting for the file " + weights.Hex() + ", which the plan names: hemafed-coordinator add-weights";
  const std::string news = harness.Describe();
  const std::size_t at = news.find(asked);
  ASSERT_NE(at, std::string::npos) << news;
  EXPECT_EQ(news.find(asked, at + 1), std::string::npos) << "once: " << news;
  EXPECT_EQ(harness.service().MissingFiles(), std::vector<Digest>{weights});
  (void)harness.federation().Tick();
  EXPECT_EQ(harness.Describe().find(asked), std::string::npos);
  EXPECT_EQ(harness.service().state().phase(), Phase::kBetweenTasks);
  std::filesystem::rename(aside, object);
  ASSERT_TRUE(harness.Run());
  EXPECT_TRUE(harness.service().MissingFiles().empty());
}

}  // namespace
}  // namespace hemafed
