// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/federation_state.h"

#include <gtest/gtest.h>

#include "protocol/federation/assignment.h"
#include "tests/expect_error.h"
#include "tests/protocol/federation/consortium_fixture.h"

namespace hemafed {
namespace {

using testing_support::ConsortiumFixture;
using testing_support::KeyNumber;
using testing_support::MakeLab;

TEST(FederationState, AWholePlanRunsFromFoundingToClosedAndReadsBackFromItsTexts) {
  const ConsortiumFixture fixture;
  FederationState state = fixture.NewState();
  std::vector<std::string> log;
  const auto append = [&](const Entry& entry) {
    state.Apply(entry);
    log.push_back(EntryToText(entry));
  };
  for (const Entry& entry : fixture.Opening()) append(entry);
  while (state.phase() != Phase::kClosed) append({6, fixture.Next(state)});
  EXPECT_EQ(state.matrix().rows(), 2u);
  // 15 of 20 and 20 of 20 right at each hospital after each task.
  EXPECT_EQ(state.ExpectedPlanClosed().average_accuracy_millionths, 875'000);

  FederationState again = fixture.NewState();
  for (const std::string& text : log) again.Apply(ParseEntry(text));
  EXPECT_EQ(again.phase(), Phase::kClosed);
  EXPECT_EQ(again.model(), state.model());
  EXPECT_EQ(again.entries(), log.size());
}

TEST(FederationState, RehearsingSitesTakePartFromTheSecondTaskOn) {
  const ConsortiumFixture fixture;
  EXPECT_EQ(fixture.StateIn(Phase::kCommitting, 0).participants(), (std::vector<std::string>{"first"}));
  EXPECT_EQ(fixture.StateIn(Phase::kCommitting, 1).participants(), (std::vector<std::string>{"second", "first"}));
}

TEST(FederationState, SequentialPlansHaveNeitherTeacherNorExemplars) {
  ConsortiumFixture fixture;
  fixture.UsePlan(testing_support::SmallPlanText(fixture.weights, "none"));
  const FederationState state = fixture.StateIn(Phase::kRoundOpen, 1);
  EXPECT_EQ(state.participants(), (std::vector<std::string>{"second"}));
  EXPECT_FALSE(AssignmentFor(state, "second").job->teacher.has_value());
  EXPECT_FALSE(fixture.StateIn(Phase::kEvaluating, 0).exemplars_pending());
}

TEST(FederationState, TheHeadGrowsWhenATaskBringsAClassAndOnlyThen) {
  ConsortiumFixture fixture;
  fixture.UsePlan(testing_support::SmallPlanText(fixture.weights, "federated", testing_support::kMixedTasks));
  for (const auto& [task, grows] : {std::pair{0u, true}, {1u, true}, {2u, false}, {3u, false}}) {
    FederationState state = fixture.StateIn(Phase::kBetweenTasks, task);
    EXPECT_EQ(state.HeadGrows(), grows) << task;
    auto opened = std::get<TaskOpenedEntry>(fixture.Next(state));
    opened.base = Sha256Of("any other model");
    if (grows) {
      EXPECT_NO_THROW(state.Check({9, opened})) << "whether it is the grown one is the replay's question";
    } else {
      EXPECT_ERROR(ErrorCode::kRefused, "not the model after the task before", state.Check({9, opened}));
    }
  }
}

TEST(FederationState, ASiteReportsOnTheClassesOfItsColumnsAlone) {
  ConsortiumFixture fixture;
  fixture.UsePlan(testing_support::SmallPlanText(fixture.weights, "federated",
                                                 "[[task]]\nsite = \"first\"\nclasses = [\"basophil\"]\nrounds = 1\n"
                                                 "[[task]]\nsite = \"second\"\nrounds = 1\n",
                                                 "observers = [\"watcher\"]"));
  FederationState state = fixture.StateIn(Phase::kEvaluating, 0);
  const auto says = [&](const std::string& site, const std::vector<ClassSet>& pools) {
    state.Check(
        {9, fixture.Says(state, site, StatementKind::kEvaluation, ConsortiumFixture::Scores(15, 5, pools).ToJson())});
  };
  EXPECT_NO_THROW(says("watcher", {{0, 1}}));
  EXPECT_NO_THROW(says("first", {{0}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "does not test at this site", says("first", {{0, 1}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "each of the site's 1 columns", says("first", {{0}, {1}}));
}

TEST(FederationState, UnderABudgetEarlierListsMayShrinkButNotGrow) {
  ConsortiumFixture fixture;
  std::string text = testing_support::SmallPlanText(fixture.weights);
  text.replace(text.find("exemplars = 4"), 13, "budget = 12");
  fixture.UsePlan(text);
  FederationState state = fixture.StateIn(Phase::kCommitting, 1);  // 12 / 2 lists: 6 of each class, 12 in all.
  const auto commits = [&](std::uint64_t pictures) {
    state.Check(
        {9, fixture.Says(state, "first", StatementKind::kCommitment,
                         CommitmentReport{.pictures = pictures, .classes = {std::nullopt, std::nullopt}}.ToJson())});
  };
  EXPECT_NO_THROW(commits(12));
  EXPECT_NO_THROW(commits(11));
  EXPECT_ERROR(ErrorCode::kRefused, "more exemplars than", commits(13));
}

class Absence : public testing::Test {
 protected:
  Absence() {
    fixture_.UsePlan(testing_support::SmallPlanText(
        fixture_.weights, "federated",
        std::string(testing_support::kSmallTasks) + testing_support::kRetentionGate + testing_support::kAbsence));
  }
  ConsortiumFixture fixture_;
};

TEST_F(Absence, LeavesARehearsingSiteOutOfTheRestOfTheTask) {
  FederationState state = fixture_.StateIn(Phase::kRoundOpen, 1);
  EXPECT_EQ(state.Awaited(), (std::vector<std::string>{"second", "first"}));
  EXPECT_ERROR(ErrorCode::kRefused, "the task does not go on without second",
               state.Check({9, state.AbsenceOf("second")}));
  EXPECT_ERROR(ErrorCode::kConflict, "nothing is awaited from watcher", state.Check({9, state.AbsenceOf("watcher")}));
  AbsentEntry absence = state.AbsenceOf("first");
  EXPECT_EQ(absence.exemplars, 8u);
  absence.exemplars = 7;
  EXPECT_ERROR(ErrorCode::kRefused, "what the log gives", state.Check({9, absence}));
  const StatementEntry late =
      fixture_.Says(state, "first", StatementKind::kUpdate, ConsortiumFixture::Update(state, "first").ToJson());
  state.Apply(ParseEntry(EntryToText({9, state.AbsenceOf("first")})));
  EXPECT_ERROR(ErrorCode::kRefused, "came too late", state.Check({9, late}));
  EXPECT_EQ(AssignmentFor(state, "first").action, Action::kWait);
  state.Apply({9, fixture_.Next(state)});
  EXPECT_EQ(state.RoundWeights(), (std::vector<std::pair<std::string, std::uint32_t>>{{"second", 1u << 15}}));
  // Nobody is left to judge: the candidate is taken, and the plan ends.
  while (state.phase() != Phase::kEvaluating) state.Apply({9, fixture_.Next(state)});
  EXPECT_EQ(AssignmentFor(state, "first").job->kind, JobKind::kEvaluate) << "it scores again when it is back";
  while (state.phase() != Phase::kClosed) state.Apply({9, fixture_.Next(state)});
}

TEST_F(Absence, EndsEveryKindOfWaiting) {
  for (const Phase phase : {Phase::kCommitting, Phase::kRoundOpen, Phase::kJudging, Phase::kAcknowledging}) {
    FederationState state = fixture_.StateIn(phase, 1);
    state.Apply({9, state.AbsenceOf("first")});
    EXPECT_TRUE(state.absent().contains("first"));
    while (state.task() == 1) state.Apply({9, fixture_.Next(state)});
    EXPECT_TRUE(state.matrix().rows() == 2u) << PhaseName(phase);
  }
}

TEST(FederationState, NobodyIsAbsentFromAPlanThatWaits) {
  const ConsortiumFixture fixture;
  const FederationState state = fixture.StateIn(Phase::kRoundOpen, 1);
  EXPECT_ERROR(ErrorCode::kRefused, "does not go on without first", state.Check({9, state.AbsenceOf("first")}));
  const PausedEntry pause{.task = 1, .round = 0, .sites = state.Awaited(), .reason = "late"};
  EXPECT_ERROR(ErrorCode::kRefused, "does not pause", state.Check({9, pause}));
}

class Pause : public testing::Test {
 protected:
  Pause() {
    fixture_.UsePlan(testing_support::SmallPlanText(
        fixture_.weights, "federated", std::string(testing_support::kSmallTasks) + testing_support::kPause));
  }
  static PausedEntry PausedBy(const FederationState& state) {
    return {.task = state.task(), .round = state.round(), .sites = state.Blocking(), .reason = "no answer in 20 s"};
  }
  DecisionEntry Decides(const FederationState& state, DecisionKind kind, const std::string& site) const {
    DecisionEntry entry{.kind = kind, .site = site, .task = state.task(), .round = state.round()};
    SignOperatorDecision(fixture_.operator_key, fixture_.plan, entry);
    return entry;
  }
  static RefusedEntry Refuses(const FederationState& state, const std::string& site) {
    return {.site = site,
            .task = state.task(),
            .round = state.round(),
            .update = Sha256Of("update"),
            .reason = "over the norm bound"};
  }
  ConsortiumFixture fixture_;
};

TEST_F(Pause, EndsWhenTheLateSiteAnswersAndSaysOnceThatItStandsStill) {
  FederationState state = fixture_.StateIn(Phase::kRoundOpen, 1);
  EXPECT_FALSE(state.paused());
  PausedEntry pause = PausedBy(state);
  EXPECT_EQ(pause.sites, (std::vector<std::string>{"second", "first"}));
  pause.sites.pop_back();
  EXPECT_ERROR(ErrorCode::kRefused, "does not name the sites", state.Check({9, pause}));
  state.Apply(ParseEntry(EntryToText({9, PausedBy(state)})));
  EXPECT_TRUE(state.paused());
  EXPECT_ERROR(ErrorCode::kConflict, "already", state.Check({9, PausedBy(state)}));
  EXPECT_EQ(AssignmentFor(state, "first").action, Action::kRunJob) << "it is still asked";
  while (!state.Awaited().empty()) state.Apply({9, fixture_.Next(state)});
  EXPECT_FALSE(state.paused());
  while (state.phase() != Phase::kClosed) state.Apply({9, fixture_.Next(state)});
}

TEST_F(Pause, LetsTheOperatorGoOnWithoutALateSiteButNotWithoutTheTasksOwn) {
  FederationState state = fixture_.StateIn(Phase::kRoundOpen, 1);
  const DecisionEntry leave_out = Decides(state, DecisionKind::kLeaveOut, "first");
  EXPECT_ERROR(ErrorCode::kConflict, "no task is paused", state.Check({9, leave_out}));
  state.Apply({9, PausedBy(state)});
  EXPECT_ERROR(ErrorCode::kRefused, "does not go on without first", state.Check({9, state.AbsenceOf("first")}));
  EXPECT_ERROR(ErrorCode::kRefused, "nothing to learn",
               state.Check({9, Decides(state, DecisionKind::kLeaveOut, "second")}));
  EXPECT_ERROR(ErrorCode::kConflict, "does not stand still for want of",
               state.Check({9, Decides(state, DecisionKind::kTryAgain, "first")}));
  DecisionEntry forged = leave_out;
  forged.site = "second";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not signed by the operator", state.Check({9, forged}));
  forged = leave_out;
  forged.kind = DecisionKind::kTryAgain;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not signed by the operator", state.Check({9, forged}));
  state.Apply(ParseEntry(EntryToText({9, leave_out})));
  state.Apply({9, state.AbsenceOf("first")});
  EXPECT_EQ(state.Awaited(), std::vector<std::string>{"second"});
  while (state.phase() != Phase::kClosed) state.Apply({9, fixture_.Next(state)});
}

TEST_F(Pause, FollowsARefusedUpdateOfTheActiveSiteUntilItTriesAgain) {
  FederationState state = fixture_.StateIn(Phase::kRoundOpen, 1);
  state.Apply(
      {9, fixture_.Says(state, "first", StatementKind::kUpdate, ConsortiumFixture::Update(state, "first").ToJson())});
  state.Apply({9, Refuses(state, "second")});
  EXPECT_TRUE(state.Awaited().empty());
  EXPECT_NE(state.WhyRoundCannotClose().value_or("").find("active site second"), std::string::npos);
  EXPECT_EQ(state.Blocking(), std::vector<std::string>{"second"});
  state.Apply({9, PausedBy(state)});
  EXPECT_ERROR(ErrorCode::kConflict, "for want of an update of first",
               state.Check({9, Decides(state, DecisionKind::kTryAgain, "first")}));
  state.Apply({9, Decides(state, DecisionKind::kTryAgain, "second")});
  EXPECT_FALSE(state.paused());
  EXPECT_EQ(AssignmentFor(state, "second").job->kind, JobKind::kTrain);
  // Refused once more, it stands still once more.
  state.Apply({9, Refuses(state, "second")});
  state.Apply({9, PausedBy(state)});
  state.Apply({9, Decides(state, DecisionKind::kTryAgain, "second")});
  while (state.phase() != Phase::kClosed) state.Apply({9, fixture_.Next(state)});
}

TEST(FederationState, ARefusedUpdateOfTheActiveSiteStopsEveryPlan) {
  const ConsortiumFixture fixture;
  FederationState state = fixture.StateIn(Phase::kRoundOpen);
  state.Apply({9, RefusedEntry{.site = "first", .update = Sha256Of("update"), .reason = "norm"}});
  EXPECT_TRUE(state.WhyRoundCannotClose().has_value());
  state.Apply({9, PausedEntry{.sites = {"first"}, .reason = "refused"}});
  EXPECT_TRUE(state.paused());
}

TEST_F(Pause, ATaskClosesWithoutTheScoresOfASiteThatIsAway) {
  FederationState state = fixture_.StateIn(Phase::kEvaluating);
  const AbsentEntry away = state.AbsenceOf("second");
  EXPECT_EQ(away.exemplars, 0u);
  state.Apply({9, away});
  EXPECT_ERROR(ErrorCode::kRefused, "came too late",
               state.Check({9, fixture_.Says(state, "second", StatementKind::kEvaluation,
                                             ConsortiumFixture::Scores(15, 5).ToJson())}));
  while (state.task() == 0) state.Apply({9, fixture_.Next(state)});
  EXPECT_TRUE(state.matrix().Millionths(0, 0).has_value());
  EXPECT_FALSE(state.matrix().Millionths(0, 1).has_value());
  while (state.phase() != Phase::kClosed) state.Apply(ParseEntry(EntryToText({9, fixture_.Next(state)})));
  EXPECT_EQ(state.ExpectedPlanClosed().average_accuracy_millionths, 875'000);
}

TEST_F(Pause, ASiteMayJoinAsLateAsItsOwnTask) {
  FederationState state = fixture_.NewState();
  state.Apply({1, fixture_.Founding()});
  state.Apply({2, fixture_.Joins("first")});
  state.Apply({3, fixture_.Plans()});
  EXPECT_TRUE(state.SitesToJoin().empty());
  while (state.task() == 0) state.Apply({9, fixture_.Next(state)});
  EXPECT_EQ(state.SitesToJoin(), std::vector<std::string>{"second"});
  EXPECT_ERROR(ErrorCode::kConflict, "before second has joined", state.Check({9, fixture_.Next(state)}));
  EXPECT_FALSE(state.matrix().Millionths(0, 1).has_value());
  state.Apply({9, fixture_.Joins("second")});
  while (state.phase() != Phase::kClosed) state.Apply({9, fixture_.Next(state)});
}

class RetentionGate : public testing::Test {
 protected:
  RetentionGate() {
    fixture_.UsePlan(testing_support::SmallPlanText(
        fixture_.weights, "federated", std::string(testing_support::kSmallTasks) + testing_support::kRetentionGate));
  }
  // The judge, `first`, says that so many of its 25 pictures agree.
  void Judge(FederationState& state, std::uint64_t agrees) {
    state.Apply({9, fixture_.Says(state, "first", StatementKind::kJudgement,
                                  JudgementReport{.pictures = 25, .agrees = agrees}.ToJson())});
  }
  // Task 1, all updates of its first round are there.
  FederationState Answered() {
    FederationState state = fixture_.StateIn(Phase::kRoundOpen, 1);
    while (state.updates().size() < 2) state.Apply({9, fixture_.Next(state)});
    return state;
  }
  ConsortiumFixture fixture_;
};

TEST_F(RetentionGate, APlanRunsThroughItAndReadsBack) {
  FederationState state = fixture_.NewState();
  FederationState again = fixture_.NewState();
  std::size_t candidates = 0;
  const auto append = [&](const Entry& entry) {
    state.Apply(entry);
    again.Apply(ParseEntry(EntryToText(entry)));
    candidates += std::holds_alternative<CandidateEntry>(entry.body) ? 1 : 0;
  };
  for (const Entry& entry : fixture_.Opening()) append(entry);
  while (state.phase() != Phase::kClosed) append({9, fixture_.Next(state)});
  EXPECT_EQ(candidates, 2u) << "two rounds of the second task; nobody judges in the first";
  EXPECT_EQ(again.model(), state.model());
}

TEST_F(RetentionGate, HalvesAStepThatLosesTooMuchAndGivesItUpInTheEnd) {
  FederationState state = Answered();
  const Digest base = state.model();
  RoundClosedEntry ungated{.task = 1, .round = 0, .weights = state.RoundWeights(), .step = {}, .model = Sha256Of("m")};
  EXPECT_ERROR(ErrorCode::kConflict, "cannot stand here", state.Check({9, ungated}));
  EXPECT_ERROR(ErrorCode::kRefused, "whole step", state.Check({9, ConsortiumFixture::Candidate(state, 1)}));
  EXPECT_TRUE(state.carries_residual("first"));

  state.Apply({9, ConsortiumFixture::Candidate(state, 0)});
  EXPECT_EQ(AssignmentFor(state, "first").job->kind, JobKind::kJudge);
  EXPECT_EQ(AssignmentFor(state, "first").job->model, state.candidate()->model);
  EXPECT_EQ(AssignmentFor(state, "second").action, Action::kWait);
  EXPECT_ERROR(ErrorCode::kConflict, "judged and found wanting",
               state.Check({9, ConsortiumFixture::Candidate(state, 1)}));
  Judge(state, 19);  // 6 of 25 turned from the teacher, 5 may.
  EXPECT_FALSE(state.CandidateAccepted());
  EXPECT_ERROR(ErrorCode::kConflict, "halved first", state.Check({9, ConsortiumFixture::Closed(state)}));
  EXPECT_ERROR(ErrorCode::kRefused, "too often", state.Check({9, ConsortiumFixture::Candidate(state, 2)}));
  for (const std::uint32_t halvings : {1u, 2u}) {
    state.Apply({9, ConsortiumFixture::Candidate(state, halvings)});
    Judge(state, 10);
  }
  EXPECT_ERROR(ErrorCode::kRefused, "too often", state.Check({9, ConsortiumFixture::Candidate(state, 3)}));
  RoundClosedEntry taken = ConsortiumFixture::Closed(state);
  taken.model = state.candidate()->model;
  taken.rejected = false;
  EXPECT_ERROR(ErrorCode::kRefused, "what the judgements give", state.Check({9, taken}));
  state.Apply({9, ConsortiumFixture::Closed(state)});
  EXPECT_EQ(state.model(), base) << "given up: the next round starts from the same model";
  EXPECT_FALSE(state.carries_residual("first"));
  EXPECT_FALSE(state.last_step().has_value());
}

TEST_F(RetentionGate, ComparesWithWhatTheRoundsBaseKept) {
  FederationState state = Answered();
  state.Apply({9, ConsortiumFixture::Candidate(state, 0)});
  Judge(state, 20);  // 5 fewer than all 25.
  EXPECT_TRUE(state.CandidateAccepted());
  RoundClosedEntry halved = ConsortiumFixture::Closed(state);
  halved.halvings = 1;
  EXPECT_ERROR(ErrorCode::kRefused, "what the judgements give", state.Check({9, halved}));
  state.Apply({9, ConsortiumFixture::Closed(state)});
  EXPECT_TRUE(state.carries_residual("first"));
  while (state.phase() != Phase::kJudging) state.Apply({9, fixture_.Next(state)});
  // Fewer pictures, if some were withdrawn: then the base keeps at most that many of them.
  FederationState fewer = state;
  fewer.Apply({9, fixture_.Says(fewer, "first", StatementKind::kJudgement,
                                JudgementReport{.pictures = 18, .agrees = 15}.ToJson())});
  EXPECT_TRUE(fewer.CandidateAccepted()) << "3 fewer than 18, not 5 fewer than 20 of 18";
  FederationState more = Answered();
  more.Apply({9, ConsortiumFixture::Candidate(more, 0)});
  more.Apply({9, fixture_.Says(more, "first", StatementKind::kJudgement,
                               JudgementReport{.pictures = 24, .agrees = 24}.ToJson())});
  more.Apply({9, ConsortiumFixture::Closed(more)});
  while (more.phase() != Phase::kJudging) more.Apply({9, fixture_.Next(more)});
  EXPECT_ERROR(ErrorCode::kRefused, "more pictures than it judged the round's base by",
               more.Check({9, fixture_.Says(more, "first", StatementKind::kJudgement,
                                            JudgementReport{.pictures = 25, .agrees = 24}.ToJson())}));
  EXPECT_ERROR(ErrorCode::kRefused, "no judge",
               state.Check({9, fixture_.Says(state, "second", StatementKind::kJudgement,
                                             JudgementReport{.pictures = 25, .agrees = 24}.ToJson())}));
  Judge(state, 15);  // 5 fewer than the 20 of the round before.
  EXPECT_TRUE(state.CandidateAccepted());
}

ConsortiumFixture AnalyticFixture() {
  ConsortiumFixture fixture;
  fixture.UsePlan(testing_support::AnalyticPlanText(fixture.weights));
  return fixture;
}

TEST(FederationState, AnAnalyticPlanRunsFromFoundingToClosedAndReadsBackFromItsTexts) {
  const ConsortiumFixture fixture = AnalyticFixture();
  FederationState state = fixture.NewState(), again = fixture.NewState();
  const auto append = [&](const Entry& entry) {
    state.Apply(entry);
    again.Apply(ParseEntry(EntryToText(entry)));
  };
  for (const Entry& entry : fixture.Opening()) append(entry);
  while (state.phase() != Phase::kClosed) append({6, fixture.Next(state)});
  EXPECT_EQ(again.phase(), Phase::kClosed);
  EXPECT_EQ(again.model(), Sha256Of("head 1"));
  EXPECT_EQ(again.totals(), Sha256Of("totals 1"));
}

TEST(FederationState, TheTrunkStaysAndTheHeadIsTheModelOfATask) {
  const ConsortiumFixture fixture = AnalyticFixture();
  FederationState state = fixture.StateIn(Phase::kSumming, 1);
  EXPECT_EQ(state.model(), fixture.weights);
  EXPECT_EQ(state.teacher(), Sha256Of("head 0"));
  const Assignment sums = AssignmentFor(state, "second");
  ASSERT_EQ(sums.action, Action::kRunJob);
  EXPECT_EQ(sums.job->kind, JobKind::kSum);
  EXPECT_EQ(sums.job->model, fixture.weights);
  EXPECT_EQ(AssignmentFor(state, "first").action, Action::kWait);
  state = fixture.StateIn(Phase::kEvaluating, 1);
  const Assignment scores = Assignment::FromText(AssignmentFor(state, "first").ToText());
  EXPECT_EQ(scores.job->model, Sha256Of("head 1"));
  EXPECT_EQ(scores.job->trunk, fixture.weights);
  EXPECT_EQ(scores.Objects(nullptr), (std::vector<Digest>{fixture.plan, Sha256Of("head 1"), fixture.weights}));
  state = fixture.StateIn(Phase::kClosed, 2);
  EXPECT_EQ(AssignmentFor(state, "first").trunk, fixture.weights);
}

TEST(FederationState, SumsKeepToTheCommitmentTheTaskAndTheLeastNumberOfPictures) {
  ConsortiumFixture fixture;
  fixture.UsePlan(testing_support::AnalyticPlanText(fixture.weights, testing_support::kMixedTasks));
  const FederationState state = fixture.StateIn(Phase::kSumming);
  const auto says = [&](ClassCounts classes) {
    SumsReport report = ConsortiumFixture::Sums(state);
    report.classes = std::move(classes);
    report.pictures = 0;
    for (const auto& count : report.classes) report.pictures += count.value_or(0);
    return Entry{9, fixture.Says(state, "first", StatementKind::kSums, report.ToJson())};
  };
  EXPECT_NO_THROW(state.Check(says({29, std::nullopt})));
  EXPECT_NO_THROW(state.Check(says({std::nullopt, std::nullopt})));
  EXPECT_ERROR(ErrorCode::kRefused, "more pictures than it committed to", state.Check(says({31, std::nullopt})));
  EXPECT_ERROR(ErrorCode::kRefused, "min_pictures", state.Check(says({9, std::nullopt})));
  EXPECT_ERROR(ErrorCode::kRefused, "monocyte is not of this task", state.Check(says({30, 10})));
  EXPECT_ERROR(ErrorCode::kRefused, "another number of classes", state.Check(says({30})));
  const FederationState later = fixture.StateIn(Phase::kSumming, 1);
  SumsReport twice = ConsortiumFixture::Sums(state);
  twice.classes = {std::nullopt, 30};
  EXPECT_ERROR(ErrorCode::kRefused, "those of first in task 1",
               later.Check({9, fixture.Says(later, "first", StatementKind::kSums, twice.ToJson())}));
  EXPECT_ERROR(
      ErrorCode::kRefused, "does not take part",
      state.Check({9, fixture.Says(state, "second", StatementKind::kSums, ConsortiumFixture::Sums(state).ToJson())}));
}

TEST(FederationState, RefusedSumsStopTheTaskAndHeadsFollowFromTheSignedSums) {
  const ConsortiumFixture fixture = AnalyticFixture();
  FederationState refused = fixture.StateIn(Phase::kSumming);
  refused.Apply({9, RefusedEntry{.site = "first", .update = Sha256Of("sums"), .reason = "broken"}});
  EXPECT_EQ(refused.phase(), Phase::kSumming);
  EXPECT_TRUE(refused.Awaited().empty());
  EXPECT_EQ(AssignmentFor(refused, "first").action, Action::kWait);
  EXPECT_NE(refused.WhyRoundCannotClose().value_or("").find("sums of the active site first"), std::string::npos);
  EXPECT_ERROR(ErrorCode::kConflict, "already answered",
               refused.Check({9, fixture.Says(refused, "first", StatementKind::kSums,
                                              ConsortiumFixture::Sums(refused).ToJson())}));
  EXPECT_THROW(refused.Check({9, RefusedEntry{.site = "first", .reason = "again"}}), Error);

  const FederationState state = fixture.StateIn(Phase::kSolving);
  auto head = std::get<HeadSolvedEntry>(fixture.Next(state));
  head.sums = Sha256Of("others");
  EXPECT_ERROR(ErrorCode::kRefused, "the sums that the site signed", state.Check({9, head}));
  head = std::get<HeadSolvedEntry>(fixture.Next(state));
  head.totals = Sha256Of("others");
  EXPECT_ERROR(ErrorCode::kRefused, "first task's totals", state.Check({9, head}));
  head = std::get<HeadSolvedEntry>(fixture.Next(state));
  head.task = 1;
  EXPECT_ERROR(ErrorCode::kConflict, "not of the open task", state.Check({9, head}));
}

TEST(FederationState, EveryEntryOutOfItsPhaseIsRefusedAndChangesNothing) {
  const ConsortiumFixture fixture;
  // One good entry of each phase, offered in every other phase.
  std::vector<std::pair<Phase, EntryBody>> good;
  for (const Phase phase : {Phase::kBetweenTasks, Phase::kCommitting, Phase::kBetweenRounds, Phase::kRoundOpen,
                            Phase::kAcknowledging, Phase::kEvaluating}) {
    good.emplace_back(phase, fixture.Next(fixture.StateIn(phase)));
  }
  // None of them stands in a plan that sums, and the other way round.
  const ConsortiumFixture analytic = AnalyticFixture();
  for (const Phase phase : {Phase::kSumming, Phase::kSolving}) {
    const FederationState summing = analytic.StateIn(phase);
    for (const auto& [unused, body] : good) EXPECT_THROW(summing.Check({7, body}), Error) << EntryTypeName(body);
    for (const auto& [where, unused] : good) {
      EXPECT_THROW(fixture.StateIn(where).Check({7, analytic.Next(summing)}), Error) << PhaseName(where);
    }
  }
  for (const auto& [where, unused] : good) {
    FederationState state = fixture.StateIn(where);
    const std::uint64_t entries = state.entries();
    for (const auto& [phase, body] : good) {
      if (phase == where) continue;
      EXPECT_THROW(state.Apply({7, body}), Error) << EntryTypeName(body) << " while " << PhaseName(where);
    }
    EXPECT_EQ(state.entries(), entries);
    EXPECT_EQ(state.phase(), where);
    EXPECT_NO_THROW(state.Apply({7, fixture.Next(state)}));
  }
}

TEST(FederationState, TheFirstEntryAndOnlyTheFirstFoundsTheConsortium) {
  const ConsortiumFixture fixture;
  FederationState state = fixture.NewState();
  EXPECT_ERROR(ErrorCode::kConflict, "first entry", state.Apply({1, fixture.Joins("first")}));
  state.Apply({1, fixture.Founding()});
  EXPECT_ERROR(ErrorCode::kConflict, "first entry", state.Apply({1, fixture.Founding()}));
}

TEST(FederationState, RosterChangesNeedTheOperatorAndTheLab) {
  const ConsortiumFixture fixture;
  FederationState state = fixture.NewState();
  state.Apply({1, fixture.Founding()});

  RosterEntry forged = fixture.Joins("first");
  SignOperatorRoster(KeyNumber(66), forged);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not signed by the operator", state.Apply({2, forged}));

  RosterEntry stolen = fixture.Joins("first");
  stolen.lab_signature = SignLabIdentity(KeyNumber(66), stolen.lab);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "did not sign its own identity", state.Apply({2, stolen}));

  state.Apply({2, fixture.Joins("first")});
  EXPECT_ERROR(ErrorCode::kConflict, "taken", state.Apply({3, fixture.Joins("first")}));

  testing_support::Lab twin = MakeLab("third", 13);
  twin.identity.curve_key = fixture.labs.at("first").identity.curve_key;
  RosterEntry shared{.joins = true, .lab = twin.identity, .lab_signature = SignLabIdentity(twin.key, twin.identity)};
  SignOperatorRoster(fixture.operator_key, shared);
  EXPECT_ERROR(ErrorCode::kRefused, "uses a key of lab first", state.Apply({3, shared}));
}

TEST(FederationState, ARevokedLabCannotSpeak) {
  const ConsortiumFixture fixture;
  FederationState state = fixture.StateIn(Phase::kRoundOpen);
  const EntryBody update = fixture.Next(state);
  RosterEntry revoked{.joins = false, .lab = fixture.labs.at("first").identity};
  SignOperatorRoster(fixture.operator_key, revoked);
  state.Apply({8, revoked});
  EXPECT_ERROR(ErrorCode::kRefused, "not in the roster", state.Apply({9, update}));
}

TEST(FederationState, APlanNeedsTheOperatorsSignatureAndItsOwnBytes) {
  const ConsortiumFixture fixture;
  FederationState state = fixture.NewState();
  state.Apply({1, fixture.Founding()});
  PlanEntry forged = fixture.Plans();
  forged.operator_signature = SignOperatorPlan(KeyNumber(66), fixture.plan);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not signed by the operator", state.Apply({2, forged}));

  FederationState swapped([](const Digest&) { return "format = 1\n"; });
  swapped.Apply({1, fixture.Founding()});
  EXPECT_ERROR(ErrorCode::kCorrupt, "another digest", swapped.Apply({2, fixture.Plans()}));
  EXPECT_FALSE(swapped.has_plan());
}

TEST(FederationState, ATaskWaitsForEveryLabOfThePlan) {
  const ConsortiumFixture fixture;
  FederationState state = fixture.NewState();
  for (const Entry& entry :
       {Entry{1, fixture.Founding()}, Entry{2, fixture.Joins("first")}, Entry{3, fixture.Plans()}}) {
    state.Apply(entry);
  }
  EXPECT_ERROR(ErrorCode::kConflict, "before second has joined", state.Apply({4, fixture.Next(state)}));
}

TEST(FederationState, SignaturesHoldForOneSiteRoundAndModelOnly) {
  const ConsortiumFixture fixture;
  FederationState state = fixture.StateIn(Phase::kRoundOpen, 1);
  const auto good = std::get<StatementEntry>(fixture.Next(state));

  StatementEntry other_site = good;
  other_site.site = "first";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not signed by the lab's statement key", state.Apply({9, other_site}));
  StatementEntry other_body = good;
  other_body.statement.body["pictures"] = 1;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not signed", state.Apply({9, other_body}));

  SiteStatement late = good.statement;
  late.round = 1;
  EXPECT_ERROR(ErrorCode::kConflict, "another task or round", state.Apply({9, fixture.Says(good.site, late)}));
  SiteStatement elsewhere = good.statement;
  elsewhere.subject = Sha256Of("another model");
  EXPECT_ERROR(ErrorCode::kRefused, "another model", state.Apply({9, fixture.Says(good.site, elsewhere)}));
}

TEST(FederationState, UpdatesKeepToCommitmentTeacherAndSteps) {
  const ConsortiumFixture fixture;
  const FederationState state = fixture.StateIn(Phase::kRoundOpen, 1);
  const auto says = [&](const UpdateReport& report) {
    const StatementEntry entry = fixture.Says(state, "second", StatementKind::kUpdate, report.ToJson());
    state.Check(Entry{9, entry});
  };
  UpdateReport report = ConsortiumFixture::Update(state, "second");
  EXPECT_NO_THROW(says(report));
  report.pictures = 51;
  EXPECT_ERROR(ErrorCode::kRefused, "more pictures than it committed to", says(report));
  report = ConsortiumFixture::Update(state, "second");
  report.teacher = Sha256Of("another teacher");
  EXPECT_ERROR(ErrorCode::kRefused, "another teacher", says(report));
  report = ConsortiumFixture::Update(state, "second");
  report.probe->pictures = 17;
  EXPECT_ERROR(ErrorCode::kRefused, "another number of pictures", says(report));
  report.probe.reset();
  EXPECT_ERROR(ErrorCode::kRefused, "its probe of distillation is missing", says(report));
  report = ConsortiumFixture::Update(state, "second");
  report.steps = 3;
  EXPECT_ERROR(ErrorCode::kRefused, "number of steps", says(report));
}

TEST(FederationState, ASiteAnswersOnceAndARefusalCountsAsItsAnswer) {
  const ConsortiumFixture fixture;
  FederationState state = fixture.StateIn(Phase::kRoundOpen, 1);
  const RefusedEntry refusal{
      .site = "second", .task = 1, .round = 0, .update = Sha256Of("u"), .reason = "over the norm bound"};
  state.Apply({9, refusal});
  EXPECT_ERROR(ErrorCode::kConflict, "does not belong", state.Apply({9, refusal}));
  EXPECT_ERROR(ErrorCode::kConflict, "already answered",
               state.Apply({9, fixture.Says(state, "second", StatementKind::kUpdate,
                                            ConsortiumFixture::Update(state, "second").ToJson())}));
  state.Apply({9, fixture.Next(state)});
  // The whole weight goes to the one accepted update.
  EXPECT_EQ(state.RoundWeights(), (std::vector<std::pair<std::string, std::uint32_t>>{{"first", 1u << 15}}));
  EXPECT_FALSE(state.carries_residual("second"));
  EXPECT_TRUE(state.carries_residual("first"));
}

TEST(FederationState, ClosingEntriesMustSayWhatTheLogGives) {
  const ConsortiumFixture fixture;
  FederationState state = fixture.StateIn(Phase::kRoundOpen, 1);
  while (state.updates().size() < 2) state.Apply({9, fixture.Next(state)});
  auto closed = std::get<RoundClosedEntry>(fixture.Next(state));
  closed.weights[0].second -= 1;
  closed.weights[1].second += 1;
  EXPECT_ERROR(ErrorCode::kRefused, "weights", state.Apply({9, closed}));

  FederationState evaluating = fixture.StateIn(Phase::kEvaluating, 1);
  while (evaluating.evaluations().size() < 2) evaluating.Apply({9, fixture.Next(evaluating)});
  auto task_closed = std::get<TaskClosedEntry>(fixture.Next(evaluating));
  *task_closed.accuracy_millionths[0] += 1;
  EXPECT_ERROR(ErrorCode::kRefused, "accuracies", evaluating.Apply({9, task_closed}));

  FederationState finished = fixture.StateIn(Phase::kBetweenTasks, 2);
  auto plan_closed = finished.ExpectedPlanClosed();
  *plan_closed.average_accuracy_millionths += 1;
  EXPECT_ERROR(ErrorCode::kRefused, "metrics", finished.Apply({9, plan_closed}));
}

TEST(AssignmentFor, FollowsTheStateAndSurvivesItsText) {
  const ConsortiumFixture fixture;
  const auto check = [&](Phase phase, std::uint32_t task, const std::string& site, Action action) {
    const Assignment assignment = AssignmentFor(fixture.StateIn(phase, task), site);
    EXPECT_EQ(assignment.action, action) << PhaseName(phase) << " " << site;
    const Assignment again = Assignment::FromText(assignment.ToText());
    EXPECT_EQ(again.ToText(), assignment.ToText());
    return again;
  };
  check(Phase::kBetweenTasks, 0, "first", Action::kWait);
  EXPECT_EQ(check(Phase::kCommitting, 0, "first", Action::kRunJob).job->kind, JobKind::kCommit);
  check(Phase::kCommitting, 0, "second", Action::kWait);
  const Assignment training = check(Phase::kRoundOpen, 1, "first", Action::kRunJob);
  EXPECT_TRUE(training.job->rehearsing);
  EXPECT_TRUE(training.job->teacher.has_value());
  EXPECT_EQ(training.Objects(nullptr).size(), 3u);
  check(Phase::kAcknowledging, 0, "first", Action::kAcknowledge);
  EXPECT_EQ(check(Phase::kEvaluating, 0, "first", Action::kRunJob).job->kind, JobKind::kSelect);
  EXPECT_EQ(check(Phase::kEvaluating, 0, "second", Action::kRunJob).job->kind, JobKind::kEvaluate);
  check(Phase::kClosed, 2, "second", Action::kFinished);
  EXPECT_EQ(AssignmentFor(fixture.StateIn(Phase::kRoundOpen), "stranger").action, Action::kWait);
}

TEST(Assignment, RefusesTextsThatDoNotFitTogether) {
  const ConsortiumFixture fixture;
  const std::string good = AssignmentFor(fixture.StateIn(Phase::kRoundOpen), "first").ToText();
  auto broken = nlohmann::json::parse(good);
  broken["action"] = "dance";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "action", (void)Assignment::FromText(broken.dump()));
  broken = nlohmann::json::parse(good);
  broken["job"] = nullptr;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "job", (void)Assignment::FromText(broken.dump()));
  broken = nlohmann::json::parse(good);
  broken["plan_signature"] = nullptr;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "plan", (void)Assignment::FromText(broken.dump()));
  broken = nlohmann::json::parse(good);
  broken["extra"] = 1;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "extra", (void)Assignment::FromText(broken.dump()));
}

TEST(ParseEntry, RefusesEveryTextThatIsNotTheCanonicalFormOfAKnownEntry) {
  const ConsortiumFixture fixture;
  const std::string good = EntryToText({1, fixture.Joins("first")});
  EXPECT_EQ(EntryToText(ParseEntry(good)), good);
  EXPECT_THROW((void)ParseEntry(good + " "), Error);
  EXPECT_THROW((void)ParseEntry("{}"), Error);
  auto entry = nlohmann::json::parse(good);
  entry["type"] = "unknown";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "type of entry", (void)ParseEntry(entry.dump()));
  entry = nlohmann::json::parse(good);
  entry["lab"]["slot"] = "No Plain Name";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "plain name", (void)ParseEntry(entry.dump()));
}

}  // namespace
}  // namespace hemafed
