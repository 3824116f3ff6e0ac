// SPDX-License-Identifier: Apache-2.0
//
// What the log lets hospitals say of their latents under [drift]: once each, before their first training, beside those
// who were there before them.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "common/random.h"
#include "protocol/federation/assignment.h"
#include "protocol/federation/drift_reference.h"
#include "protocol/federation/enclosure.h"
#include "protocol/federation/federation_state.h"
#include "tests/expect_error.h"
#include "tests/protocol/federation/consortium_fixture.h"

namespace hemafed {
namespace {

using testing_support::ConsortiumFixture;
using testing_support::kDriftCheck;
using testing_support::kMixedTasks;
using testing_support::kThreeTasks;
using testing_support::LatentPlanText;
using testing_support::SmallPlanText;

const ExtractorPlan kExtractor{.detector = Sha256Of("detector"), .autoencoder = Sha256Of("autoencoder")};

class Drift : public testing::Test {
 protected:
  Drift() { Use(); }
  void Use(const std::string& tasks = kThreeTasks, const std::string& more = kDriftCheck) {
    fixture_.UsePlan(LatentPlanText(SmallPlanText(fixture_.weights, "federated", tasks + more), kExtractor));
  }
  Entry Says(const FederationState& state, const std::string& site, const nlohmann::json& body) const {
    return {5, fixture_.Says(state, site, StatementKind::kDrift, body)};
  }
  static nlohmann::json Refused(DriftRefusalReason reason, std::uint64_t pictures) {
    return DriftRefusal{.reason = reason, .reference_digest = Sha256Of("reference"), .pictures = pictures}.ToJson();
  }
  // "site kind" of everything that is said of latents in the whole plan.
  std::vector<std::string> Course() const {
    FederationState state = fixture_.NewState();
    std::vector<std::string> said;
    const auto append = [&](const Entry& entry) {
      const auto* statement = std::get_if<StatementEntry>(&entry.body);
      const bool of_latents = statement != nullptr && (statement->statement.kind == StatementKind::kDrift ||
                                                       statement->statement.kind == StatementKind::kMoments);
      if (of_latents) {
        const Assignment assignment = AssignmentFor(state, statement->site);
        EXPECT_EQ(Assignment::FromText(assignment.ToText()).ToText(), assignment.ToText());
        EXPECT_EQ(JobKindName(assignment.job.value().kind), StatementKindName(statement->statement.kind));
        EXPECT_EQ(assignment.job->round, 0u);
        EXPECT_EQ(state.Awaited(), std::vector<std::string>{statement->site});
        said.push_back(statement->site + " " + std::string(StatementKindName(statement->statement.kind)));
      }
      state.Apply(ParseEntry(EntryToText(entry)));
    };
    for (const Entry& entry : fixture_.Opening()) append(entry);
    while (state.phase() != Phase::kClosed) append({5, fixture_.Next(state)});
    return said;
  }

  ConsortiumFixture fixture_;
};

TEST_F(Drift, EachHospitalIsComparedWithThoseBeforeItAndThenDescribesItself) {
  EXPECT_EQ(Course(), (std::vector<std::string>{"first moments", "second drift", "second moments", "watcher drift",
                                                "watcher moments"}));
}

TEST_F(Drift, AHospitalThatHasDescribedItselfIsNotAskedAgain) {
  Use(kMixedTasks);
  EXPECT_EQ(Course(), (std::vector<std::string>{"first moments", "second drift", "second moments"}));
}

TEST_F(Drift, WithoutTheTableNobodyIsAsked) {
  Use(kThreeTasks, "");
  EXPECT_TRUE(Course().empty());
  const FederationState state = fixture_.StateIn(Phase::kRoundOpen, 1);
  EXPECT_ERROR(ErrorCode::kConflict, "cannot stand here",
               state.Check(Says(state, "second", Refused(DriftRefusalReason::kConstantFeatures, 50))));
  EXPECT_EQ(MaxEnclosureBytes(StatementKind::kMoments, state.plan(), {}), 0u);
}

TEST_F(Drift, AHeadThatIsSolvedIsPrecededByItToo) {
  std::string text = testing_support::AnalyticPlanText(fixture_.weights, std::string(kThreeTasks) + kDriftCheck);
  const std::string small = "\"small_cnn\"";
  text.replace(text.find(small), small.size(),
               "\"ae_cfe\"\ndetector = \"" + kExtractor.detector.Hex() + "\"\nautoencoder = \"" +
                   kExtractor.autoencoder.Hex() + "\"");
  fixture_.UsePlan(text);
  EXPECT_EQ(Course(), (std::vector<std::string>{"first moments", "second drift", "second moments", "watcher drift",
                                                "watcher moments"}));
}

TEST_F(Drift, TheJobNamesAllMomentsInTheOrderOfTheLogAndTheMembersOwnDistances) {
  FederationState state = fixture_.StateIn(Phase::kComparing, 2);
  const Assignment assignment = AssignmentFor(state, "watcher");
  const Job& job = assignment.job.value();
  ASSERT_EQ(job.moments.size(), 2u);
  EXPECT_EQ(job.moments[0].site, "first");
  EXPECT_EQ(job.moments[1].site, "second");
  EXPECT_EQ(job.moments[1].moments, state.described()[1].moments.values);
  EXPECT_EQ(job.drift->members, std::vector<std::int64_t>{100'000}) << "the first hospital has none";
  EXPECT_EQ(job.drift->permutations, 99u);
  EXPECT_EQ(job.drift->rows, 40u);
  EXPECT_EQ(job.drift->seed, DeriveSeed(7, "drift check of task 2 at watcher") & ((std::uint64_t{1} << 53) - 1));
  const auto objects = assignment.Objects(&state.plan());
  for (const JobMoments& other : job.moments) {
    EXPECT_EQ(std::count(objects.begin(), objects.end(), other.moments), 1);
  }
  EXPECT_EQ(objects.back(), kExtractor.autoencoder) << "latents are made for it";
  EXPECT_EQ(AssignmentFor(state, "first").action, Action::kWait);
  EXPECT_FALSE(state.MayLeaveOut("watcher"));
  EXPECT_TRUE(AssignmentFor(fixture_.StateIn(Phase::kRoundOpen, 2), "watcher").job->moments.empty());
}

TEST_F(Drift, ComesOnceFromTheTasksOwnHospital) {
  FederationState state = fixture_.StateIn(Phase::kComparing, 1);
  const nlohmann::json body = ConsortiumFixture::Drift(state).ToJson();
  EXPECT_ERROR(ErrorCode::kConflict, "none is due from this site", state.Check(Says(state, "first", body)));
  EXPECT_ERROR(ErrorCode::kRefused, "does not take part", state.Check(Says(state, "watcher", body)));
  EXPECT_ERROR(ErrorCode::kConflict, "comparing with the consortium",
               state.Check({5, RoundOpenedEntry{1, 0, state.model()}}));
  EXPECT_EQ(EnclosureDue(state, "second"), std::nullopt);
  state.Apply(Says(state, "second", body));
  EXPECT_EQ(state.phase(), Phase::kMeasuring);
  EXPECT_EQ(EnclosureDue(state, "second"), StatementKind::kMoments);
  // Header, fifty sums and 1,275 products.
  EXPECT_EQ(MaxEnclosureBytes(StatementKind::kMoments, state.plan(), {}), 24u + 8u * 1'325u);
  EXPECT_ERROR(ErrorCode::kConflict, "cannot stand here", state.Check(Says(state, "second", body)));
  EXPECT_ERROR(ErrorCode::kConflict, "none are due from this site",
               state.Check({5, fixture_.Says(state, "first", StatementKind::kMoments,
                                             ConsortiumFixture::Moments(state, "second").ToJson())}));
  MomentsReport copied = ConsortiumFixture::Moments(state, "second");
  copied.values = state.described()[0].moments.values;
  EXPECT_ERROR(ErrorCode::kRefused, "they are those of first",
               state.Check({5, fixture_.Says(state, "second", StatementKind::kMoments, copied.ToJson())}));
}

TEST_F(Drift, WhatTheLogGivesIsCheckedFieldByField) {
  const FederationState state = fixture_.StateIn(Phase::kComparing, 2);
  const auto refused = [&](const char* words, const std::function<void(DriftReport&)>& breaks) {
    DriftReport report = ConsortiumFixture::Drift(state);
    breaks(report);
    EXPECT_ERROR(ErrorCode::kRefused, words, state.Check(Says(state, "watcher", report.ToJson())));
  };
  state.Check(Says(state, "watcher", ConsortiumFixture::Drift(state).ToJson()));
  refused("something else than moments", [](DriftReport& r) { r.reference = DriftReferenceKind::kFeatures; });
  refused("other pictures than the log's", [](DriftReport& r) { ++r.reference_pictures; });
  refused("another number of values", [](DriftReport& r) { r.columns = 49; });
  refused("more pictures than it committed", [](DriftReport& r) { r.pictures = 51; });
  refused("fewer pictures than the plan's", [](DriftReport& r) { r.pictures = r.pictures_used = 9; });
  refused("another number of rows", [](DriftReport& r) { r.pictures_used = 39; });
  refused("another number of rows", [](DriftReport& r) { r.reference_rows = 41; });
  refused("another seed", [](DriftReport& r) { ++r.seed; });
  refused("number of permutations", [](DriftReport& r) { r.p_denominator = 1000; });
  refused("other members", [](DriftReport& r) { r.members = 2; });
  refused("other members", [](DriftReport& r) { r.members_as_far = 1; });
  // As near as the member, or nearer: then it is as far off.
  refused("other members", [](DriftReport& r) { r.mmd2_unbiased_millionths = 100'000; });
  // What only the hospital knows, and fewer pictures, if some are gone.
  DriftReport report = ConsortiumFixture::Drift(state);
  report.bandwidth_squared_millionths = 1;
  report.p_numerator = 100;
  report.pictures = report.pictures_used = report.reference_rows = 30;
  report.mmd2_unbiased_millionths = 99'999;
  report.members_as_far = 1;
  state.Check(Says(state, "watcher", report.ToJson()));
}

TEST_F(Drift, AComparisonThatCouldNotBeMadeHoldsNobodyUp) {
  FederationState state = fixture_.StateIn(Phase::kComparing, 1);
  EXPECT_ERROR(ErrorCode::kRefused, "it has pictures enough",
               state.Check(Says(state, "second", Refused(DriftRefusalReason::kTooFewPictures, 50))));
  EXPECT_ERROR(ErrorCode::kRefused, "more pictures than it committed",
               state.Check(Says(state, "second", Refused(DriftRefusalReason::kConstantFeatures, 51))));
  state.Check(Says(state, "second", Refused(DriftRefusalReason::kUnusableReference, 50)));
  state.Apply(Says(state, "second", Refused(DriftRefusalReason::kConstantFeatures, 50)));
  while (state.phase() != Phase::kComparing) state.Apply({5, fixture_.Next(state)});
  EXPECT_EQ(state.task(), 2u);
  EXPECT_TRUE(AssignmentFor(state, "watcher").job->drift->members.empty()) << "it has no distance of its own";
  EXPECT_EQ(AssignmentFor(state, "watcher").job->moments.size(), 2u) << "but it has moments";
  while (state.phase() != Phase::kClosed) state.Apply({5, fixture_.Next(state)});
}

TEST_F(Drift, TooFewPicturesAreAReasonOfTheirOwn) {
  std::string text = fixture_.plan_text;
  fixture_.UsePlan(text.replace(text.find("min_pictures = 10"), 17, "min_pictures = 2"));
  FederationState state = fixture_.StateIn(Phase::kCommitting, 1);
  const auto commits = [&](std::uint64_t pictures) {
    return Entry{
        5, fixture_.Says(state, "second", StatementKind::kCommitment,
                         CommitmentReport{.pictures = pictures, .classes = {std::nullopt, std::nullopt}}.ToJson())};
  };
  state.Apply(commits(9));
  while (state.phase() == Phase::kCommitting) state.Apply({5, fixture_.Next(state)});
  EXPECT_ERROR(ErrorCode::kRefused, "so few pictures cannot be compared",
               state.Check(Says(state, "second", ConsortiumFixture::Drift(state).ToJson())));
  EXPECT_ERROR(ErrorCode::kRefused, "another reason to give",
               state.Check(Says(state, "second", Refused(DriftRefusalReason::kConstantFeatures, 9))));
  state.Apply(Says(state, "second", Refused(DriftRefusalReason::kTooFewPictures, 9)));
  EXPECT_EQ(state.phase(), Phase::kMeasuring);
}

TEST_F(Drift, AHospitalWithTooFewPicturesLeftSaysSoAndTheTaskGoesOn) {
  const nlohmann::json none = BelowMinPictures{}.ToJson();
  // In place of the comparison: then no moments are asked for either.
  FederationState state = fixture_.StateIn(Phase::kComparing, 1);
  EXPECT_ERROR(ErrorCode::kConflict, "none is due from this site", state.Check(Says(state, "first", none)));
  const Entry compared = Says(state, "second", none);
  EXPECT_EQ(EnclosureOf(std::get<StatementEntry>(compared.body).statement), std::nullopt);
  state.Apply(ParseEntry(EntryToText(compared)));
  EXPECT_EQ(state.phase(), Phase::kBetweenRounds);
  EXPECT_EQ(state.described().size(), 1u) << "it is no member";
  while (state.phase() != Phase::kComparing) state.Apply({5, fixture_.Next(state)});
  EXPECT_EQ(AssignmentFor(state, "watcher").job->moments.size(), 1u) << "the first hospital's alone";

  // In place of the moments, after a comparison; and by the first hospital, which has none.
  state = fixture_.StateIn(Phase::kMeasuring, 1);
  const auto has_none = [&](const std::string& site) {
    return Entry{5, fixture_.Says(state, site, StatementKind::kMoments, none)};
  };
  EXPECT_ERROR(ErrorCode::kConflict, "none are due from this site", state.Check(has_none("first")));
  nlohmann::json counted = none;
  counted["pictures"] = 9;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'pictures'",
               state.Check({5, fixture_.Says(state, "second", StatementKind::kMoments, counted)}));
  EXPECT_EQ(EnclosureOf(std::get<StatementEntry>(has_none("second").body).statement), std::nullopt);
  state.Apply(has_none("second"));
  EXPECT_EQ(state.phase(), Phase::kBetweenRounds);
  EXPECT_EQ(state.described().size(), 1u);
  state = fixture_.StateIn(Phase::kMeasuring);
  state.Apply(has_none("first"));
  EXPECT_EQ(state.phase(), Phase::kBetweenRounds);
  while (state.task() == 0) state.Apply({5, fixture_.Next(state)});
  while (state.phase() != Phase::kMeasuring) state.Apply({5, fixture_.Next(state)});
  EXPECT_EQ(state.Awaited(), std::vector<std::string>{"second"}) << "it is the first that is described";
  while (state.phase() != Phase::kClosed) state.Apply({5, fixture_.Next(state)});
}

TEST_F(Drift, WhoHadTooFewIsAskedAgainInItsNextTask) {
  Use(kMixedTasks);
  FederationState state = fixture_.StateIn(Phase::kMeasuring);
  state.Apply({5, fixture_.Says(state, "first", StatementKind::kMoments, BelowMinPictures{}.ToJson())});
  while (state.task() == 0) state.Apply({5, fixture_.Next(state)});
  ASSERT_EQ(state.plan().tasks[1].site, "first");
  while (state.phase() != Phase::kMeasuring) state.Apply({5, fixture_.Next(state)});
  EXPECT_EQ(state.task(), 1u);
  EXPECT_EQ(state.Awaited(), std::vector<std::string>{"first"});
  while (state.phase() != Phase::kClosed) state.Apply({5, fixture_.Next(state)});
  ASSERT_EQ(state.described().size(), 2u);
  EXPECT_EQ(state.described()[0].site, "first");
}

// An object that the coordinator lost is not the fault of whoever is compared with it.
TEST_F(Drift, MomentsThatAreGoneAreTheStoresTrouble) {
  const FederationState state = fixture_.StateIn(Phase::kComparing, 1);
  const auto lost = [](const Digest& digest) -> std::unique_ptr<ReadableFile> {
    throw Error(ErrorCode::kNotFound, "no object " + digest.Hex());
  };
  EXPECT_ERROR(ErrorCode::kCorrupt, "latent moments of first, object",
               (void)WhyAnotherReference(state, ConsortiumFixture::Drift(state), lost));
  EXPECT_EQ(WhyAnotherReference(state, BelowMinPictures{}, lost), std::nullopt) << "it is about no reference";
}

TEST_F(Drift, OnePictureIsNotEnoughWhateverThePlanAllows) {
  std::string text = fixture_.plan_text;
  fixture_.UsePlan(text.replace(text.find("min_pictures = 10"), 17, "min_pictures = 1"));
  const FederationState state = fixture_.StateIn(Phase::kCommitting);
  EXPECT_ERROR(ErrorCode::kRefused, "one cell has no covariance to be compared by",
               state.Check({5, fixture_.Says(state, "first", StatementKind::kCommitment,
                                             CommitmentReport{.pictures = 1, .classes = {1, std::nullopt}}.ToJson())}));
}

TEST(DriftJob, IsReadStrictly) {
  Job job;
  job.kind = JobKind::kDrift;
  job.site = "second";
  job.moments = {{.site = "first", .moments = Sha256Of("a")}};
  job.drift = JobDrift{.seed = kMaxDriftSeed, .permutations = 99, .rows = 10, .members = {-5}};
  EXPECT_EQ(Job::FromText(job.ToText(), "job"), job);
  EXPECT_EQ(job.Name(), "00000000-t0-drift");
  const auto refused = [&](const char* words, const std::function<void(Job&)>& breaks) {
    Job bad = job;
    breaks(bad);
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)Job::FromText(bad.ToText(), "job"));
  };
  refused("'seed'", [](Job& j) { ++j.drift->seed; });
  refused("'permutations'", [](Job& j) { j.drift->permutations = 98; });
  refused("'permutations'", [](Job& j) { j.drift->permutations = 10'000; });
  refused("'rows'", [](Job& j) { j.drift->rows = 9; });
  refused("'rows'", [](Job& j) { j.drift->rows = 2'001; });
  refused("'members'", [](Job& j) { j.drift->members = {1, 2}; });
  refused("'members'", [](Job& j) { j.drift->members = {2'000'001}; });
  refused("nothing to compare with", [](Job& j) {
    j.moments.clear();
    j.drift->members.clear();
  });
  refused("'drift'", [](Job& j) { j.drift.reset(); });
  refused("'drift'", [](Job& j) { j.kind = JobKind::kTrain; });
}

}  // namespace
}  // namespace hemafed
