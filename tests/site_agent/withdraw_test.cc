// SPDX-License-Identifier: Apache-2.0
//
// Pictures taken back, in the trainers of both labs: the command of the giver's people, and the recipient's job.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "common/random.h"
#include "protocol/federation/lab_withdrawals.h"
#include "site_agent/trainer/joined_pictures.h"
#include "site_agent/trainer/pictures.h"
#include "site_agent/trainer/residuals.h"
#include "site_agent/trainer/stored_exemplars.h"
#include "site_agent/trainer/withdraw.h"
#include "tests/expect_error.h"
#include "tests/site_agent/exchange_fixture.h"

namespace hemafed::trainer {
namespace {

using learning::testing_support::Write;

class Withdrawn : public testing_support::ExchangeFixture {
 protected:
  Withdrawn() { files_.CreateFolders(Lab() / "agent", 0700); }

  Path Lab() const { return scratch_ / "first"; }
  Vault VaultOf(const std::string& site) const { return {files_, FolderOf(site).Vault()}; }
  std::uint64_t Committed(const std::string& site, std::uint32_t task) {
    return CommitmentReport::FromJson({Run(JobOf(JobKind::kCommit, site, task)), "commit"}).pictures;
  }
  LabWithdrawals Decided() const { return DecidedUnder(fixture_.plan); }
  LabWithdrawals DecidedUnder(const Digest& plan) const {
    return LoadLabWithdrawals(files_, WithdrawalsFileOf(Lab(), plan));
  }
  // Files of decoded pictures at "first".
  std::vector<std::string> Tiles() const {
    std::vector<std::string> tiles = files_.List(FolderOf("first").Pictures());
    std::erase_if(tiles, [](const std::string& name) { return !name.ends_with(".tiles"); });
    return tiles;
  }
  // As the agent of "first" signs what its people decided.
  StatementEntry Said(const WithdrawalReport& report) const {
    return fixture_.Says(
        "first",
        {.kind = StatementKind::kWithdrawal, .task = 0, .round = 0, .subject = fixture_.plan, .body = report.ToJson()});
  }
  Job RemoveJob(const StatementEntry& said) const {
    Job job = JobOf(JobKind::kRemove, "second", 0);
    job.partner = PartnerOf(fixture_.Joins(said.site), said);
    return job;
  }
  // Of the second class, one by herding and one by uncertainty.
  static std::vector<Digest> TwoOf(const learning::ExemplarStore& store) {
    return {store.lists[1].herding[1].picture, store.lists[1].uncertainty[0].picture};
  }
};

TEST_F(Withdrawn, PicturesLeaveBothLabsAndStayOutOfTraining) {
  const std::uint64_t giver_before = Committed("first", 0);
  const std::uint64_t alone = Committed("second", 1);
  const learning::ExemplarStore store = Exemplars();
  const BundleReport sealed = Seal(store);
  (void)Receive(sealed);
  EXPECT_EQ(Committed("second", 1), alone + 8);

  const std::vector<Digest> pictures = TwoOf(store);
  const WithdrawalCount count = WithdrawPictures(files_, Lab(), pictures);
  EXPECT_EQ(count.fresh, 2u);
  EXPECT_EQ(count.exemplars, 2u);
  EXPECT_EQ(count.sent, 2u);
  // Here: neither exemplar nor training picture any more, though the files are still there.
  EXPECT_EQ(learning::StoredCount(VaultOf("first").Load(fixture_.plan)), 6u);
  EXPECT_EQ(Committed("first", 0), giver_before - 2);
  // There: places count through the first class's four pictures.
  const LabWithdrawals decided = Decided();
  EXPECT_EQ(decided.plan, fixture_.plan);
  ASSERT_EQ(decided.reports, (std::vector<WithdrawalReport>{{.bundle = sealed.file, .items = {5, 6}}}));
  const StatementEntry said = Said(decided.reports[0]);
  EXPECT_EQ(RemovedReport::FromJson({Run(RemoveJob(said)), "remove"}).withdrawal, Sha256Of(said.statement.ToText()));
  EXPECT_NE(said_.find("first withdrew 2 pictures; 2 of them were held here and are removed"), std::string::npos)
      << said_;
  EXPECT_EQ(learning::StoredCount(Received().Lists()), 6u);
  EXPECT_EQ(Committed("second", 1), alone + 6);
  const learning::DomainPictures second = Domain("second", PicturesOf("second"));
  const auto joined = JoinPictures(second, {}, Received(), Received().Lists(), plan_);
  EXPECT_EQ(joined->Size(), 6u);
  for (std::size_t i = 0; i < joined->Size(); ++i) {
    EXPECT_EQ(std::find(pictures.begin(), pictures.end(), joined->PictureDigest(i)), pictures.end());
  }
  for (const Digest& picture : pictures) {
    Bytes tile(32 * 32 * 3);
    EXPECT_ERROR(ErrorCode::kNotFound, "", Received().ReadTile(picture, tile));
  }
  // Run again after a crash, it says the same.
  EXPECT_EQ(RemovedReport::FromJson({Run(RemoveJob(said)), "remove"}).withdrawal, Sha256Of(said.statement.ToText()));
  EXPECT_EQ(learning::StoredCount(Received().Lists()), 6u);
}

TEST_F(Withdrawn, ARecipientRemovesAlsoAfterItsOwnAgreementEndedButOnlyForTheGiver) {
  const BundleReport sealed = Seal(Exemplars());
  (void)Receive(sealed);
  const WithdrawalReport report{.bundle = sealed.file, .items = {0, 7}};
  // Another lab of the consortium, with a signature of its own.
  StatementEntry foreign = fixture_.Says("watcher", Said(report).statement);
  (void)Run(RemoveJob(foreign));
  EXPECT_EQ(learning::StoredCount(Received().Lists()), 8u);
  // One that the giver did not sign.
  foreign = Said(report);
  foreign.statement.body["items"] = {0, 1, 2, 3};
  EXPECT_ERROR(ErrorCode::kRefused, "not signed by that lab", (void)Run(RemoveJob(foreign)));
  EXPECT_EQ(learning::StoredCount(Received().Lists()), 8u);
  Decide("second", true);
  (void)Run(RemoveJob(Said(report)));
  EXPECT_EQ(learning::StoredCount(Received().Lists()), 6u);
}

TEST_F(Withdrawn, WhatWasWithdrawnBeforeDoesNotTravel) {
  const learning::ExemplarStore store = Exemplars();
  VaultOf("first").Save(fixture_.plan, store);
  const WithdrawalCount count = WithdrawPictures(files_, Lab(), TwoOf(store));
  EXPECT_TRUE(count.unknown.empty()) << "the vault knows what no index holds";
  EXPECT_EQ(count.sent, 0u);
  const BundleReport sealed = Seal(store);
  EXPECT_EQ(sealed.items, 6u);
  EXPECT_EQ(Receive(sealed).held, 6u);
  EXPECT_TRUE(Decided().reports.empty());
}

TEST_F(Withdrawn, APictureThatIsWithdrawnWhileItIsSealedStaysAtHome) {
  const learning::ExemplarStore store = Exemplars();
  VaultOf("first").Save(fixture_.plan, store);
  const auto key = TrainerKeyReport::FromJson({Run(JobOf(JobKind::kAgree, "second", 0)), "key"}).key;
  std::size_t asked = 0;
  // Asked before each picture: after the fourth somebody at the other console takes two back.
  const auto stop = [&] {
    if (++asked == 5) (void)WithdrawPictures(files_, Lab(), TwoOf(store));
    return false;
  };
  EXPECT_ERROR(ErrorCode::kUnavailable, "withdrawn while it was sealed", (void)Run(SealJob(key), stop));
  EXPECT_EQ(BundleReport::FromJson({Run(SealJob(key)), "seal"}).items, 6u);
}

TEST_F(Withdrawn, AnInterruptedCommandIsFinishedByTheNextAndNothingIsSaidTwice) {
  const learning::ExemplarStore store = Exemplars();
  const BundleReport sealed = Seal(store);
  // Died between its two files.
  VaultOf("first").AddWithdrawn(TwoOf(store));
  const WithdrawalCount count = WithdrawPictures(files_, Lab(), {store.lists[0].herding[0].picture});
  EXPECT_EQ(count.fresh, 1u);
  EXPECT_EQ(count.sent, 3u);
  EXPECT_EQ(Decided().reports, (std::vector<WithdrawalReport>{{.bundle = sealed.file, .items = {0, 5, 6}}}));
  const WithdrawalCount again = WithdrawPictures(files_, Lab(), TwoOf(store));
  EXPECT_EQ(again.sent, 0u);
  EXPECT_EQ(again.noted, 2u);
  EXPECT_EQ(Decided().reports.size(), 1u);
}

TEST_F(Withdrawn, WithoutAnAgreementTheLabItselfStopsUsingThePicture) {
  files_.Remove(FolderOf("first").Agreement());
  const std::uint64_t before = Committed("first", 0);
  const Digest picture = Exemplars().lists[0].herding[0].picture;
  const WithdrawalCount count = WithdrawPictures(files_, Lab(), {picture, picture});
  EXPECT_EQ(count.fresh, 1u);
  EXPECT_EQ(count.sent, 0u);
  EXPECT_FALSE(files_.Exists(WithdrawalsFileOf(Lab(), fixture_.plan)));
  EXPECT_EQ(Committed("first", 0), before - 1);
}

TEST_F(Withdrawn, APictureThatThisLabDoesNotKnowIsNamedAndTheOthersAreWithdrawn) {
  (void)Committed("first", 0);
  const Digest known = Exemplars().lists[0].herding[0].picture;
  const Digest unknown = Sha256Of("a picture saved anew");
  const WithdrawalCount none = WithdrawPictures(files_, Lab(), {unknown, unknown});
  EXPECT_EQ(none.unknown, (std::vector<Digest>{unknown}));
  EXPECT_EQ(none.fresh, 0u);
  EXPECT_TRUE(VaultOf("first").Withdrawn().empty());
  EXPECT_EQ(Tiles().size(), 1u);
  const WithdrawalCount count = WithdrawPictures(files_, Lab(), {unknown, known});
  EXPECT_EQ(count.unknown, (std::vector<Digest>{unknown}));
  EXPECT_EQ(count.fresh, 1u);
  EXPECT_EQ(VaultOf("first").Withdrawn(), (std::set<Digest>{known}));
  // Its file goes, and with it the index's entry: what was withdrawn stays known.
  files_.Remove(FolderOf("first").Pictures() / "first.index");
  EXPECT_TRUE(WithdrawPictures(files_, Lab(), {known}).unknown.empty());
}

TEST_F(Withdrawn, WhatAnotherHospitalGaveIsNotThisLabsToWithdraw) {
  const learning::ExemplarStore store = Exemplars();
  (void)Receive(Seal(store));
  const Digest given = store.lists[0].herding[0].picture;
  const WithdrawalCount count = WithdrawPictures(files_, scratch_ / "second", {given});
  EXPECT_EQ(count.unknown, (std::vector<Digest>{given}));
}

TEST_F(Withdrawn, CopiesUnderAnEarlierPlanAreNotedAndNothingUnsaidIsDropped) {
  const learning::ExemplarStore store = Exemplars();
  const BundleReport sealed = Seal(store);
  const Digest earlier = fixture_.plan;
  // Noted, and not said before the lab goes over to the next plan.
  EXPECT_EQ(WithdrawPictures(files_, Lab(), {store.lists[0].herding[0].picture}).sent, 1u);
  UsePlan(hemafed::testing_support::SmallPlanText(fixture_.weights, "sealed") + "# the next one\n");
  ASSERT_NE(fixture_.plan, earlier);
  const WithdrawalCount count = WithdrawPictures(files_, Lab(), TwoOf(store));
  EXPECT_EQ(count.fresh, 2u);
  EXPECT_EQ(count.exemplars, 2u);
  EXPECT_EQ(count.sent, 0u);
  EXPECT_EQ(count.elsewhere, (std::vector<CopiesElsewhere>{{.plan = earlier, .recipient = "second", .pictures = 2}}));
  EXPECT_EQ(DecidedUnder(earlier).reports, (std::vector<WithdrawalReport>{{.bundle = sealed.file, .items = {0}},
                                                                          {.bundle = sealed.file, .items = {5, 6}}}));
  EXPECT_FALSE(files_.Exists(WithdrawalsFileOf(Lab(), fixture_.plan)));
  const WithdrawalCount again = WithdrawPictures(files_, Lab(), TwoOf(store));
  EXPECT_TRUE(again.elsewhere.empty());
  EXPECT_EQ(again.noted, 2u);
}

TEST_F(Withdrawn, DecodedPicturesDoNotOutliveAWithdrawal) {
  (void)Committed("first", 0);
  const std::vector<std::string> before = Tiles();
  ASSERT_EQ(before.size(), 1u);
  const Path unfinished = FolderOf("first").Pictures() / (before[0] + ".tmp");
  Write(unfinished, "tiles of a trainer that was killed");
  const Digest picture = Exemplars().lists[0].herding[0].picture;
  EXPECT_EQ(WithdrawPictures(files_, Lab(), {picture}).tiles, 2u);
  EXPECT_TRUE(Tiles().empty());
  EXPECT_FALSE(files_.Exists(unfinished));
  // Made again; and once the file is gone too, without the picture, and the file before goes.
  (void)Committed("first", 0);
  EXPECT_EQ(Tiles(), before);
  const learning::DatasetIndex index = Domain("first", PicturesOf("first")).index();
  const auto entry = std::find_if(index.pictures.begin(), index.pictures.end(),
                                  [&](const learning::PictureEntry& one) { return one.digest == picture; });
  ASSERT_NE(entry, index.pictures.end());
  files_.Remove(PicturesOf("first") / entry->file);
  (void)Committed("first", 0);
  ASSERT_EQ(Tiles().size(), 1u);
  EXPECT_NE(Tiles(), before);
}

TEST_F(Withdrawn, ARemovalTakesTheResidualsOfItsPlanWithIt) {
  const BundleReport sealed = Seal(Exemplars());
  (void)Receive(sealed);
  Job job = JobOf(JobKind::kTrain, "second", 1);
  const Path carried = ResidualFile(FolderOf("second"), job, 3);
  job.plan = Sha256Of("another plan");
  const Path others = ResidualFile(FolderOf("second"), job, 3);
  for (const Path& file : {carried, others}) Write(file, "what rounding left over");
  (void)Run(RemoveJob(Said({.bundle = sealed.file, .items = {2}})));
  EXPECT_FALSE(files_.Exists(carried));
  EXPECT_TRUE(files_.Exists(others));
}

TEST_F(Withdrawn, AJudgeHoldsOutFewerOfTheSamePictures) {
  const learning::ExemplarStore store = Exemplars();
  VaultOf("first").Save(fixture_.plan, store);
  const auto held_out = [&](const std::set<Digest>& withdrawn) {
    const Pictures pictures(
        files_, SettingsOf("first"), scratch_ / "held-out", plan_, [](auto&&...) {}, PictureTools{}, withdrawn);
    const auto source =
        pictures.HeldOut({0, 1}, StoredExemplars(files_, FolderOf("first").Vault(), fixture_.plan), 6, 17);
    std::vector<Digest> digests;
    for (std::size_t i = 0; i < source->Size(); ++i) digests.push_back(source->PictureDigest(i));
    return digests;
  };
  files_.CreateFolders(scratch_ / "held-out");
  const std::vector<Digest> before = held_out({});
  ASSERT_EQ(before.size(), 6u);
  // The same draw, slowly: positions of all training pictures that no list names, permuted, the first six.
  const learning::DomainPictures domain = Domain("first", PicturesOf("first"));
  std::vector<Digest> rest;
  for (const std::uint32_t position : domain.Positions(learning::DomainPart::kTrain)) {
    const Digest digest = domain.index().pictures[position].digest;
    learning::ExemplarStore copy = store;
    if (learning::Withdraw(copy, digest) == 0) rest.push_back(digest);
  }
  RandomStream random(17);
  std::vector<Digest> drawn;
  for (const std::uint32_t place : Permutation(static_cast<std::uint32_t>(rest.size()), random)) {
    drawn.push_back(rest[place]);
  }
  const std::vector<Digest> others(drawn.begin() + 6, drawn.end());
  drawn.resize(6);
  std::sort(drawn.begin(), drawn.end());
  EXPECT_EQ(before, drawn);
  // One of the six, one that was not drawn, and exemplars.
  ASSERT_FALSE(others.empty());
  std::vector<Digest> pictures = TwoOf(store);
  pictures.push_back(before[2]);
  pictures.push_back(others[0]);
  VaultOf("first").AddWithdrawn(pictures);
  drawn.erase(drawn.begin() + 2);
  EXPECT_EQ(held_out({pictures.begin(), pictures.end()}), drawn);
}

TEST_F(Withdrawn, APictureIsNamedByItsFileOrItsDigest) {
  const Path file = PicturesOf("first") / "basophil" / "1.png";
  const Digest digest = Sha256Of(ReadFile(files_, file, 1 << 20));
  EXPECT_EQ(PictureNamed(files_, file), digest);
  EXPECT_EQ(PictureNamed(files_, digest.Hex()), digest);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "neither", (void)PictureNamed(files_, (scratch_ / "nowhere.png").string()));
}

TEST(PlacesOf, SaysMoreThanOneWhereOneDoesNotHoldThem) {
  SealedToOther bundle{.task = 0, .recipient = "second", .file = Sha256Of("bundle"), .pictures = {}};
  std::set<Digest> wanted;
  for (int i = 0; i < 1'100; ++i) bundle.pictures.push_back(Sha256Of("picture " + std::to_string(i)));
  for (std::size_t i = 0; i < bundle.pictures.size(); i += 2) wanted.insert(bundle.pictures[i]);
  const auto reports = PlacesOf({bundle}, wanted);
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[0].items.size(), kMaxWithdrawnItems);
  EXPECT_EQ(reports[1].items.size(), 50u);
  std::uint64_t expected = 0;
  for (const WithdrawalReport& report : reports) {
    for (const std::uint64_t item : report.items) {
      EXPECT_EQ(item, expected);
      expected += 2;
    }
    EXPECT_EQ(WithdrawalReport::FromJson({report.ToJson(), "report"}), report);
  }
}

}  // namespace
}  // namespace hemafed::trainer
