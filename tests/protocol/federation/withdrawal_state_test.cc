// SPDX-License-Identifier: Apache-2.0
//
// What the log lets labs say about pictures that travelled and are taken back.
#include <gtest/gtest.h>

#include "protocol/federation/assignment.h"
#include "protocol/federation/federation_state.h"
#include "protocol/federation/lab_withdrawals.h"
#include "protocol/federation/partner_word.h"
#include "tests/expect_error.h"
#include "tests/protocol/federation/consortium_fixture.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using nlohmann::json;
using testing_support::ConsortiumFixture;
using testing_support::KeyNumber;

class Withdrawals : public testing::Test {
 protected:
  Withdrawals() { fixture_.UsePlan(testing_support::SmallPlanText(fixture_.weights, "sealed")); }

  Entry Says(const std::string& site, StatementKind kind, json body) const {
    return {9, fixture_.Says(site,
                             {.kind = kind, .task = 0, .round = 0, .subject = fixture_.plan, .body = std::move(body)})};
  }
  Entry Withdraws(const FederationState& state, const std::string& site, std::vector<std::uint64_t> items) const {
    return Says(site, StatementKind::kWithdrawal,
                WithdrawalReport{.bundle = state.bundles().front().report.file, .items = std::move(items)}.ToJson());
  }
  Entry Removed(const std::string& site, const Digest& withdrawal) const {
    return Says(site, StatementKind::kRemoved, RemovedReport{.withdrawal = withdrawal}.ToJson());
  }
  // The second hospital holds the bundle of the first, of eight pictures.
  FederationState Held() const { return fixture_.StateIn(Phase::kBetweenRounds, 1); }

  ConsortiumFixture fixture_;
};

TEST_F(Withdrawals, OnlyTheGiverWithdrawsAndOnlyWhatTheBundleHolds) {
  FederationState state = Held();
  const std::uint64_t items = state.bundles().front().report.items;
  EXPECT_ERROR(ErrorCode::kRefused, "no bundle of this site", state.Check(Withdraws(state, "second", {0})));
  EXPECT_ERROR(ErrorCode::kRefused, "no bundle of this site",
               state.Check(Says("first", StatementKind::kWithdrawal,
                                WithdrawalReport{.bundle = Sha256Of("another"), .items = {0}}.ToJson())));
  EXPECT_ERROR(ErrorCode::kRefused, "so many pictures", state.Check(Withdraws(state, "first", {0, items})));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "does not ascend", state.Check(Withdraws(state, "first", {1, 1})));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "is empty", state.Check(Withdraws(state, "first", {})));
  std::vector<std::uint64_t> many(kMaxWithdrawnItems + 1);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = i;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "items", state.Check(Withdraws(state, "first", many)));
  state.Apply(Withdraws(state, "first", {0, items - 1}));
  EXPECT_EQ(state.withdrawals().size(), 1u);
}

TEST_F(Withdrawals, EachAddsSomething) {
  FederationState state = Held();
  state.Apply(Withdraws(state, "first", {0, 2}));
  EXPECT_ERROR(ErrorCode::kConflict, "withdrawn already", state.Check(Withdraws(state, "first", {0, 2})));
  EXPECT_ERROR(ErrorCode::kConflict, "withdrawn already", state.Check(Withdraws(state, "first", {2})));
  // A lab whose notes of what it said were lost says it all again.
  state.Apply(Withdraws(state, "first", {0, 1, 2}));
  EXPECT_ERROR(ErrorCode::kConflict, "withdrawn already", state.Check(Withdraws(state, "first", {0, 1})));
}

TEST_F(Withdrawals, OnlyTheHolderStatesARemovalAndOnlyOfWhatIsDue) {
  FederationState state = Held();
  EXPECT_EQ(state.WithdrawalToRemove("second"), nullptr);
  EXPECT_ERROR(ErrorCode::kConflict, "to carry out now", state.Check(Removed("second", Sha256Of("none"))));
  state.Apply(Withdraws(state, "first", {0, 2}));
  state.Apply(Withdraws(state, "first", {3}));
  EXPECT_EQ(state.MissingRemovals(), (std::vector<std::string>{"second"}));

  const Assignment assignment = AssignmentFor(state, "second");
  ASSERT_EQ(assignment.job->kind, JobKind::kRemove);
  const Assignment read = Assignment::FromText(assignment.ToText());
  EXPECT_EQ(read.job, assignment.job);
  EXPECT_EQ(read.Objects(nullptr), (std::vector<Digest>{fixture_.plan})) << "a removal needs no model";
  const ExpectedRemoval first = ExpectedRemovalOf(*assignment.job, fixture_.operator_key.PublicKey());
  EXPECT_EQ(first.report.items, (std::vector<std::uint64_t>{0, 2}));
  EXPECT_EQ(first.id, state.withdrawals()[0].id);

  EXPECT_ERROR(ErrorCode::kConflict, "to carry out now", state.Check(Removed("first", first.id)));
  EXPECT_ERROR(ErrorCode::kConflict, "to carry out now", state.Check(Removed("second", state.withdrawals()[1].id)));
  state.Apply(Removed("second", first.id));
  EXPECT_ERROR(ErrorCode::kConflict, "to carry out now", state.Check(Removed("second", first.id)));
  EXPECT_EQ(ExpectedRemovalOf(*AssignmentFor(state, "second").job, fixture_.operator_key.PublicKey()).id,
            state.withdrawals()[1].id);
  state.Apply(Removed("second", state.withdrawals()[1].id));
  EXPECT_TRUE(state.MissingRemovals().empty());
  EXPECT_EQ(AssignmentFor(state, "second").action, Action::kWait);
}

TEST_F(Withdrawals, BeforeABundleIsHeldThereIsNothingToRemove) {
  FederationState state = fixture_.StateIn(Phase::kCommitting, 1);
  ASSERT_FALSE(state.bundles().front().received);
  state.Apply(Withdraws(state, "first", {1}));
  EXPECT_TRUE(state.MissingRemovals().empty());
  EXPECT_EQ(AssignmentFor(state, "second").job->kind, JobKind::kReceive);
  FederationState broken = state;
  state.Apply({9, fixture_.Next(state)});
  EXPECT_EQ(AssignmentFor(state, "second").job->kind, JobKind::kRemove) << "before it commits";
  broken.Apply(
      {9, fixture_.Says(
              broken, "second", StatementKind::kReceived,
              ReceivedReport{.bundle = broken.bundles().front().report.file, .held = 0, .trouble = BundleTrouble::kSeal}
                  .ToJson())});
  EXPECT_TRUE(broken.MissingRemovals().empty()) << "nothing of it is held";
}

TEST_F(Withdrawals, NothingWaitsForARemovalAndThePlanCanEndBeforeIt) {
  FederationState state = Held();
  state.Apply(Withdraws(state, "first", {0}));
  const Job before = *AssignmentFor(state, "second").job;
  while (state.phase() != Phase::kClosed) state.Apply({9, fixture_.Next(state)});
  EXPECT_EQ(state.MissingRemovals(), (std::vector<std::string>{"second"}));
  EXPECT_EQ(AssignmentFor(state, "first").action, Action::kFinished);
  const Assignment assignment = AssignmentFor(state, "second");
  ASSERT_EQ(assignment.action, Action::kRunJob);
  EXPECT_EQ(*assignment.job, before) << "a trainer that is slow does not begin anew";
  // After the plan, too.
  state.Apply(Withdraws(state, "first", {1}));
  while (const Withdrawal* due = state.WithdrawalToRemove("second")) state.Apply(Removed("second", due->id));
  EXPECT_EQ(AssignmentFor(state, "second").action, Action::kFinished);
}

TEST_F(Withdrawals, BehindARemovalNoUpdateCarriesWhatRoundingLeftOfRemovedPictures) {
  FederationState kept = Held();
  const auto go_to = [&](FederationState& state, Phase phase) {
    while (state.phase() != phase) state.Apply({9, fixture_.Next(state)});
  };
  go_to(kept, Phase::kRoundOpen);
  go_to(kept, Phase::kBetweenRounds);
  ASSERT_TRUE(kept.carries_residual("second"));
  kept.Apply(Withdraws(kept, "first", {0}));
  EXPECT_TRUE(kept.carries_residual("second")) << "it still holds the pictures";
  FederationState removed = kept;
  removed.Apply(Removed("second", removed.WithdrawalToRemove("second")->id));
  EXPECT_FALSE(removed.carries_residual("second"));
  EXPECT_EQ(removed.carries_residual("first"), kept.carries_residual("first"));
  go_to(removed, Phase::kRoundOpen);
  const Assignment next = AssignmentFor(removed, "second");
  ASSERT_EQ(next.job->kind, JobKind::kTrain);
  EXPECT_EQ(next.job->round, 1u);
  EXPECT_FALSE(next.job->carry_residual);
}

TEST_F(Withdrawals, AnyNumberThatIsChangedIsFound) {
  FederationState state = Held();
  const Entry withdrawal = Withdraws(state, "first", {0, 2, 5});
  for (const char* pointer : {"/items/0", "/items/1", "/items/2"}) {
    Entry changed = withdrawal;
    json& number = std::get<StatementEntry>(changed.body).statement.body.at(json::json_pointer(pointer));
    number = number.get<std::uint64_t>() + 1;
    EXPECT_ERROR(ErrorCode::kInvalidInput, "not signed", state.Check(changed));
  }
  Entry elsewhere = withdrawal;
  std::get<StatementEntry>(elsewhere.body).statement.round = 1;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not signed", state.Check(elsewhere));
  // ... and signed by the lab, but not about the plan.
  EXPECT_ERROR(ErrorCode::kRefused, "not about the plan",
               state.Check({9, fixture_.Says("first", std::get<StatementEntry>(elsewhere.body).statement)}));
}

TEST_F(Withdrawals, APartnersWithdrawalCountsOnlyWithItsSignatures) {
  FederationState state = Held();
  state.Apply(Withdraws(state, "first", {4}));
  Job job = *AssignmentFor(state, "second").job;
  EXPECT_ERROR(ErrorCode::kRefused, "operator did not sign", (void)ExpectedRemovalOf(job, KeyNumber(3).PublicKey()));
  StatementEntry forged = state.withdrawals()[0].entry;
  forged.statement.body["items"] = {5};
  job.partner = PartnerOf(state.admission("first"), forged);
  EXPECT_ERROR(ErrorCode::kRefused, "not signed by that lab",
               (void)ExpectedRemovalOf(job, fixture_.operator_key.PublicKey()));
  job.partner = PartnerOf(state.admission("first"), state.bundles().front().entry);
  EXPECT_ERROR(ErrorCode::kRefused, "none of the kind 'withdrawal'",
               (void)ExpectedRemovalOf(job, fixture_.operator_key.PublicKey()));
}

TEST_F(Withdrawals, TheLargestOneFitsALogEntryAndAnAssignment) {
  std::vector<std::uint64_t> items(kMaxWithdrawnItems);
  for (std::size_t i = 0; i < items.size(); ++i) items[i] = 65'536 - kMaxWithdrawnItems + i;
  const Entry entry =
      Says("first", StatementKind::kWithdrawal, WithdrawalReport{.bundle = Sha256Of("a"), .items = items}.ToJson());
  EXPECT_LE(EntryToText(entry).size(), kMaxPartnerTextBytes);
  Job job{.kind = JobKind::kRemove, .plan = fixture_.plan, .site = "second"};
  job.partner = PartnerOf(Held().admission("first"), std::get<StatementEntry>(entry.body));
  EXPECT_LE(job.ToText().size(), kMaxJobBytes);
  EXPECT_EQ(Job::FromText(job.ToText(), "job"), job);
}

TEST_F(Withdrawals, ALabsDecisionsComeBackFromTheirFiles) {
  const testing_support::Scratch scratch;
  const LabWithdrawals decided{
      .plan = fixture_.plan,
      .reports = {{.bundle = Sha256Of("a"), .items = {1, 3}}, {.bundle = Sha256Of("b"), .items = {0}}}};
  const Path path = scratch / "withdrawals.json";
  EXPECT_TRUE(LoadLabWithdrawals(RealFileSystem(), path).reports.empty());
  decided.Save(RealFileSystem(), path);
  const LabWithdrawals read = LoadLabWithdrawals(RealFileSystem(), path);
  EXPECT_EQ(read.plan, decided.plan);
  EXPECT_EQ(read.reports, decided.reports);
  const std::set<Digest> said{Sha256Of("x"), Sha256Of("y")};
  SaveSaidWithdrawals(RealFileSystem(), path, said);
  EXPECT_EQ(LoadSaidWithdrawals(RealFileSystem(), path), said);
  WriteFileAtomically(RealFileSystem(), path, "{\"said\":[\"no digest\"]}");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no digest", (void)LoadSaidWithdrawals(RealFileSystem(), path));
}

}  // namespace
}  // namespace hemafed
