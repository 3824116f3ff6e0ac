// SPDX-License-Identifier: Apache-2.0
//
// What the log lets labs say about exemplars that travel.
#include <gtest/gtest.h>

#include "protocol/federation/assignment.h"
#include "protocol/federation/enclosure.h"
#include "protocol/federation/federation_state.h"
#include "protocol/federation/partner_word.h"
#include "tests/expect_error.h"
#include "tests/protocol/federation/consortium_fixture.h"

namespace hemafed {
namespace {

using nlohmann::json;
using testing_support::ConsortiumFixture;
using testing_support::KeyNumber;

// first, second, first again with its other class, watcher: bundles go both ways.
constexpr const char* kExchangeTasks = R"([[task]]
site = "first"
classes = ["basophil"]
rounds = 1
[[task]]
site = "second"
rounds = 1
[[task]]
site = "first"
classes = ["monocyte"]
rounds = 1
)";

class Exchange : public testing::Test {
 protected:
  Exchange() { fixture_.UsePlan(testing_support::SmallPlanText(fixture_.weights, "sealed", kExchangeTasks)); }

  FederationState Founded() const {
    FederationState state = fixture_.NewState();
    for (const Entry& entry : fixture_.Opening()) state.Apply(entry);
    return state;
  }
  // Everything of the task is done but its bundles and scores.
  FederationState Chosen(std::uint32_t task) const {
    FederationState state = fixture_.StateIn(Phase::kEvaluating, task);
    while (state.exemplars_pending()) state.Apply({5, fixture_.Next(state)});
    return state;
  }
  StatementEntry Sends(const FederationState& state, const BundleReport& report) const {
    return fixture_.Says(state, state.participants().front(), StatementKind::kBundle, report.ToJson());
  }
  StatementEntry Receives(const FederationState& state, const ReceivedReport& report) const {
    return fixture_.Says(state, state.participants().front(), StatementKind::kReceived, report.ToJson());
  }

  ConsortiumFixture fixture_;
};

TEST_F(Exchange, APlanSaysWhoGivesToWhomAndHowMuch) {
  const Plan plan = ParsePlan(fixture_.plan_text, "plan");
  EXPECT_EQ(plan.Participants(1), (std::vector<std::string>{"second"})) << "only the active site trains";
  EXPECT_EQ(BundleRecipients(plan, 0), (std::vector<std::string>{"second"}));
  EXPECT_EQ(BundleRecipients(plan, 1), (std::vector<std::string>{"first"}));
  EXPECT_TRUE(BundleRecipients(plan, 2).empty());
  EXPECT_EQ(ExchangePartners(plan, "first"), (std::vector<std::string>{"second"}));
  EXPECT_TRUE(ExchangePartners(plan, "watcher").empty());
  EXPECT_EQ(MaxBundleItemsOf(plan, 0), 4u);
  EXPECT_EQ(MaxBundleItemsOf(plan, 1), 8u);
  EXPECT_EQ(MaxBundleItemsOf(plan, 2), 0u);
  // 216 of header, 4 x (44 + 100,000) of plaintext in one chunk with a tag of 16.
  EXPECT_EQ(MaxBundleFileBytesOf(plan, 0), 216u + 4u * 100'044u + 16u);
  EXPECT_EQ(MaxBundleFileBytes(plan), 216u + 8u * 100'044u + 16u);
}

TEST_F(Exchange, APlanWhoseBundlesCannotBeIsRefused) {
  std::string text = fixture_.plan_text;
  text.replace(text.find("picture_bytes = 100000"), 22, "picture_bytes = 68157440");
  text.replace(text.find("exemplars = 4"), 13, "exemplars = 40");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "lower it, or keep fewer exemplars", (void)ParsePlan(text, "plan"));
  std::string other = fixture_.plan_text;
  other.replace(other.find("\"sealed\""), 8, "\"local\"");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "picture_bytes", (void)ParsePlan(other, "plan"));
}

TEST_F(Exchange, AWholePlanRunsAndReadsBackFromItsTexts) {
  FederationState state = fixture_.NewState();
  FederationState again = fixture_.NewState();
  const auto append = [&](const Entry& entry) {
    state.Apply(entry);
    again.Apply(ParseEntry(EntryToText(entry)));
  };
  for (const Entry& entry : fixture_.Opening()) append(entry);
  while (state.phase() != Phase::kClosed) append({9, fixture_.Next(state)});
  EXPECT_EQ(again.model(), state.model());
  ASSERT_EQ(again.bundles().size(), 2u);
  for (const SentBundle& bundle : again.bundles()) EXPECT_EQ(bundle.received->held, bundle.report.items);
}

TEST_F(Exchange, NoTaskOpensBeforeEveryLabConcernedHasAgreed) {
  FederationState state = Founded();
  EXPECT_EQ(state.MissingAgreements(), (std::vector<std::string>{"first", "second"}));
  TaskOpenedEntry opens{.task = 0, .base = Sha256Of("grown"), .teacher = {}, .participants = {"first"}};
  EXPECT_ERROR(ErrorCode::kConflict, "first has not", state.Check({9, opens}));
  EXPECT_EQ(AssignmentFor(state, "second").job->kind, JobKind::kAgree);
  EXPECT_TRUE(AssignmentFor(state, "second").Objects(nullptr) == std::vector<Digest>{state.plan_digest()});
  state.Apply({9, fixture_.Agrees(state, "first")});
  EXPECT_ERROR(ErrorCode::kConflict, "second has not", state.Check({9, opens}));
  const Assignment waiting = AssignmentFor(state, "first");
  EXPECT_EQ(waiting.action, Action::kWait);
  EXPECT_EQ(waiting.agreement, AgreementState::kGiven);
  EXPECT_NE(waiting.note.find("agreements are missing: second"), std::string::npos) << waiting.note;
  state.Apply({9, fixture_.Agrees(state, "second")});
  EXPECT_NO_THROW(state.Check({9, opens}));
}

TEST_F(Exchange, AnAgreementNamesThePlanAndExactlyItsPartnersOnce) {
  FederationState state = Founded();
  const auto agrees = [&](const std::string& site, const SiteStatement& statement) {
    state.Check({9, fixture_.Says(site, statement)});
  };
  const SiteStatement good = fixture_.Agrees(state, "first").statement;
  SiteStatement changed = good;
  changed.body["partners"] = {"watcher"};
  EXPECT_ERROR(ErrorCode::kRefused, "other partners", agrees("first", changed));
  changed = good;
  changed.subject = Sha256Of("another plan");
  EXPECT_ERROR(ErrorCode::kRefused, "not about the plan", agrees("first", changed));
  changed = good;
  changed.round = 1;
  EXPECT_ERROR(ErrorCode::kRefused, "not about the plan", agrees("first", changed));
  changed = good;
  changed.body["key"] = std::string(64, '0');
  EXPECT_ERROR(ErrorCode::kInvalidInput, "low order", agrees("first", changed));
  StatementEntry stolen = fixture_.Agrees(state, "second");
  stolen.site = "first";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not signed by", state.Check({9, stolen}));
  state.Apply({9, fixture_.Says("first", good)});
  EXPECT_ERROR(ErrorCode::kConflict, "agreed already", agrees("first", good));
}

TEST_F(Exchange, AnEndedAgreementStopsWhatWasNotSentAndCannotBeShownAgain) {
  FederationState state = Chosen(0);
  EXPECT_EQ(state.BundlesToSend(), (std::vector<std::string>{"second"}));
  EXPECT_EQ(EnclosureDue(state, "first"), StatementKind::kBundle);
  const StatementEntry bundle = Sends(state, ConsortiumFixture::Bundle(state, "second"));
  EXPECT_NO_THROW(state.Check({9, bundle}));
  const StatementEntry agreed = state.agreements().at("second");
  EXPECT_ERROR(ErrorCode::kConflict, "has not agreed", Founded().Check({9, fixture_.EndsAgreement("second")}));
  state.Apply({9, fixture_.EndsAgreement("second")});
  EXPECT_ERROR(ErrorCode::kConflict, "no bundle for second is due", state.Check({9, bundle}));
  EXPECT_ERROR(ErrorCode::kConflict, "agreed already", state.Check({9, agreed}));
  EXPECT_ERROR(ErrorCode::kConflict, "ended its agreement already", state.Check({9, fixture_.EndsAgreement("second")}));
  EXPECT_EQ(AssignmentFor(state, "second").agreement, AgreementState::kEnded);
  // The plan goes on; nothing travels any more.
  while (state.phase() != Phase::kClosed) state.Apply({9, fixture_.Next(state)});
  EXPECT_TRUE(state.bundles().empty());
}

TEST_F(Exchange, ABundleSentBeforeTheEndIsNotTakenInAfterIt) {
  FederationState state = fixture_.StateIn(Phase::kCommitting, 1);
  ASSERT_NE(state.BundleToReceive(), nullptr);
  EXPECT_EQ(AssignmentFor(state, "second").job->kind, JobKind::kReceive);
  state.Apply({9, fixture_.EndsAgreement("first")});
  EXPECT_EQ(state.BundleToReceive(), nullptr);
  EXPECT_EQ(AssignmentFor(state, "second").job->kind, JobKind::kCommit);
}

TEST_F(Exchange, ABundleIsDueOnceFromTheActiveSiteToARecipientOfThePlan) {
  FederationState state = Chosen(0);
  const BundleReport good = ConsortiumFixture::Bundle(state, "second");
  BundleReport changed = good;
  changed.recipient = "watcher";
  EXPECT_ERROR(ErrorCode::kConflict, "no bundle for watcher", state.Check({9, Sends(state, changed)}));
  changed = good;
  changed.items = 5;
  EXPECT_ERROR(ErrorCode::kRefused, "5 pictures", state.Check({9, Sends(state, changed)}));
  changed.items = 0;
  EXPECT_ERROR(ErrorCode::kRefused, "0 pictures", state.Check({9, Sends(state, changed)}));
  changed = good;
  changed.file_bytes = MaxBundleFileBytesOf(state.plan(), 0) + 1;
  EXPECT_ERROR(ErrorCode::kRefused, "larger than the plan", state.Check({9, Sends(state, changed)}));
  StatementEntry other_site = fixture_.Says(state, "second", StatementKind::kBundle, good.ToJson());
  EXPECT_ERROR(ErrorCode::kConflict, "is due from this site", state.Check({9, other_site}));
  const TaskClosedEntry early{0, state.model(), {}};
  EXPECT_ERROR(ErrorCode::kConflict, "their bundles", state.Check({9, early}));
  state.Apply({9, Sends(state, good)});
  EXPECT_ERROR(ErrorCode::kConflict, "no bundle for second is due", state.Check({9, Sends(state, good)}));
}

TEST_F(Exchange, AFileThatWasSentBeforeIsNoNewBundle) {
  FederationState state = Chosen(1);
  ASSERT_EQ(state.bundles().size(), 1u);
  BundleReport replayed = ConsortiumFixture::Bundle(state, "first");
  replayed.file = state.bundles().front().report.file;
  EXPECT_ERROR(ErrorCode::kRefused, "sent before", state.Check({9, Sends(state, replayed)}));
}

TEST_F(Exchange, TheActiveSiteSaysWhatBecameOfEachBundleBeforeItCommits) {
  FederationState state = fixture_.StateIn(Phase::kCommitting, 1);
  const SentBundle due = *state.BundleToReceive();
  const StatementEntry commits =
      fixture_.Says(state, "second", StatementKind::kCommitment,
                    CommitmentReport{.pictures = 50, .classes = {30, std::nullopt}}.ToJson());
  EXPECT_ERROR(ErrorCode::kConflict, "take in come first", state.Check({9, commits}));
  ReceivedReport report{.bundle = due.report.file, .held = due.report.items - 1, .trouble = {}};
  EXPECT_ERROR(ErrorCode::kRefused, "whole or not at all", state.Check({9, Receives(state, report)}));
  report.trouble = BundleTrouble::kSeal;
  EXPECT_ERROR(ErrorCode::kRefused, "whole or not at all", state.Check({9, Receives(state, report)}));
  report.held = 0;
  EXPECT_NO_THROW(state.Check({9, Receives(state, report)})) << "one that did not open is part of the log";
  report.bundle = Sha256Of("another");
  EXPECT_ERROR(ErrorCode::kConflict, "has to take in now", state.Check({9, Receives(state, report)}));
  report = {.bundle = due.report.file, .held = due.report.items, .trouble = {}};
  state.Apply({9, Receives(state, report)});
  EXPECT_ERROR(ErrorCode::kConflict, "has to take in now", state.Check({9, Receives(state, report)}));
  EXPECT_NO_THROW(state.Check({9, commits}));
}

TEST_F(Exchange, AssignmentsAndTheirJobsReadBack) {
  for (const FederationState& state : {Founded(), Chosen(0), fixture_.StateIn(Phase::kCommitting, 1)}) {
    for (const std::string site : {"first", "second"}) {
      const Assignment assignment = AssignmentFor(state, site);
      const Assignment again = Assignment::FromText(assignment.ToText());
      EXPECT_EQ(again.ToText(), assignment.ToText());
      EXPECT_EQ(again.job, assignment.job);
      EXPECT_EQ(again.Objects(nullptr), assignment.Objects(nullptr));
    }
  }
}

TEST_F(Exchange, APartnersWordCountsOnlyWithTheOperatorsAndThePartnersSignature) {
  const FederationState state = Chosen(0);
  const Job good = *AssignmentFor(state, "first").job;
  ASSERT_EQ(good.kind, JobKind::kSeal);
  const Ed25519PublicKey operator_key = fixture_.operator_key.PublicKey();
  EXPECT_EQ(RecipientKeyOf(good, operator_key), ConsortiumFixture::TrainerKey("second").PublicKey());
  EXPECT_ERROR(ErrorCode::kRefused, "operator did not sign", (void)RecipientKeyOf(good, KeyNumber(3).PublicKey()));

  // A coordinator that puts its own key in.
  Job job = good;
  StatementEntry forged = state.agreements().at("second");
  forged.statement.body["key"] = ConsortiumFixture::TrainerKey("coordinator").PublicKey().Hex();
  job.partner = PartnerOf(state.admission("second"), forged);
  EXPECT_ERROR(ErrorCode::kRefused, "not signed by that lab", (void)RecipientKeyOf(job, operator_key));
  // ... or makes up a lab of that name.
  RosterEntry made_up = state.admission("second");
  made_up.lab.statement_key = KeyNumber(66).PublicKey();
  forged.signature = SignSiteStatement(KeyNumber(66), fixture_.plan, forged.statement);
  job.partner = PartnerOf(made_up, forged);
  EXPECT_ERROR(ErrorCode::kRefused, "operator did not sign", (void)RecipientKeyOf(job, operator_key));
  // ... or shows another plan's agreement, or one that names somebody else.
  forged = state.agreements().at("second");
  forged.signature = SignSiteStatement(KeyNumber(12), Sha256Of("another plan"), forged.statement);
  job.partner = PartnerOf(state.admission("second"), forged);
  EXPECT_ERROR(ErrorCode::kRefused, "not signed by that lab for this plan", (void)RecipientKeyOf(job, operator_key));
  job = good;
  job.site = "watcher";
  EXPECT_ERROR(ErrorCode::kRefused, "does not name watcher", (void)RecipientKeyOf(job, operator_key));
}

TEST_F(Exchange, ABundleIsExpectedAsItsSenderSignedIt) {
  const FederationState state = fixture_.StateIn(Phase::kCommitting, 1);
  const Assignment assignment = AssignmentFor(state, "second");
  const Ed25519PublicKey operator_key = fixture_.operator_key.PublicKey();
  const ExpectedBundle expected = ExpectedBundleOf(*assignment.job, operator_key);
  EXPECT_EQ(expected.address,
            (BundleAddress{.plan = fixture_.plan, .task = 0, .sender = "first", .recipient = "second"}));
  EXPECT_EQ(expected.report.file, *assignment.bundle);
  Job job = *assignment.job;
  job.site = "watcher";
  EXPECT_ERROR(ErrorCode::kRefused, "for another lab", (void)ExpectedBundleOf(job, operator_key));
  job = *assignment.job;
  job.task = 0;
  EXPECT_ERROR(ErrorCode::kRefused, "not of an earlier task", (void)ExpectedBundleOf(job, operator_key));
  job = *assignment.job;
  job.partner = PartnerOf(state.admission("first"), state.agreements().at("first"));
  EXPECT_ERROR(ErrorCode::kRefused, "none of the kind 'bundle'", (void)ExpectedBundleOf(job, operator_key));
}

// Every integer anywhere in a statement of the exchange, one off.
void VisitIntegers(json& value, const std::function<void(json&)>& visit) {
  if (value.is_number_integer()) visit(value);
  if (value.is_structured()) {
    for (json& inner : value) VisitIntegers(inner, visit);
  }
}

TEST_F(Exchange, AnyIntegerOfAnyStatementThatIsChangedIsFound) {
  std::size_t changed = 0;
  FederationState state = fixture_.NewState();
  for (const Entry& entry : fixture_.Opening()) state.Apply(entry);
  while (state.phase() != Phase::kClosed) {
    const Entry entry{9, fixture_.Next(state)};
    const auto* statement = std::get_if<StatementEntry>(&entry.body);
    if (statement != nullptr && statement->statement.kind >= StatementKind::kAgreement) {
      json text = json::parse(EntryToText(entry));
      text.erase("at_ms");
      VisitIntegers(text, [&](json& number) {
        const json before = number;
        number = number.get<std::int64_t>() + 1;
        json whole = text;
        whole["at_ms"] = 9;
        EXPECT_ANY_THROW(state.Check(ParseEntry(whole.dump()))) << whole.dump();
        number = before;
        ++changed;
      });
    }
    state.Apply(entry);
  }
  // Two agreements with task and round; two bundles with those, bytes and items; two receipts with those and held.
  EXPECT_EQ(changed, 2u * 2u + 2u * 4u + 2u * 3u);
}

}  // namespace
}  // namespace hemafed
