// SPDX-License-Identifier: Apache-2.0
//
// What the log lets sites and coordinator say where an autoencoder is trained: equals, moments of latents before each
// round, and no scores at the end.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "protocol/federation/assignment.h"
#include "protocol/federation/enclosure.h"
#include "protocol/federation/federation_state.h"
#include "protocol/federation/moments_object.h"
#include "protocol/federation/signing.h"
#include "tests/codec/latent_samples.h"
#include "tests/expect_error.h"
#include "tests/protocol/federation/consortium_fixture.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::AutoencoderPlanText;
using testing_support::ConsortiumFixture;
using testing_support::SampleMoments;
using testing_support::Scratch;

class Moments : public testing::Test {
 protected:
  Moments() { Use(testing_support::kAligned); }
  void Use(const std::string& alignment, const std::string& more = "") {
    fixture_.UsePlan(AutoencoderPlanText(fixture_.weights, Sha256Of("detector"), alignment, more));
  }
  // With a third hospital, called watcher because the fixture has its keys.
  void UseThree(const std::string& alignment = testing_support::kAligned, const std::string& more = "") {
    fixture_.UsePlan(
        AutoencoderPlanText(fixture_.weights, Sha256Of("detector"), alignment, more, "\"second\", \"watcher\""));
  }
  Entry Sends(const FederationState& state, const std::string& site, const MomentsReport& report) const {
    return {5, fixture_.Says(state, site, StatementKind::kMoments, report.ToJson())};
  }
  Entry Sends(const FederationState& state, const std::string& site) const {
    return Sends(state, site, ConsortiumFixture::Moments(state, site));
  }

  ConsortiumFixture fixture_;
};

std::vector<std::string> PhasesOf(const ConsortiumFixture& fixture) {
  FederationState state = fixture.NewState(), again = fixture.NewState();
  std::vector<std::string> phases;
  const auto append = [&](const Entry& entry) {
    state.Apply(entry);
    again.Apply(ParseEntry(EntryToText(entry)));
    const std::string phase(PhaseName(state.phase()));
    if (phases.empty() || phases.back() != phase) phases.push_back(phase);
  };
  for (const Entry& entry : fixture.Opening()) append(entry);
  while (state.phase() != Phase::kClosed) {
    for (const std::string& site : state.Awaited()) {
      const auto due = EnclosureDue(state, site);
      const Assignment assignment = AssignmentFor(state, site);
      EXPECT_EQ(Assignment::FromText(assignment.ToText()).ToText(), assignment.ToText());
      if (!assignment.job) continue;
      EXPECT_EQ(assignment.job->kind == JobKind::kMoments, due == StatementKind::kMoments);
      EXPECT_EQ(assignment.job->kind == JobKind::kTrain, due == StatementKind::kUpdate);
      EXPECT_FALSE(assignment.job->rehearsing);
    }
    append({5, fixture.Next(state)});
  }
  EXPECT_EQ(again.model(), state.model());
  EXPECT_EQ(again.entries(), state.entries());
  EXPECT_EQ(state.matrix().rows(), 0u);
  return phases;
}

TEST_F(Moments, EachRoundBeginsWithThemAndNobodyScoresTheLastModel) {
  EXPECT_EQ(PhasesOf(fixture_),
            (std::vector<std::string>{
                "waiting for a plan", "between tasks", "collecting commitments", "collecting moments of latents",
                "between rounds", "training", "distributing the model", "collecting moments of latents",
                "between rounds", "training", "distributing the model", "evaluating", "between tasks", "finished"}));
}

TEST_F(Moments, WithoutAlignmentNobodyIsAskedForThem) {
  Use(testing_support::kUnaligned);
  EXPECT_EQ(PhasesOf(fixture_),
            (std::vector<std::string>{"waiting for a plan", "between tasks", "collecting commitments", "between rounds",
                                      "training", "distributing the model", "between rounds", "training",
                                      "distributing the model", "evaluating", "between tasks", "finished"}));
  const FederationState state = fixture_.StateIn(Phase::kRoundOpen);
  EXPECT_TRUE(AssignmentFor(state, "first").job->moments.empty());
  EXPECT_EQ(MaxEnclosureBytes(StatementKind::kMoments, state.plan(), {}), 0u);
}

TEST_F(Moments, ComeFromEveryParticipantOnceAndAboutTheRoundsBase) {
  FederationState state = fixture_.StateIn(Phase::kMeasuring);
  EXPECT_EQ(state.Awaited(), (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(EnclosureDue(state, "second"), StatementKind::kMoments);
  // Header, six sums and twenty-one products.
  EXPECT_EQ(MaxEnclosureBytes(StatementKind::kMoments, state.plan(), {}), 24u + 8u * 27u);
  EXPECT_ERROR(ErrorCode::kConflict, "collecting moments", state.Check({5, RoundOpenedEntry{0, 0, state.model()}}));
  state.Apply(Sends(state, "first"));
  EXPECT_ERROR(ErrorCode::kConflict, "already sent for round 0", state.Check(Sends(state, "first")));

  SiteStatement stale{.kind = StatementKind::kMoments,
                      .task = 0,
                      .round = 0,
                      .subject = Sha256Of("another base"),
                      .body = ConsortiumFixture::Moments(state, "second").ToJson()};
  EXPECT_ERROR(ErrorCode::kRefused, "about another model", state.Check({5, fixture_.Says("second", stale)}));
  stale.subject = state.model();
  stale.round = 1;
  EXPECT_ERROR(ErrorCode::kConflict, "another task or round", state.Check({5, fixture_.Says("second", stale)}));

  // Who is not in the roster, and who is but trains elsewhere.
  stale.round = 0;
  EXPECT_ERROR(ErrorCode::kRefused, "not in the roster", state.Check({5, fixture_.Says("watcher", stale)}));
  state.Apply({5, fixture_.Joins("watcher")});
  EXPECT_ERROR(ErrorCode::kRefused, "does not take part", state.Check({5, fixture_.Says("watcher", stale)}));

  state.Apply(Sends(state, "second"));
  EXPECT_EQ(state.phase(), Phase::kBetweenRounds);
  EXPECT_ERROR(ErrorCode::kConflict, "cannot stand here", state.Check(Sends(state, "second")));
}

TEST_F(Moments, AreOfTheCellsThatWereCommittedAndOfEnough) {
  FederationState state = fixture_.StateIn(Phase::kMeasuring);
  const auto broken = [&](const std::function<void(MomentsReport&)>& breaks) {
    MomentsReport report = ConsortiumFixture::Moments(state, "second");
    breaks(report);
    return Sends(state, "second", report);
  };
  EXPECT_ERROR(ErrorCode::kRefused, "moments of second: of fewer than the plan's 10 cells",
               state.Check(broken([](MomentsReport& r) { r.cells = 9; })));
  EXPECT_ERROR(ErrorCode::kRefused, "moments of second: of more cells than it committed to",
               state.Check(broken([](MomentsReport& r) { r.cells = 51; })));
  EXPECT_ERROR(ErrorCode::kRefused, "another size than latents of 6 values take",
               state.Check(broken([](MomentsReport& r) { r.file_bytes += 8; })));
  state.Check(broken([](MomentsReport& r) { r.cells = 10; }));
  state.Apply(Sends(state, "first"));
  EXPECT_ERROR(
      ErrorCode::kRefused, "they are those of first",
      state.Check(broken([&](MomentsReport& r) { r.values = ConsortiumFixture::Moments(state, "first").values; })));
}

TEST_F(Moments, OneCellIsNotEnoughWhateverThePlanAllows) {
  std::string text = fixture_.plan_text;
  fixture_.UsePlan(text.replace(text.find("min_pictures = 10"), 17, "min_pictures = 1"));
  const FederationState state = fixture_.StateIn(Phase::kCommitting);
  const auto commits = [&](std::uint64_t cells) {
    return Entry{5,
                 fixture_.Says(state, "second", StatementKind::kCommitment,
                               CommitmentReport{.pictures = cells, .classes = {std::nullopt, std::nullopt}}.ToJson())};
  };
  EXPECT_ERROR(ErrorCode::kRefused, "one cell has no covariance", state.Check(commits(1)));
  state.Check(commits(2));
}

TEST_F(Moments, ReachWhomTheTermOfASiteIsAbout) {
  UseThree();
  FederationState state = fixture_.StateIn(Phase::kRoundOpen);
  const auto named = [&](const std::string& site) {
    std::vector<std::string> names;
    const Assignment assignment = AssignmentFor(state, site);  // Named: a range-for would not keep it alive.
    for (const JobMoments& other : assignment.job->moments) {
      names.push_back(other.site);
      EXPECT_EQ(other.moments, state.moments().at(other.site).values);
      const auto objects = AssignmentFor(state, site).Objects(&state.plan());
      EXPECT_NE(std::find(objects.begin(), objects.end(), other.moments), objects.end());
    }
    return names;
  };
  EXPECT_EQ(named("first"), (std::vector<std::string>{"second", "watcher"})) << "the source sees all others";
  EXPECT_EQ(named("second"), std::vector<std::string>{"first"});
  EXPECT_EQ(named("watcher"), std::vector<std::string>{"first"});
  EXPECT_EQ(AssignmentFor(state, "second").Objects(&state.plan()).back(), Sha256Of("detector"));
  // Of the next round only what was stated for it.
  while (state.phase() != Phase::kMeasuring) state.Apply({5, fixture_.Next(state)});
  EXPECT_EQ(state.round(), 1u);
  EXPECT_TRUE(state.moments().empty());
}

TEST_F(Moments, TheTaskGoesOnWithoutALateHospitalButNotWithoutItsOwnOrTheSource) {
  UseThree("beta = 5.0\nsource = \"second\"\n", testing_support::kAbsence);
  FederationState state = fixture_.StateIn(Phase::kMeasuring);
  EXPECT_FALSE(state.MayLeaveOut("first"));
  EXPECT_FALSE(state.MayLeaveOut("second"));
  EXPECT_TRUE(state.MayLeaveOut("watcher"));
  EXPECT_ERROR(ErrorCode::kRefused, "does not go on without second", state.Check({5, state.AbsenceOf("second")}));
  state.Apply(Sends(state, "first"));
  state.Apply(Sends(state, "second"));
  state.Apply({5, state.AbsenceOf("watcher")});
  EXPECT_EQ(state.phase(), Phase::kBetweenRounds);
  EXPECT_EQ(state.AbsenceOf("watcher").exemplars, 0u);
  state.Apply({5, fixture_.Next(state)});
  EXPECT_EQ(AssignmentFor(state, "second").job->moments.size(), 1u) << "what the absent one never sent is not named";
  EXPECT_EQ(AssignmentFor(state, "watcher").action, Action::kWait);
}

TEST_F(Moments, ARoundClosesWithoutARefusedUpdateButNotWithoutTheSources) {
  UseThree("beta = 5.0\nsource = \"second\"\n");
  const auto refuse = [&](FederationState& state, const std::string& site) {
    state.Apply({5, RefusedEntry{.site = site, .task = 0, .round = 0, .update = Sha256Of("u"), .reason = "norm"}});
    while (!state.Awaited().empty()) state.Apply({5, fixture_.Next(state)});
    return state.WhyRoundCannotClose();
  };
  FederationState state = fixture_.StateIn(Phase::kRoundOpen);
  EXPECT_EQ(refuse(state, "watcher"), std::nullopt);
  state = fixture_.StateIn(Phase::kRoundOpen);
  EXPECT_EQ(refuse(state, "second"), "the update of the alignment's source second was refused");
  state = fixture_.StateIn(Phase::kRoundOpen);
  EXPECT_EQ(refuse(state, "first"), "the update of the active site first was refused");
}

// Sent home before it said what it has, it has no word in the round that stands still.
TEST_F(Moments, WhoNeverCommittedIsNotAskedToTryAgain) {
  UseThree("beta = 5.0\nsource = \"second\"\n", testing_support::kAbsence);
  FederationState state = fixture_.StateIn(Phase::kCommitting);
  state.Apply({5, fixture_.Next(state)});
  state.Apply({5, fixture_.Next(state)});
  state.Apply({5, state.AbsenceOf("watcher")});
  while (state.phase() != Phase::kRoundOpen) state.Apply({5, fixture_.Next(state)});
  EXPECT_EQ(state.commitments().size(), 2u);
  state.Apply({5, RefusedEntry{.site = "second", .task = 0, .round = 0, .update = Sha256Of("u"), .reason = "norm"}});
  while (!state.Awaited().empty()) state.Apply({5, fixture_.Next(state)});
  EXPECT_EQ(state.Blocking(), std::vector<std::string>{"second"});
  state.Apply({5, PausedEntry{.task = 0, .round = 0, .sites = state.Blocking(), .reason = "refused"}});
  const auto again = [&](const std::string& site) {
    DecisionEntry entry{.kind = DecisionKind::kTryAgain, .site = site, .task = 0, .round = 0};
    SignOperatorDecision(fixture_.operator_key, fixture_.plan, entry);
    return Entry{5, entry};
  };
  EXPECT_ERROR(ErrorCode::kConflict, "for want of an update of watcher", state.Check(again("watcher")));
  state.Apply(again("second"));
  EXPECT_EQ(state.Awaited(), std::vector<std::string>{"second"});
  while (state.phase() != Phase::kClosed) state.Apply({5, fixture_.Next(state)});
}

TEST_F(Moments, OfAnotherHospitalAreNotTakenInALaterRoundEither) {
  FederationState state = fixture_.StateIn(Phase::kMeasuring);
  const MomentsReport of_first = ConsortiumFixture::Moments(state, "first");
  state.Apply({5, fixture_.Next(state)});
  while (state.phase() != Phase::kMeasuring || state.round() == 0) state.Apply({5, fixture_.Next(state)});
  EXPECT_ERROR(ErrorCode::kRefused, "they are those of first", state.Check(Sends(state, "second", of_first)));
  state.Check(Sends(state, "first", of_first));
}

TEST_F(Moments, AlignmentDoesNotGoOnForAWordThatThereAreNone) {
  const FederationState state = fixture_.StateIn(Phase::kMeasuring);
  EXPECT_ERROR(ErrorCode::kRefused, "the alignment needs them",
               state.Check({5, fixture_.Says(state, "second", StatementKind::kMoments, BelowMinPictures{}.ToJson())}));
}

TEST_F(Moments, NothingIsEvaluatedAndTheModelsOfThePlanCloseIt) {
  FederationState state = fixture_.StateIn(Phase::kEvaluating);
  EXPECT_TRUE(state.Awaited().empty());
  EXPECT_EQ(AssignmentFor(state, "first").action, Action::kWait);
  EXPECT_ERROR(ErrorCode::kRefused, "the plan does not name this site",
               state.Check({5, fixture_.Says(state, "first", StatementKind::kEvaluation,
                                             ConsortiumFixture::Scores(15, 5).ToJson())}));
  EXPECT_ERROR(ErrorCode::kRefused, "the accuracies are not those",
               state.Check({5, TaskClosedEntry{0, state.model(), {std::nullopt}}}));
  state.Apply({5, TaskClosedEntry{0, state.model(), {}}});
  const PlanClosedEntry closed = state.ExpectedPlanClosed();
  EXPECT_EQ(closed.model, state.model());
  EXPECT_FALSE(closed.average_accuracy_millionths.has_value());
  EXPECT_FALSE(closed.de_lange_forgetting_millionths.has_value());
}

TEST_F(Moments, OtherPlansTakeNone) {
  fixture_.UsePlan(testing_support::SmallPlanText(fixture_.weights));
  const FederationState state = fixture_.StateIn(Phase::kRoundOpen);
  const MomentsReport report{.values = Sha256Of("m"), .file_bytes = 240, .cells = 20};
  EXPECT_ERROR(ErrorCode::kConflict, "cannot stand here", state.Check(Sends(state, "first", report)));
}

TEST(MomentsReport, TravelsAsJson) {
  const MomentsReport report{.values = Sha256Of("m"), .file_bytes = 240, .cells = 20};
  EXPECT_EQ(report.ToJson().dump(), R"({"cells":20,"file_bytes":240,"values":")" + Sha256Of("m").Hex() + R"("})");
  const auto read = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json object = report.ToJson();
    object[key] = value;
    return MomentsReport::FromJson({object, "report"});
  };
  EXPECT_EQ(read("cells", 21).cells, 21u);
  // 24 bytes, then 1,000 sums and 500,500 products of 8 bytes each.
  EXPECT_ERROR(ErrorCode::kInvalidInput, "file_bytes", (void)read("file_bytes", 4'012'025));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cells", (void)read("cells", -1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "mean", (void)read("mean", 0.5));
}

TEST(JobText, NamesEachOtherHospitalsMomentsOnceAndInTrainingJobsOnly) {
  Job job;
  job.kind = JobKind::kTrain;
  job.site = "first";
  job.moments = {{.site = "second", .moments = Sha256Of("a")}, {.site = "third", .moments = Sha256Of("b")}};
  EXPECT_EQ(Job::FromText(job.ToText(), "job"), job);
  const auto refused = [](Job bad) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "job", (void)Job::FromText(bad.ToText(), "job"));
  };
  Job bad = job;
  bad.moments[1].site = "second";
  refused(bad);
  bad.moments[1].site = "first";
  refused(bad);
  bad = job;
  bad.kind = JobKind::kMoments;
  refused(bad);
  bad.moments.clear();
  bad.round = 3;
  EXPECT_EQ(Job::FromText(bad.ToText(), "job"), bad);
  EXPECT_EQ(bad.Name(), "00000000-t0-r3-moments");
}

TEST(MomentsObject, IsWhatTheSiteSigned) {
  const Scratch scratch;
  FileSystem& files = RealFileSystem();
  const Plan plan = ParsePlan(AutoencoderPlanText(Sha256Of("w"), Sha256Of("d")), "plan");
  const LatentMoments moments = SampleMoments(6, 0, 20);
  const Path file = scratch / "moments";
  MomentsReport report{
      .values = WriteLatentMoments(files, file, moments), .file_bytes = LatentMomentsBytes(6), .cells = 20};
  const auto why = [&](const Path& path) { return WhyNoMoments(*files.OpenForRead(path), report, plan).value_or(""); };
  EXPECT_EQ(why(file), "");
  std::optional<LatentMoments> read;
  EXPECT_FALSE(WhyNoMoments(*files.OpenForRead(file), report, plan, &read).has_value());
  EXPECT_EQ(read, moments);

  report.cells = 21;
  EXPECT_NE(why(file).find("are of 20 cells, the site signed 21"), std::string::npos);
  report.cells = 20;
  report.values = Sha256Of("another");
  EXPECT_NE(why(file).find("digest that the site signed"), std::string::npos);
  const Path narrow = scratch / "narrow", few = scratch / "few";
  report.values = WriteLatentMoments(files, narrow, SampleMoments(5, 0, 20));
  EXPECT_NE(why(narrow).find("holds latents of 5 values"), std::string::npos) << why(narrow);
  report.values = WriteLatentMoments(files, few, SampleMoments(6, 0, 9));
  report.cells = 9;
  EXPECT_NE(why(few).find("fewer than min_pictures"), std::string::npos);
  // Moments that no cells can have.
  std::string bytes = ReadFile(files, file, 1000);
  bytes[24 + 7] = 0x7f;  // S of the first value becomes huge.
  WriteFileAtomically(files, file, bytes);
  report.values = Sha256Of(bytes);
  report.cells = 20;
  EXPECT_NE(why(file).find("no cells that can be"), std::string::npos) << why(file);
}

}  // namespace
}  // namespace hemafed
