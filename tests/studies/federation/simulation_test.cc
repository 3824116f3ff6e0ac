// SPDX-License-Identifier: Apache-2.0
#include "studies/federation/simulation.h"

#include <gtest/gtest.h>

#include "auditor/audit.h"
#include "site_agent/trainer/received_pictures.h"
#include "tests/expect_error.h"
#include "tests/studies/federation/simulation_fixture.h"

namespace hemafed::studies {
namespace {

using testing_support::Scratch;
using testing_support::SimulatedPlan;
using testing_support::World;

struct Stopped {};

SimulationSettings SettingsIn(const Path& folder, const std::string& plan) {
  return {.folder = folder,
          .plan = plan,
          .sites = World().sites,
          .models = {{World().weights_digest, World().weights}},
          .key_seed = 7,
          .made_from = Sha256Of("pictures")};
}

// `plan` with one text replaced by another.
std::string With(std::string plan, const std::string& from, const std::string& to) {
  const auto at = plan.find(from);
  if (at == std::string::npos) throw std::logic_error("the plan has no " + from);
  return plan.replace(at, from.size(), to);
}

// Log root and every model digest of a run.
struct Outcome {
  Digest root, model;
  std::uint64_t entries = 0;
  std::vector<std::string> models;
  SimulationCourse course;
  std::uint64_t observed = 0;  // Calls of the observer.
};

// Runs until the end; `stop_at`: the observer stops the process at this call.
std::optional<Outcome> RunIn(const Path& folder, const std::string& plan, std::uint64_t stop_at = UINT64_MAX) {
  const SystemClock clock;
  Outcome outcome;
  try {
    Simulation simulation(RealFileSystem(), clock, World().shelf, SettingsIn(folder, plan),
                          [&](const SimulationProgress&) {
                            if (++outcome.observed >= stop_at) throw Stopped{};
                          });
    simulation.Run();
    outcome.root = simulation.log().root();
    outcome.entries = simulation.log().size();
    outcome.model = simulation.state().model();
    outcome.course = simulation.Course();
    simulation.log().ForEach(0, [&](std::uint64_t, std::string_view text) {
      const Entry entry = ParseEntry(text);
      if (const auto* closed = std::get_if<RoundClosedEntry>(&entry.body))
        outcome.models.push_back(closed->model.Hex());
    });
  } catch (const Stopped&) {
    return std::nullopt;
  }
  return outcome;
}

const Outcome& QuietRun() {
  static const Outcome outcome = [] {
    const Scratch scratch;
    return *RunIn(scratch / "run", SimulatedPlan(7));
  }();
  return outcome;
}

TEST(Simulation, RunsAPlanToItsEndAndTheAuditorReplaysIt) {
  const Scratch scratch;
  const auto outcome = RunIn(scratch / "run", SimulatedPlan(7));
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->models.size(), 6u);
  const auto trust = auditor::Trust::Load(RealFileSystem(), scratch / "run" / "trust.json");
  const auto audit = auditor::Audit(
      RealFileSystem(), trust, {.folder = scratch / "run" / "consortium", .scratch = scratch / "s", .replay = true});
  EXPECT_FALSE(audit.finding.has_value()) << audit.finding->message;
  EXPECT_TRUE(audit.closed);
  EXPECT_EQ(audit.aggregates, 6u);
  EXPECT_EQ(audit.model, outcome->model);
  EXPECT_EQ(audit.root, outcome->root);
}

// Six tasks over three hospitals, rule distillation, int8 updates and a retention gate, with real training.
std::string EverythingAtOnce() {
  std::string plan = SimulatedPlan(7);
  plan = With(With(plan, "rule = \"mean\"", "rule = \"distillation\""), "int32", "int8");
  plan = plan.substr(0, plan.find("[[task]]"));
  plan += "[retention]\npictures = 16\nmax_drop = 0.25\nhalvings = 1\n";
  for (const std::string hospital : testing_support::kHospitals) {
    for (const char* classes :
         {"[\"basophil\", \"eosinophil\"]", "[\"lymphocyte_typical\", \"monocyte\", \"neutrophil\"]"}) {
      plan += "[[task]]\nsite = \"" + hospital + "\"\nclasses = " + classes + "\nrounds = 1\n";
    }
  }
  return plan;
}

TEST(Simulation, MixedTasksGateSensitivitiesAndInt8RunAndReplay) {
  const Scratch scratch;
  const auto outcome = RunIn(scratch / "run", EverythingAtOnce());
  ASSERT_TRUE(outcome.has_value());
  const auto trust = auditor::Trust::Load(RealFileSystem(), scratch / "run" / "trust.json");
  const auto audit = auditor::Audit(
      RealFileSystem(), trust, {.folder = scratch / "run" / "consortium", .scratch = scratch / "s", .replay = true});
  EXPECT_FALSE(audit.finding.has_value()) << audit.finding->message;
  EXPECT_TRUE(audit.closed);
  EXPECT_EQ(audit.matrix.rows(), 6u);
  EXPECT_EQ(audit.matrix.columns(), 6u);
  const auto again = RunIn(scratch / "again", EverythingAtOnce());
  EXPECT_EQ(again->root, outcome->root);
}

TEST(Simulation, SealedExemplarsTravelAndTheLogIsTheSameAlsoAfterInterruptions) {
  const std::string plan = With(With(SimulatedPlan(7), "\"federated\"", "\"sealed\""), "[aggregation]",
                                "picture_bytes = 200000\n[aggregation]");
  const Scratch scratch;
  const auto outcome = RunIn(scratch / "run", plan);
  ASSERT_TRUE(outcome.has_value());
  const auto trust = auditor::Trust::Load(RealFileSystem(), scratch / "run" / "trust.json");
  const auto audit = auditor::Audit(
      RealFileSystem(), trust, {.folder = scratch / "run" / "consortium", .scratch = scratch / "s", .replay = true});
  EXPECT_FALSE(audit.finding.has_value()) << audit.finding->message;
  EXPECT_TRUE(audit.closed);
  std::optional<Outcome> again;
  // More than one bundle's pictures, after each of which a job looks whether it is to stop.
  for (int stops = 0; stops < 200 && !again; ++stops) again = RunIn(scratch / "again", plan, 50);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->root, outcome->root) << "bundles are sealed with derived keys here, so they too are the same";
  // Five classes with four exemplars; the third hospital holds those of both others.
  const auto received = [&](const std::string& site) {
    return learning::StoredCount(trainer::ReceivedPictures(RealFileSystem(),
                                                           scratch / "run" / "sites" / site / "trainer" / "vault",
                                                           Sha256Of(plan))
                                     .Lists());
  };
  EXPECT_EQ(received("matek-19"), 0u);
  EXPECT_EQ(received("int-20"), 20u);
  EXPECT_EQ(received("acevedo-20"), 40u);
  EXPECT_NE(outcome->models.back(), QuietRun().models.back());
}

TEST(Simulation, GivesTheSameLogRootAndModelsEveryTime) {
  const Scratch scratch;
  const auto again = RunIn(scratch / "elsewhere", SimulatedPlan(7));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->root, QuietRun().root);
  EXPECT_EQ(again->models, QuietRun().models);
  EXPECT_EQ(again->course.bytes_from_sites, QuietRun().course.bytes_from_sites);
  EXPECT_EQ(again->course.bytes_to_sites, QuietRun().course.bytes_to_sites);
}

TEST(Simulation, StoppedAnywhereItGoesOnAndEndsWithTheSameLogRoot) {
  for (std::uint64_t stop_at = 1; stop_at < QuietRun().observed; stop_at += 7) {
    const Scratch scratch;
    ASSERT_FALSE(RunIn(scratch / "run", SimulatedPlan(7), stop_at).has_value());
    const auto resumed = RunIn(scratch / "run", SimulatedPlan(7));
    ASSERT_TRUE(resumed.has_value());
    ASSERT_EQ(resumed->root, QuietRun().root) << "stopped at observation " << stop_at;
    ASSERT_EQ(resumed->models, QuietRun().models);
    EXPECT_GE(resumed->course.bytes_to_sites, QuietRun().course.bytes_to_sites);
  }
}

TEST(Simulation, StoppedAgainAndAgainItStillEndsWithTheSameLogRoot) {
  const Scratch scratch;
  std::optional<Outcome> outcome;
  for (int stops = 0; stops < 200 && !outcome; ++stops) outcome = RunIn(scratch / "run", SimulatedPlan(7), 9);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->root, QuietRun().root);
}

TEST(Simulation, OfAFinishedFolderOnlyReadsWhatIsThere) {
  const Scratch scratch;
  const auto first = RunIn(scratch / "run", SimulatedPlan(7));
  const auto second = RunIn(scratch / "run", SimulatedPlan(7));
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->root, first->root);
  EXPECT_EQ(second->course.bytes_to_sites, first->course.bytes_to_sites);
  EXPECT_EQ(second->observed, 0u) << "nothing is left to do";
}

TEST(Simulation, AnotherSeedGivesOtherModels) {
  const Scratch scratch;
  const auto other = RunIn(scratch / "run", SimulatedPlan(8));
  ASSERT_TRUE(other.has_value());
  EXPECT_NE(other->models.front(), QuietRun().models.front());
}

TEST(Simulation, AFolderBegunWithAnotherPlanIsRefused) {
  const Scratch scratch;
  ASSERT_FALSE(RunIn(scratch / "run", SimulatedPlan(7), 3).has_value());
  EXPECT_ERROR(ErrorCode::kConflict, "another plan", (void)RunIn(scratch / "run", SimulatedPlan(8)));
}

TEST(Simulation, ASiteWithoutPicturesIsNamedBeforeAnythingRuns) {
  const Scratch scratch;
  const SystemClock clock;
  SimulationSettings settings = SettingsIn(scratch / "run", SimulatedPlan(7));
  settings.sites.erase("int-20");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "int-20", Simulation(RealFileSystem(), clock, World().shelf, settings, {}));
}

TEST(Simulation, MovesMoreBytesWithRehearsalThanWithout) {
  const Scratch scratch;
  const auto none = RunIn(scratch / "run", SimulatedPlan(7, false));
  ASSERT_TRUE(none.has_value());
  // Updates of one task: 2 without rehearsal; with it 2, 4 and 6 in the three tasks.
  const double ratio =
      static_cast<double>(QuietRun().course.bytes_from_sites) / static_cast<double>(none->course.bytes_from_sites);
  EXPECT_GT(ratio, 1.8);
  EXPECT_LT(ratio, 2.2);
}

// Entries of one type in a simulation's log.
template <typename EntryType>
std::vector<EntryType> EntriesOf(const Simulation& simulation) {
  std::vector<EntryType> entries;
  simulation.log().ForEach(0, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    if (const auto* body = std::get_if<EntryType>(&entry.body)) entries.push_back(*body);
  });
  return entries;
}

TEST(Simulation, BearsAPoisonedRehearsingSite) {
  const std::string first = testing_support::kHospitals[0];
  for (const PoisonKind kind : {PoisonKind::kNotANumber, PoisonKind::kSignFlipped}) {
    const Scratch scratch;
    const SystemClock clock;
    SimulationSettings settings = SettingsIn(scratch / "run", SimulatedPlan(7));
    settings.poison = PoisonSettings{.site = first, .kind = kind, .from_task = 1};
    Simulation simulation(RealFileSystem(), clock, World().shelf, settings, {});
    simulation.Run();
    EXPECT_FALSE(simulation.stood_still().has_value());
    EXPECT_EQ(simulation.state().phase(), Phase::kClosed);
    EXPECT_NE(simulation.state().model(), QuietRun().model);
    const auto refused = EntriesOf<RefusedEntry>(simulation);
    EXPECT_EQ(refused.size(), kind == PoisonKind::kNotANumber ? 4u : 0u) << "two rounds of two tasks, or within bounds";
    for (const RefusedEntry& entry : refused) EXPECT_EQ(entry.site, first);
  }
}

TEST(Simulation, StandsStillAndSaysSoWhereTheTasksOwnSiteIsPoisoned) {
  const std::string second = testing_support::kHospitals[1];
  const Scratch scratch;
  const SystemClock clock;
  SimulationSettings settings = SettingsIn(scratch / "run", SimulatedPlan(7));
  settings.poison = PoisonSettings{.site = second, .kind = PoisonKind::kNotANumber, .from_task = 1};
  for (int run = 0; run < 2; ++run) {  // Asked again, it comes to the same end.
    Simulation simulation(RealFileSystem(), clock, World().shelf, settings, {});
    simulation.Run();
    ASSERT_TRUE(simulation.stood_still().has_value());
    EXPECT_NE(simulation.stood_still()->find(second), std::string::npos) << *simulation.stood_still();
    EXPECT_EQ(EntriesOf<PausedEntry>(simulation).size(), 1u);
  }
}

}  // namespace
}  // namespace hemafed::studies
