// SPDX-License-Identifier: Apache-2.0
//
// Whole federations of the strategies that keep more than a model: class means (icarl), Fisher information (ewc),
// earlier models (derpp), an aligned head (wa), a slow model (slow_fast). What each asks of the labs, that it survives
// whatever dies on the way, and that the auditor computes the same.
#include <gtest/gtest.h>

#include <filesystem>

#include "auditor/replay.h"
#include "codec/aligned_head.h"
#include "codec/fisher.h"
#include "codec/head_file.h"
#include "codec/prototype_head.h"
#include "codec/slow_model.h"
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

struct StrategyCase {
  std::string name;
  std::string lines;
  std::string policy;
  std::string tasks;
};

// Google Test prints the parameter by it.
std::ostream& operator<<(std::ostream& out, const StrategyCase& of) { return out << of.name; }

FederationHarness::Options OptionsOf(const StrategyCase& of, std::uint64_t order_seed = 1) {
  return {.order_seed = order_seed, .policy = of.policy, .tasks = of.tasks, .strategy = of.lines};
}

template <typename Body>
std::vector<Body> EntriesOf(FederationHarness& harness) {
  std::vector<Body> found;
  harness.service().log().ForEach(0, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    if (const auto* body = std::get_if<Body>(&entry.body)) found.push_back(*body);
  });
  return found;
}

std::vector<StatementEntry> StatementsOf(FederationHarness& harness, StatementKind kind) {
  std::vector<StatementEntry> found = EntriesOf<StatementEntry>(harness);
  std::erase_if(found, [&](const StatementEntry& entry) { return entry.statement.kind != kind; });
  return found;
}

// Everything that follows from what sites sent: rounds, slow and derived models, and what was scored.
std::vector<std::string> Course(FederationHarness& harness) {
  std::vector<std::string> digests;
  for (const auto& closed : EntriesOf<RoundClosedEntry>(harness)) {
    digests.push_back(closed.model.Hex() + (closed.slow ? closed.slow->Hex() : ""));
  }
  for (const auto& derived : EntriesOf<ModelDerivedEntry>(harness)) digests.push_back(derived.model.Hex());
  for (const auto& closed : EntriesOf<TaskClosedEntry>(harness)) digests.push_back(closed.model.Hex());
  return digests;
}

class FederatedStrategy : public testing::TestWithParam<StrategyCase> {
 protected:
  const std::vector<std::string>& QuietCourse() {
    static std::map<std::string, std::vector<std::string>> courses;
    std::vector<std::string>& course = courses[GetParam().name];
    if (course.empty()) {
      const Scratch scratch;
      FederationHarness harness(scratch.path(), OptionsOf(GetParam()));
      EXPECT_TRUE(harness.Run());
      course = Course(harness);
    }
    return course;
  }
};

TEST_P(FederatedStrategy, RunsToTheEndAndTheAuditorComputesTheSame) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), OptionsOf(GetParam()));
  ASSERT_TRUE(harness.Run());
  const auditor::AuditResult audit = Replay(harness);
  EXPECT_FALSE(audit.finding.has_value()) << audit.finding->message;
  EXPECT_TRUE(audit.closed);
  EXPECT_EQ(audit.model, EntriesOf<TaskClosedEntry>(harness).back().model);
  // Labs end with the model that was scored.
  const Path kept = harness.root() / "first" / "agent" / "model.safetensors";
  EXPECT_EQ(Sha256Of(ReadFile(RealFileSystem(), kept, 1 << 20)), audit.model);
}

TEST_P(FederatedStrategy, AnyOrderOfMessagesGivesTheSameModels) {
  for (std::uint64_t seed = 2; seed < 4; ++seed) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), OptionsOf(GetParam(), seed));
    ASSERT_TRUE(harness.Run());
    EXPECT_EQ(Course(harness), QuietCourse()) << "order seed " << seed;
  }
}

TEST_P(FederatedStrategy, ACoordinatorOrAgentKilledAfterAnyMessageEndsWithTheSameModels) {
  for (std::uint64_t kill_at = 1; kill_at < 400; kill_at += 43) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), OptionsOf(GetParam()));
    if (harness.Run(kill_at)) break;
    if (kill_at % 2 == 0) {
      harness.KillCoordinator();
    } else {
      harness.KillAgent(kill_at % 4 == 1 ? "first" : "second");
    }
    ASSERT_TRUE(harness.Run());
    ASSERT_EQ(Course(harness), QuietCourse()) << "killed after message " << kill_at;
  }
}

TEST_P(FederatedStrategy, ADiskThatFailsAtAnyCallAndLosesPowerEndsWithTheSameModels) {
  for (std::uint64_t n = 1; n < 1500; n += 293) {
    const Scratch scratch;
    FaultFileSystem disk;
    FederationHarness::Options options = OptionsOf(GetParam());
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
    ASSERT_EQ(Course(harness), QuietCourse()) << "call " << n;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, FederatedStrategy,
    testing::Values(StrategyCase{"icarl", testing_support::kIcarl, "federated", testing_support::kSmallTasks},
                    StrategyCase{"icarl_mixed", testing_support::kIcarl, "local", testing_support::kMixedTasks},
                    StrategyCase{"icarl_sealed", testing_support::kIcarl, "sealed", testing_support::kSmallTasks},
                    StrategyCase{"ewc", testing_support::kEwc, "none", testing_support::kMixedTasks},
                    StrategyCase{"derpp", testing_support::kDerpp, "federated", testing_support::kMixedTasks},
                    StrategyCase{"wa", testing_support::kWa, "federated", testing_support::kMixedTasks},
                    StrategyCase{"slow_fast", testing_support::kSlowFast, "federated", testing_support::kMixedTasks}),
    [](const testing::TestParamInfo<StrategyCase>& of) { return of.param.name; });

TEST(Icarl, ScoresTheNearestMeansOfAllHospitalsAndTrainsOnWithoutThem) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(),
                            {.tasks = testing_support::kSmallTasks, .strategy = testing_support::kIcarl});
  ASSERT_TRUE(harness.Run());
  const auto means = StatementsOf(harness, StatementKind::kMeans);
  ASSERT_EQ(means.size(), 3u);  // first; then second and first.
  const auto derived = EntriesOf<ModelDerivedEntry>(harness);
  const auto closed = EntriesOf<TaskClosedEntry>(harness);
  const auto opened = EntriesOf<TaskOpenedEntry>(harness);
  const auto rounds = EntriesOf<RoundClosedEntry>(harness);
  ASSERT_EQ(derived.size(), 2u);
  EXPECT_EQ(closed[0].model, derived[0].model);
  EXPECT_EQ(opened[1].base, rounds[1].model);
  for (const StatementEntry& entry : StatementsOf(harness, StatementKind::kEvaluation)) {
    EXPECT_EQ(entry.statement.subject, derived.at(entry.statement.task).model);
  }
  // The second task's head, slowly: sums of both sites' means by their counts.
  const HeadValues head = ReadHead(SafetensorsReader::Open(RealFileSystem(), ObjectOf(harness, derived[1].model)));
  std::vector<double> sum(head.weight.size());
  for (const StatementEntry& entry : means) {
    if (entry.statement.task != 1) continue;
    const auto report = MeansReport::FromJson({entry.statement.body, "means"});
    const std::string raw = ReadFile(RealFileSystem(), ObjectOf(harness, report.values), 1 << 20);
    for (std::size_t i = 0; i < sum.size(); ++i) {
      std::int32_t value = 0;
      std::memcpy(&value, raw.data() + 4 * i, 4);
      sum[i] += static_cast<double>(value) * static_cast<double>(report.classes.at(i / head.width).value());
    }
  }
  for (std::size_t label = 0; label < head.classes(); ++label) {
    double square = 0;
    for (std::size_t c = 0; c < head.width; ++c) square += sum[label * head.width + c] * sum[label * head.width + c];
    for (std::size_t c = 0; c < head.width; ++c) {
      EXPECT_NEAR(head.weight[label * head.width + c], sum[label * head.width + c] / std::sqrt(square), 1.2e-7);
    }
    EXPECT_EQ(head.bias[label], 0.0F);
  }
}

TEST(Icarl, AHolderThatIsAwayIsLeftOutOfTheMeansAsThePlanSays) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(),
                            {.tasks = std::string(testing_support::kSmallTasks) + testing_support::kAbsence,
                             .strategy = testing_support::kIcarl});
  while (harness.service().state().task() < 1 || harness.service().state().phase() != Phase::kAcknowledging ||
         harness.service().state().round() < 1) {
    ASSERT_FALSE(harness.Run(1));
  }
  harness.trainer("first").asleep = true;
  while (harness.service().state().phase() != Phase::kEvaluating) {
    ASSERT_FALSE(harness.Run(1));
  }
  const auto absent = EntriesOf<AbsentEntry>(harness);
  ASSERT_EQ(absent.size(), 1u);
  EXPECT_EQ(absent[0].site, "first");
  EXPECT_EQ(StatementsOf(harness, StatementKind::kMeans).size(), 2u);
  harness.trainer("first").asleep = false;
  ASSERT_TRUE(harness.Run());
  const auditor::AuditResult audit = Replay(harness);
  EXPECT_FALSE(audit.finding.has_value()) << audit.finding->message;
}

TEST(Icarl, MeansThatNoPicturesCanHaveAreNotTaken) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.strategy = testing_support::kIcarl});
  harness.trainer("first").spoil = true;
  // Its own agent does not let them out.
  EXPECT_ERROR(ErrorCode::kRefused, "longer than 1", harness.Run());
}

TEST(Ewc, ALaterTaskIsHeldToEachEarlierTasksModelByItsFisherInformation) {
  const Scratch scratch;
  FederationHarness harness(
      scratch.path(), {.policy = "none", .tasks = testing_support::kMixedTasks, .strategy = testing_support::kEwc});
  while (!harness.Run(1)) {
    const FederationState& state = harness.service().state();
    if (state.phase() != Phase::kRoundOpen) continue;
    const Assignment assignment = AssignmentFor(state, state.participants().front());
    if (assignment.job && assignment.job->kind == JobKind::kTrain) {
      ASSERT_EQ(assignment.job->anchors.size(), state.task());
      for (const JobAnchor& anchor : assignment.job->anchors) {
        EXPECT_EQ(anchor.model, state.task_ends()[anchor.task].model);
        EXPECT_TRUE(anchor.fisher.has_value());
      }
    }
  }
  // Not after the last task: nothing would be held by it.
  EXPECT_EQ(StatementsOf(harness, StatementKind::kFisher).size(), 3u);
}

TEST(Ewc, RootsBelowZeroAreRefusedAndAskedForUntilTheTrainerIsMended) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.policy = "none", .strategy = testing_support::kEwc});
  harness.trainer("first").spoil = true;
  EXPECT_FALSE(harness.Run(300));
  EXPECT_TRUE(StatementsOf(harness, StatementKind::kFisher).empty());
  EXPECT_EQ(harness.service().state().Awaited(), std::vector<std::string>{"first"});
  harness.trainer("first").spoil = false;
  ASSERT_TRUE(harness.Run());
  EXPECT_EQ(StatementsOf(harness, StatementKind::kFisher).size(), 1u);
}

TEST(Derpp, AHospitalComparesWithTheModelsOfItsOwnEarlierTasks) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(),
                            {.tasks = testing_support::kMixedTasks, .strategy = testing_support::kDerpp});
  while (!harness.Run(1)) {
    const FederationState& state = harness.service().state();
    if (state.phase() != Phase::kRoundOpen) continue;
    for (const std::string& site : state.Awaited()) {
      std::vector<std::uint32_t> tasks, expected;
      const Assignment assignment = AssignmentFor(state, site);
      for (const JobAnchor& anchor : assignment.job->anchors) tasks.push_back(anchor.task);
      for (std::uint32_t t = 0; t < state.task(); ++t) {
        if (state.plan().tasks[t].site == site) expected.push_back(t);
      }
      ASSERT_EQ(tasks, expected);
    }
  }
}

TEST(WeightAlignment, OnlyATaskThatBroughtClassesIsAligned) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.tasks = testing_support::kMixedTasks, .strategy = testing_support::kWa});
  ASSERT_TRUE(harness.Run());
  const auto derived = EntriesOf<ModelDerivedEntry>(harness);
  ASSERT_EQ(derived.size(), 1u);  // The second of four tasks.
  EXPECT_EQ(derived[0].task, 1u);
  const auto opened = EntriesOf<TaskOpenedEntry>(harness);
  EXPECT_EQ(opened[2].base, derived[0].model);
  EXPECT_EQ(opened[2].teacher, derived[0].model);
}

TEST(SlowFast, TheSlowModelFollowsEveryRoundAndIsWhatIsScored) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(),
                            {.tasks = testing_support::kMixedTasks, .strategy = testing_support::kSlowFast});
  ASSERT_TRUE(harness.Run());
  const auto opened = EntriesOf<TaskOpenedEntry>(harness);
  const auto rounds = EntriesOf<RoundClosedEntry>(harness);
  const auto closed = EntriesOf<TaskClosedEntry>(harness);
  EXPECT_EQ(opened[0].slow, opened[0].base);
  Digest slow = *opened[0].slow;
  const Path out = scratch / "slow";
  for (const RoundClosedEntry& round : rounds) {
    if (round.round == 0) slow = opened.at(round.task).slow.value();
    slow = FollowSlowly(RealFileSystem(), ObjectOf(harness, slow), ObjectOf(harness, round.model), out, 1u << 13);
    EXPECT_EQ(round.slow, slow);
  }
  EXPECT_EQ(closed.back().model, slow);
  EXPECT_NE(closed.back().model, rounds.back().model);
}

// Runs the plan and hands each entry to `lie` with the auditor's replay and state, before both take it in; until `lie`
// says that it has seen enough.
void WithEachEntry(const FederationHarness::Options& options,
                   const std::function<bool(auditor::Replay&, const FederationState&, const Entry&)>& lie) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), options);
  ASSERT_TRUE(harness.Run());
  const auto object = [&](const Digest& digest) { return ObjectOf(harness, digest); };
  FederationState state([&](const Digest& plan) { return ReadFile(RealFileSystem(), object(plan), kMaxPlanBytes); });
  auditor::Replay replay(RealFileSystem(), scratch / "replay", object);
  bool enough = false;
  harness.service().log().ForEach(0, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    enough = enough || lie(replay, state, entry);
    if (enough) return;
    replay.Check(state, entry);
    state.Apply(entry);
  });
}

TEST(StrategyReplay, ACoordinatorThatLogsAnotherDerivedModelIsFound) {
  for (const std::string strategy : {testing_support::kIcarl, testing_support::kWa}) {
    std::size_t found = 0;
    WithEachEntry({.tasks = testing_support::kMixedTasks, .strategy = strategy},
                  [&](auditor::Replay& replay, const FederationState& state, const Entry& entry) {
                    const auto* derived = std::get_if<ModelDerivedEntry>(&entry.body);
                    if (derived == nullptr) return false;
                    ModelDerivedEntry other = *derived;
                    other.model = Sha256Of("another");
                    EXPECT_ERROR(ErrorCode::kRefused, "the plan's strategy derives", replay.Check(state, {0, other}));
                    ++found;
                    return false;
                  });
    EXPECT_EQ(found, strategy == testing_support::kIcarl ? 4u : 1u);
  }
}

TEST(StrategyReplay, ACoordinatorThatLogsAnotherSlowModelIsFound) {
  bool followed = false, grown = false;
  const FederationHarness::Options options{.tasks = testing_support::kMixedTasks,
                                           .strategy = testing_support::kSlowFast};
  // A round's check moves the replay on before it compares, so the lie is the end of it.
  WithEachEntry(options, [&](auditor::Replay& replay, const FederationState& state, const Entry& entry) {
    const auto* closed = std::get_if<RoundClosedEntry>(&entry.body);
    if (closed == nullptr || state.task() != 3) return false;
    RoundClosedEntry other = *closed;
    other.slow = Sha256Of("another");
    EXPECT_ERROR(ErrorCode::kRefused, "the slow model follows to", replay.Check(state, {0, other}));
    return followed = true;
  });
  EXPECT_TRUE(followed);
  WithEachEntry(options, [&](auditor::Replay& replay, const FederationState& state, const Entry& entry) {
    const auto* opened = std::get_if<TaskOpenedEntry>(&entry.body);
    if (opened == nullptr || opened->task != 1) return false;
    TaskOpenedEntry other = *opened;
    other.slow = Sha256Of("another");
    EXPECT_ERROR(ErrorCode::kRefused, "leads to the slow model", replay.Check(state, {0, other}));
    return grown = true;
  });
  EXPECT_TRUE(grown);
}

TEST(StrategyReplay, FisherInformationAndMeansThatShouldNotHaveBeenTakenAreFound) {
  for (const bool ewc : {true, false}) {
    const Scratch scratch;
    FederationHarness harness(scratch.path(), {.policy = ewc ? "none" : "federated",
                                               .strategy = ewc ? testing_support::kEwc : testing_support::kIcarl});
    ASSERT_TRUE(harness.Run());
    const StatementKind kind = ewc ? StatementKind::kFisher : StatementKind::kMeans;
    const StatementEntry stated = StatementsOf(harness, kind).at(0);
    const Path path = ObjectOf(harness, JsonFields(stated.statement.body, "body").Sha256Digest("values"));
    const std::string honest = ReadFile(RealFileSystem(), path, 1 << 20);
    std::string altered = honest;
    altered.back() = static_cast<char>(altered.back() ^ 0xc0);  // The highest byte of an integer.
    std::filesystem::permissions(path, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
    WriteFileAtomically(RealFileSystem(), path, altered);
    const auditor::AuditResult audit = Replay(harness);
    ASSERT_TRUE(audit.finding.has_value());
    EXPECT_NE(audit.finding->message.find("content of its name"), std::string::npos) << audit.finding->message;
    WriteFileAtomically(RealFileSystem(), path, honest);

    // Under its right name, signed by the lab: a coordinator took what it had to refuse.
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
      tried = statement != nullptr && statement->statement.kind == kind;
      if (!tried) {
        replay.Check(state, entry);
        state.Apply(entry);
        return;
      }
      StatementEntry other = *statement;
      other.statement.body["values"] = Sha256Of(altered).Hex();
      other.signature = SignSiteStatement(harness.KeysOf(other.site).statement, state.plan_digest(), other.statement);
      EXPECT_ERROR(ErrorCode::kRefused, "taken", replay.Check(state, {0, other}));
    });
    EXPECT_TRUE(tried);
  }
}

TEST(Relapse, ASiteThatLosesWhatItRehearsesIsNamedAndTheOthersGoOn) {
  const Scratch scratch;
  FederationHarness harness(
      scratch.path(), {.tasks = "[[task]]\nsite = \"first\"\nrounds = 1\n[[task]]\nsite = \"second\"\nrounds = 4\n",
                       .rule = "\"mean\"\nmax_rise = 0.25"});
  // 0.5, 0.75 (the limit), 0.75 + 1e-6, then better again.
  harness.trainer("first").distillation = [](const Job& job) -> std::uint64_t {
    const std::vector<std::uint64_t> course{500'000, 750'000, 750'001, 600'000};
    return course.at(job.round);
  };
  ASSERT_TRUE(harness.Run());
  const auto refused = EntriesOf<RefusedEntry>(harness);
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].site, "first");
  EXPECT_EQ(refused[0].round, 2u);
  EXPECT_NE(refused[0].reason.find("a rise of more than the plan's 0.250"), std::string::npos) << refused[0].reason;
  const auditor::AuditResult audit = Replay(harness);
  EXPECT_FALSE(audit.finding.has_value()) << audit.finding->message;
}

}  // namespace
}  // namespace hemafed
