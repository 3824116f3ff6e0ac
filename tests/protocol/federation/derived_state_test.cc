// SPDX-License-Identifier: Apache-2.0
//
// What the log lets sites and coordinator say about class means, Fisher information, derived and slow models.
#include <gtest/gtest.h>

#include "protocol/federation/assignment.h"
#include "protocol/federation/enclosure.h"
#include "protocol/federation/federation_state.h"
#include "tests/expect_error.h"
#include "tests/protocol/federation/consortium_fixture.h"

namespace hemafed {
namespace {

using testing_support::ConsortiumFixture;
using testing_support::SmallPlanText;
using testing_support::WithStrategy;

class Derived : public testing::Test {
 protected:
  void Use(const std::string& strategy, const std::string& policy,
           const std::string& tasks = testing_support::kSmallTasks) {
    const std::string top = "observers = [\"watcher\"]\n";
    fixture_.UsePlan(WithStrategy(SmallPlanText(fixture_.weights, "federated", tasks, top), strategy, policy));
  }
  StatementEntry Sends(const FederationState& state, const std::string& site, const MeansReport& report) const {
    return fixture_.Says(state, site, StatementKind::kMeans, report.ToJson());
  }
  StatementEntry Sends(const FederationState& state, const FisherReport& report) const {
    return fixture_.Says(state, state.participants().front(), StatementKind::kFisher, report.ToJson());
  }

  ConsortiumFixture fixture_;
};

TEST_F(Derived, WholePlansRunAndReadBackFromTheirTexts) {
  struct Case {
    const char* strategy;
    const char* policy;
  };
  for (const Case& one : std::vector<Case>{{testing_support::kIcarl, "federated"},
                                           {testing_support::kIcarl, "local"},
                                           {testing_support::kEwc, "none"},
                                           {testing_support::kDerpp, "federated"},
                                           {testing_support::kWa, "federated"},
                                           {testing_support::kSlowFast, "federated"}}) {
    Use(one.strategy, one.policy, testing_support::kMixedTasks);
    FederationState state = fixture_.NewState(), again = fixture_.NewState();
    const auto append = [&](const Entry& entry) {
      state.Apply(entry);
      again.Apply(ParseEntry(EntryToText(entry)));
    };
    for (const Entry& entry : fixture_.Opening()) append(entry);
    while (state.phase() != Phase::kClosed) {
      for (const std::string& site : state.Awaited()) {
        const auto due = EnclosureDue(state, site);
        const Assignment assignment = AssignmentFor(state, site);
        EXPECT_EQ(Assignment::FromText(assignment.ToText()).ToText(), assignment.ToText());
        if (!assignment.job) continue;
        EXPECT_EQ(assignment.job->kind == JobKind::kMeans, due == StatementKind::kMeans) << one.strategy;
        EXPECT_EQ(assignment.job->kind == JobKind::kFisher, due == StatementKind::kFisher) << one.strategy;
      }
      append({5, fixture_.Next(state)});
    }
    EXPECT_EQ(again.scored_model(), state.scored_model());
    EXPECT_EQ(again.entries(), state.entries());
  }
}

TEST_F(Derived, MeansComeAfterTheExemplarsFromEveryHolderOnce) {
  Use(testing_support::kIcarl, "local");
  FederationState state = fixture_.StateIn(Phase::kSummarising, 1);
  EXPECT_EQ(state.Awaited(), (std::vector<std::string>{"second", "first"})) << "first trains not, yet it holds some";
  const MeansReport second = ConsortiumFixture::Means(state, "second");
  EXPECT_ERROR(ErrorCode::kConflict, "its exemplars come first", state.Check({5, Sends(state, "second", second)}));
  EXPECT_EQ(EnclosureDue(state, "second"), std::nullopt);
  EXPECT_ERROR(ErrorCode::kConflict, "after every holder", state.Check({5, ModelDerivedEntry{1, Sha256Of("d")}}));
  state.Apply({5, fixture_.Exemplars(state)});
  state.Apply({5, Sends(state, "second", second)});
  EXPECT_ERROR(ErrorCode::kConflict, "already sent", state.Check({5, Sends(state, "second", second)}));
  EXPECT_ERROR(ErrorCode::kRefused, "holds no exemplars",
               state.Check({5, Sends(state, "watcher", ConsortiumFixture::Means(state, "first"))}));
  const auto broken = [&](const std::function<void(MeansReport&)>& breaks) {
    MeansReport report = ConsortiumFixture::Means(state, "first");
    breaks(report);
    return Entry{5, Sends(state, "first", report)};
  };
  EXPECT_ERROR(ErrorCode::kRefused, "fewer exemplars than the plan's min_pictures",
               state.Check(broken([](MeansReport& r) { r.classes[0] = 9; })));
  EXPECT_ERROR(ErrorCode::kRefused, "more exemplars than the plan's 12",
               state.Check(broken([](MeansReport& r) { r.classes[1] = 13; })));
  EXPECT_ERROR(ErrorCode::kRefused, "another number of classes",
               state.Check(broken([](MeansReport& r) { r.classes.pop_back(); })));
  state.Apply(broken([](MeansReport& r) { r.classes[1] = std::nullopt; }));
  EXPECT_TRUE(state.Awaited().empty());
  const Digest trained = state.model();
  state.Apply({5, ModelDerivedEntry{1, Sha256Of("derived")}});
  EXPECT_EQ(state.model(), trained);
  EXPECT_EQ(state.scored_model(), Sha256Of("derived"));
  EXPECT_EQ(AssignmentFor(state, "first").job->model, Sha256Of("derived"));
}

TEST_F(Derived, AClassThatASiteNeverLearnedHasNoMeanThere) {
  Use(testing_support::kIcarl, "federated", testing_support::kMixedTasks);
  FederationState state = fixture_.StateIn(Phase::kSummarising, 0);
  state.Apply({5, fixture_.Exemplars(state)});
  MeansReport report = ConsortiumFixture::Means(state, "first");
  report.classes[1] = 12;
  EXPECT_ERROR(ErrorCode::kRefused, "class monocyte was not learned by this site",
               state.Check({5, Sends(state, "first", report)}));
}

TEST_F(Derived, FisherInformationIsDueFromTheActiveSiteUnlessTheTaskIsTheLast) {
  Use(testing_support::kEwc, "none");
  FederationState state = fixture_.StateIn(Phase::kEvaluating, 0);
  EXPECT_TRUE(state.fisher_pending());
  FisherReport report = ConsortiumFixture::Fisher(state);
  report.pictures = 21;
  EXPECT_ERROR(ErrorCode::kRefused, "more pictures than plan and commitment say",
               state.Check({5, Sends(state, report)}));
  report.pictures = 9;
  EXPECT_ERROR(ErrorCode::kRefused, "fewer than min_pictures", state.Check({5, Sends(state, report)}));
  EXPECT_ERROR(ErrorCode::kConflict, "none is due",
               state.Check({5, fixture_.Says(state, "second", StatementKind::kFisher,
                                             ConsortiumFixture::Fisher(state).ToJson())}));
  state.Apply({5, Sends(state, ConsortiumFixture::Fisher(state))});
  EXPECT_FALSE(state.fisher_pending());
  EXPECT_ERROR(ErrorCode::kConflict, "none is due", state.Check({5, Sends(state, ConsortiumFixture::Fisher(state))}));
  const FederationState last = fixture_.StateIn(Phase::kEvaluating, 1);
  EXPECT_FALSE(last.fisher_pending());
  ASSERT_EQ(last.task_ends().size(), 1u);
  EXPECT_EQ(last.task_ends()[0].fisher, ConsortiumFixture::Fisher(state).values);
}

TEST_F(Derived, SlowModelsStandWhereThePlanHasThemAndNowhereElse) {
  Use(testing_support::kSlowFast, "federated");
  FederationState state = fixture_.StateIn(Phase::kBetweenTasks, 0);
  TaskOpenedEntry opened = std::get<TaskOpenedEntry>(fixture_.Next(state));
  opened.slow.reset();
  EXPECT_ERROR(ErrorCode::kRefused, "lacks its slow model", state.Check({5, opened}));
  opened.slow = Sha256Of("another");
  EXPECT_ERROR(ErrorCode::kRefused, "is not the first base", state.Check({5, opened}));
  state = fixture_.StateIn(Phase::kRoundOpen, 0);
  EXPECT_EQ(AssignmentFor(state, "first").job->slow, state.slow());
  while (!state.Awaited().empty()) state.Apply({5, fixture_.Next(state)});
  RoundClosedEntry closed = std::get<RoundClosedEntry>(fixture_.Next(state));
  closed.slow.reset();
  EXPECT_ERROR(ErrorCode::kRefused, "lacks its slow model", state.Check({5, closed}));
  // The second task brings no class: the slow model is the one before.
  state = fixture_.StateIn(Phase::kBetweenTasks, 1);
  opened = std::get<TaskOpenedEntry>(fixture_.Next(state));
  opened.slow = Sha256Of("another");
  EXPECT_ERROR(ErrorCode::kRefused, "is not the one before", state.Check({5, opened}));

  fixture_.UsePlan(SmallPlanText(fixture_.weights));
  state = fixture_.StateIn(Phase::kBetweenTasks, 0);
  opened = std::get<TaskOpenedEntry>(fixture_.Next(state));
  opened.slow = opened.base;
  EXPECT_ERROR(ErrorCode::kRefused, "which the plan's strategy does not have", state.Check({5, opened}));
  EXPECT_ERROR(ErrorCode::kConflict, "cannot stand here", state.Check({5, ModelDerivedEntry{0, Sha256Of("d")}}));
}

TEST_F(Derived, ARehearsingSiteWhoseDistillationRisesTooFarIsRefusedUntilItFalls) {
  std::string text = SmallPlanText(fixture_.weights);
  text.replace(text.find("max_share"), 0, "max_rise = 0.25\n");
  fixture_.UsePlan(text);
  FederationState state = fixture_.StateIn(Phase::kRoundOpen, 1);
  const auto update = [&](const std::string& site, std::uint64_t before) {
    UpdateReport report = ConsortiumFixture::Update(state, site);
    report.probe->before_millionths = before;
    return Entry{5, fixture_.Says(state, site, StatementKind::kUpdate, report.ToJson())};
  };
  state.Apply(update("first", 400'000));
  state.Apply(update("second", 500'000));
  while (state.phase() != Phase::kRoundOpen || state.round() == 0) state.Apply({5, fixture_.Next(state)});
  EXPECT_EQ(state.FirstDistillation("first"), 400'000u);
  EXPECT_ERROR(ErrorCode::kRefused, "0.400 when the task began and is 0.650", state.Check(update("first", 650'001)));
  state.Check(update("first", 650'000));
  state.Check(update("second", 900'000));  // The active site is supposed to differ.
  state.Apply({5, RefusedEntry{.site = "first", .task = 1, .round = 1, .update = Sha256Of("u"), .reason = "rise"}});
}

}  // namespace
}  // namespace hemafed
