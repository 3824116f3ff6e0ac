// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/egress.h"

#include <gtest/gtest.h>

#include "codec/drift_report.h"
#include "codec/evaluation.h"
#include "codec/exchange.h"
#include "codec/prototype_head.h"
#include "codec/score_histograms.h"
#include "codec/update.h"
#include "tests/codec/feature_samples.h"
#include "tests/codec/latent_samples.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/protocol/federation/consortium_fixture.h"
#include "tests/scratch.h"

namespace hemafed::agent {
namespace {

using nlohmann::json;

const Plan& TestPlan() {
  static const Plan plan = ParsePlan(hemafed::testing_support::SmallPlanText(Sha256Of("weights")), "plan");
  return plan;
}

Job JobOf(JobKind kind) {
  Job job;
  job.kind = kind;
  job.site = "first";
  return job;
}

TEST(EgressContract, LetsExactlyTheReportsFieldsThrough) {
  const EgressContract contract(TestPlan());
  const json good = CommitmentReport{.pictures = 40, .classes = {30, std::nullopt}}.ToJson();
  EXPECT_EQ(contract.Permit(JobOf(JobKind::kCommit), good), good);
  json extra = good;
  extra["picture"] = "base64...";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'picture' is not known",
               (void)contract.Permit(JobOf(JobKind::kCommit), extra));
  json text = good;
  text["pictures"] = "forty";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not an integer", (void)contract.Permit(JobOf(JobKind::kCommit), text));
}

TEST(EgressContract, WithholdsStatisticsOfFewPictures) {
  const EgressContract contract(TestPlan());
  const json few = CommitmentReport{.pictures = 40, .classes = {31, 9}}.ToJson();
  EXPECT_ERROR(ErrorCode::kRefused, "fewer than min_pictures", (void)contract.Permit(JobOf(JobKind::kCommit), few));
  const json other = CommitmentReport{.pictures = 40, .classes = {30, std::nullopt, std::nullopt}}.ToJson();
  EXPECT_ERROR(ErrorCode::kRefused, "counts 3 classes", (void)contract.Permit(JobOf(JobKind::kCommit), other));
  ConfusionMatrix matrix(2);
  matrix.Add(0, 0, 20);
  matrix.Add(1, 1, 9);
  EXPECT_ERROR(ErrorCode::kRefused, "fewer than min_pictures",
               (void)contract.Permit(JobOf(JobKind::kEvaluate), EvaluationReport::Of(matrix, 1, {{0, 1}}).ToJson()));
  auto report = EvaluationReport::Of(matrix, 10, {{0, 1}});
  EXPECT_NO_THROW((void)contract.Permit(JobOf(JobKind::kEvaluate), report.ToJson()));
  report.set_scores(ScoresFile{.values = Sha256Of("x"), .file = Sha256Of("y"), .file_bytes = 100});
  EXPECT_ERROR(ErrorCode::kRefused, "no class has min_pictures positives and negatives",
               (void)contract.Permit(JobOf(JobKind::kEvaluate), report.ToJson()));
}

TEST(EgressContract, ScoreHistogramsShowWhatTheirReportMayShowAndNoMore) {
  const EgressContract contract(TestPlan());
  const auto scored = [](std::size_t of_first, std::size_t of_second, std::uint64_t min_pictures) {
    ConfusionMatrix matrix(2);
    ScoreTally tally(2);
    for (std::size_t i = 0; i < of_first + of_second; ++i) {
      const std::size_t truth = i < of_first ? 0 : 1;
      matrix.Add(truth, truth);
      tally.Add(truth, std::vector{truth == 0 ? 0.75 : 0.25, truth == 0 ? 0.25 : 0.75});
    }
    auto report = EvaluationReport::Of(matrix, min_pictures, {{0, 1}});
    return std::pair{report, ScoreHistograms::Of(tally, report, min_pictures)};
  };
  testing_support::FaultFileSystem files;
  const auto permit = [&](EvaluationReport report, const ScoreHistograms& histograms) {
    report.set_scores(WriteScoreHistograms(files, "/scores", histograms));
    const SiteStatement statement{.kind = StatementKind::kEvaluation,
                                  .body = contract.Permit(JobOf(JobKind::kEvaluate), report.ToJson())};
    contract.PermitEnclosure(statement, UpdateLayout{});
    contract.PermitContent(statement, "first", *files.OpenForRead("/scores"), {});
  };
  const auto [report, histograms] = scored(30, 20, 10);
  EXPECT_NO_THROW(permit(report, histograms));
  // A trainer that shows the scores of nine pictures, beside a report that withholds them or not.
  const auto few = scored(30, 9, 1).second;
  EXPECT_ERROR(ErrorCode::kRefused, "fewer than min_pictures", permit(scored(30, 9, 1).first, few));
  EXPECT_ERROR(ErrorCode::kRefused, "no class has min_pictures", permit(scored(30, 9, 10).first, few));
  EXPECT_ERROR(ErrorCode::kRefused, "the confusion matrix has", permit(report, scored(30, 19, 10).second));
  EvaluationReport lying = report;
  ScoresFile named = WriteScoreHistograms(files, "/scores", histograms);
  named.values = Sha256Of("other counts");
  lying.set_scores(named);
  EXPECT_ERROR(ErrorCode::kRefused, "digest",
               contract.PermitContent({.kind = StatementKind::kEvaluation, .body = lying.ToJson()}, "first",
                                      *files.OpenForRead("/scores"), {}));
  named.file_bytes = MaxScoreHistogramsFileBytes(2) + 1;
  lying.set_scores(named);
  EXPECT_ERROR(ErrorCode::kRefused, "more than",
               contract.PermitEnclosure({.kind = StatementKind::kEvaluation, .body = lying.ToJson()}, UpdateLayout{}));
}

TEST(EgressContract, AnUpdateHasTheBaseModelsTensorsAndNoMoreBytesThanTheyTake) {
  const EgressContract contract(TestPlan());
  const UpdateLayout base{{{.name = "weight", .shape = {10, 100}}}};
  UpdateReport report;
  report.layout = base.Hash();
  report.file_bytes = 1000;
  const auto statement = [&] { return SiteStatement{.kind = StatementKind::kUpdate, .body = report.ToJson()}; };
  EXPECT_NO_THROW(contract.PermitEnclosure(statement(), base));
  EXPECT_ERROR(ErrorCode::kRefused, "tensors",
               contract.PermitEnclosure(statement(), UpdateLayout{{{.name = "weight", .shape = {1000}}}}));
  report.file_bytes = MaxUpdateFileBytes(base, UpdateEncoding::kInt32) + 1;
  EXPECT_ERROR(ErrorCode::kRefused, "more than", contract.PermitEnclosure(statement(), base));
}

TEST(EgressContract, AJudgementIsAboutEnoughPicturesOrSaysNothing) {
  const EgressContract contract(TestPlan());
  const auto permit = [&](std::uint64_t pictures) {
    return contract.Permit(JobOf(JobKind::kJudge), JudgementReport{.pictures = pictures, .agrees = 0}.ToJson());
  };
  EXPECT_NO_THROW((void)permit(0));
  EXPECT_NO_THROW((void)permit(10));
  EXPECT_ERROR(ErrorCode::kRefused, "fewer than min_pictures", (void)permit(9));
}

TEST(EgressRecord, AddsOneLineForEachThingThatLeaves) {
  const hemafed::testing_support::Scratch scratch;
  ManualClock clock(5);
  EgressRecord record(RealFileSystem(), clock, scratch / "egress.jsonl");
  record.Write("commitment", JobOf(JobKind::kCommit), 10, Sha256Of("a"));
  record.Write("update file", JobOf(JobKind::kTrain), 20, Sha256Of("b"));
  const std::string text = ReadFile(RealFileSystem(), scratch / "egress.jsonl", 1 << 16);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  EXPECT_NE(text.find("\"bytes\":20"), std::string::npos);
}

TEST(EgressContract, SumsLeaveOnlyIfTheyHoldWhatTheReportSaysAndEnoughOfEachClass) {
  const Plan plan = ParsePlan(hemafed::testing_support::AnalyticPlanText(Sha256Of("weights")), "plan");
  const EgressContract contract(plan);
  const hemafed::testing_support::Scratch scratch;
  // Pictures 0 .. count-1, alternating between the classes.
  const auto statement = [&](std::uint32_t count, ClassCounts classes) {
    const FeatureSums sums = hemafed::testing_support::SampleSums(12, 2, 0, count);
    const FeatureSumsFileInfo info = WriteFeatureSums(RealFileSystem(), scratch / "sums.hfs", sums);
    SumsReport report{.sums = info.sums, .file = info.file, .file_bytes = info.file_bytes};
    report.classes = std::move(classes);
    for (const auto& class_count : report.classes) report.pictures += class_count.value_or(0);
    return SiteStatement{.kind = StatementKind::kSums, .body = report.ToJson()};
  };
  const auto permit = [&](const SiteStatement& said) {
    (void)contract.Permit(JobOf(JobKind::kSum), said.body);
    contract.PermitEnclosure(said, {});
    contract.PermitContent(said, "first", *RealFileSystem().OpenForRead(scratch / "sums.hfs"), {});
  };
  EXPECT_NO_THROW(permit(statement(40, {20, 20})));
  EXPECT_ERROR(ErrorCode::kRefused, "fewer than min_pictures", permit(statement(18, {9, 9})));
  // A small class in the sums, withheld in the report alone.
  EXPECT_ERROR(ErrorCode::kRefused, "pictures of monocyte", permit(statement(19, {10, std::nullopt})));
  EXPECT_ERROR(ErrorCode::kRefused, "counts 3 classes", permit(statement(40, {20, 20, std::nullopt})));
  SiteStatement larger = statement(40, {20, 20});
  larger.body["file_bytes"] = 100'000;
  EXPECT_ERROR(ErrorCode::kRefused, "more than the", permit(larger));
  SiteStatement other = statement(40, {20, 20});
  (void)statement(42, {});
  EXPECT_ERROR(ErrorCode::kRefused, "digest that the site signed", permit(other));
}

// Under the policy `sealed`.
class TravellingPictures : public testing::Test {
 protected:
  TravellingPictures() {
    job_.partner = JobPartner{.site = "second", .lab = "{}", .statement = "{}"};
    report_ = {.recipient = "second", .file = Sha256Of("bundle"), .file_bytes = 4'000, .items = 8};
  }
  LabAgreement Yes() const { return {.plan = job_.plan, .partners = {"second"}, .ended = false, .operator_key = {}}; }
  json Seal(std::optional<LabAgreement> agreement) const {
    return EgressContract(plan_, std::move(agreement)).Permit(job_, report_.ToJson());
  }

  Plan plan_ = ParsePlan(hemafed::testing_support::SmallPlanText(Sha256Of("weights"), "sealed"), "plan");
  Job job_ = JobOf(JobKind::kSeal);
  BundleReport report_;
};

TEST_F(TravellingPictures, LeaveOnlyWithTheYesOfTheLabsPeopleToThisPlanAndPartner) {
  EXPECT_EQ(Seal(Yes()), report_.ToJson());
  EXPECT_ERROR(ErrorCode::kRefused, "have not agreed", (void)Seal(std::nullopt));
  LabAgreement other = Yes();
  other.ended = true;
  EXPECT_ERROR(ErrorCode::kRefused, "have not agreed", (void)Seal(other));
  other = Yes();
  other.partners = {"third"};
  EXPECT_ERROR(ErrorCode::kRefused, "have not agreed", (void)Seal(other));
  other = Yes();
  other.plan = Sha256Of("another plan");
  EXPECT_ERROR(ErrorCode::kRefused, "have not agreed", (void)Seal(other));
  report_.recipient = "third";
  EXPECT_ERROR(ErrorCode::kRefused, "for another lab", (void)Seal(Yes()));
}

TEST_F(TravellingPictures, AreNoMoreAndNoLargerThanThePlanSays) {
  report_.items = 9;
  EXPECT_ERROR(ErrorCode::kRefused, "holds 9 pictures", (void)Seal(Yes()));
  report_.items = 8;
  report_.file_bytes = MaxBundleFileBytesOf(plan_, 0) + 1;
  EXPECT_ERROR(ErrorCode::kRefused, "larger than the plan", (void)Seal(Yes()));
  // Nothing is due after the last task.
  job_.task = 1;
  report_.file_bytes = 100;
  report_.items = 1;
  EXPECT_ERROR(ErrorCode::kRefused, "holds 1 pictures", (void)Seal(Yes()));
}

TEST(EgressContract, ARemovalNamesTheWithdrawalOfItsJobAndNothingElse) {
  const EgressContract contract(TestPlan());
  const StatementEntry said{
      .site = "first",
      .statement = {.kind = StatementKind::kWithdrawal,
                    .task = 0,
                    .round = 0,
                    .subject = Sha256Of("plan"),
                    .body = WithdrawalReport{.bundle = Sha256Of("bundle"), .items = {1, 3}}.ToJson()}};
  Job job = JobOf(JobKind::kRemove);
  const json good = RemovedReport{.withdrawal = Sha256Of(said.statement.ToText())}.ToJson();
  EXPECT_ERROR(ErrorCode::kRefused, "names no withdrawal", (void)contract.Permit(job, good));
  job.partner = JobPartner{.site = "first", .lab = "{}", .statement = EntryToText({0, said})};
  EXPECT_EQ(contract.Permit(job, good), good);
  // 32 bytes of the trainer's choice.
  EXPECT_ERROR(ErrorCode::kRefused, "about another withdrawal",
               (void)contract.Permit(job, RemovedReport{.withdrawal = Sha256Of("a picture")}.ToJson()));
  json more = good;
  more["items"] = {1, 3};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'items' is not known", (void)contract.Permit(job, more));
  StatementEntry other = said;
  other.statement.kind = StatementKind::kBundle;
  job.partner->statement = EntryToText({0, other});
  EXPECT_ERROR(ErrorCode::kRefused, "names no withdrawal", (void)contract.Permit(job, good));
}

TEST_F(TravellingPictures, AnAgreementSaysThePlansPartnersWhateverTheTrainerSays) {
  const Job job = JobOf(JobKind::kAgree);
  const json key = TrainerKeyReport{}.ToJson();
  const json signed_body = EgressContract(plan_, Yes()).Permit(job, key);
  EXPECT_EQ(signed_body["partners"], json({"second"}));
  EXPECT_ERROR(ErrorCode::kRefused, "have not agreed", (void)EgressContract(plan_).Permit(job, key));
  json more = key;
  more["partners"] = {"third"};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'partners' is not known",
               (void)EgressContract(plan_, Yes()).Permit(job, more));
}

TEST(EgressContract, ClassMeansShowNoClassOfTooFewPicturesAndFisherInformationIsOfEnough) {
  hemafed::testing_support::FaultFileSystem files;
  const Plan plan =
      ParsePlan(hemafed::testing_support::WithStrategy(hemafed::testing_support::SmallPlanText(Sha256Of("w")),
                                                       hemafed::testing_support::kIcarl, "federated"),
                "plan");
  const EgressContract contract(plan);
  const UpdateLayout model{{{.name = "head.weight", .shape = {2, 3}}}};
  const auto permit = [&](const std::vector<std::int32_t>& means, const ClassCounts& counts) {
    UpdateWriter writer(files, "/means", MeansLayout(model));
    writer.Append(means);
    const UpdateFileInfo file = writer.Finish();
    const MeansReport report{
        .values = file.values, .file = file.file, .file_bytes = file.file_bytes, .classes = counts};
    const SiteStatement statement{.kind = StatementKind::kMeans,
                                  .body = contract.Permit(JobOf(JobKind::kMeans), report.ToJson())};
    contract.PermitEnclosure(statement, model);
    contract.PermitContent(statement, "first", *files.OpenForRead("/means"), model);
  };
  EXPECT_NO_THROW(permit({1, 2, 3, 4, 5, 6}, {12, 10}));
  EXPECT_ERROR(ErrorCode::kRefused, "fewer than min_pictures", permit({1, 2, 3, 4, 5, 6}, {12, 9}));
  EXPECT_ERROR(ErrorCode::kRefused, "has a mean, but no count", permit({1, 2, 3, 4, 5, 6}, {12, std::nullopt}));
  EXPECT_ERROR(ErrorCode::kRefused, "longer than 1", permit({1, 2, 3, 4, 5, 2 * kMaxMean}, {12, 10}));

  const Plan held =
      ParsePlan(hemafed::testing_support::WithStrategy(hemafed::testing_support::SmallPlanText(Sha256Of("w")),
                                                       hemafed::testing_support::kEwc, "none"),
                "plan");
  const EgressContract of_ewc(held);
  FisherReport fisher{
      .values = Sha256Of("v"), .layout = model.Hash(), .file = Sha256Of("f"), .file_bytes = 10, .pictures = 20};
  EXPECT_NO_THROW((void)of_ewc.Permit(JobOf(JobKind::kFisher), fisher.ToJson()));
  const auto said = [&] { return SiteStatement{.kind = StatementKind::kFisher, .body = fisher.ToJson()}; };
  EXPECT_NO_THROW(of_ewc.PermitEnclosure(said(), model));
  EXPECT_ERROR(ErrorCode::kRefused, "not those of the model", of_ewc.PermitEnclosure(said(), MeansLayout(model)));
  // A coordinator may ask for what the signed plan does not name.
  EXPECT_ERROR(ErrorCode::kRefused, "which this plan does not collect",
               (void)of_ewc.Permit(JobOf(JobKind::kMeans), MeansReport{.classes = {12, 10}}.ToJson()));
  EXPECT_ERROR(ErrorCode::kRefused, "the plan does not need",
               (void)contract.Permit(JobOf(JobKind::kFisher), fisher.ToJson()));
  fisher.pictures = 9;
  EXPECT_ERROR(ErrorCode::kRefused, "fewer than min_pictures",
               (void)of_ewc.Permit(JobOf(JobKind::kFisher), fisher.ToJson()));
}

TEST(EgressContract, LatentMomentsLeaveOfEnoughCellsAndWhereThePlanAsksForThem) {
  const auto plan_of = [](const char* alignment) {
    return ParsePlan(hemafed::testing_support::AutoencoderPlanText(Sha256Of("w"), Sha256Of("d"), alignment), "plan");
  };
  const Plan plan = plan_of(hemafed::testing_support::kAligned);
  const EgressContract contract(plan);
  testing_support::FaultFileSystem files;
  const auto permit = [&](std::uint32_t cells, std::uint64_t said, std::uint32_t width = 6) {
    const MomentsReport report{
        .values = WriteLatentMoments(files, "/moments", hemafed::testing_support::SampleMoments(width, 0, cells)),
        .file_bytes = LatentMomentsBytes(width),
        .cells = said};
    const SiteStatement statement{.kind = StatementKind::kMoments,
                                  .body = contract.Permit(JobOf(JobKind::kMoments), report.ToJson())};
    contract.PermitEnclosure(statement, UpdateLayout{});
    contract.PermitContent(statement, "first", *files.OpenForRead("/moments"), {});
  };
  EXPECT_NO_THROW(permit(10, 10));
  EXPECT_ERROR(ErrorCode::kRefused, "fewer than min_pictures cells", permit(9, 9));
  EXPECT_ERROR(ErrorCode::kRefused, "are of 9 cells, the site signed 10", permit(9, 10));
  EXPECT_ERROR(ErrorCode::kRefused, "more than the 240 that it can need", permit(20, 20, 7));
  EXPECT_ERROR(ErrorCode::kRefused, "holds latents of 5 values", permit(20, 20, 5));

  const MomentsReport report{.values = Sha256Of("m"), .file_bytes = 240, .cells = 20};
  const Plan unaligned = plan_of(hemafed::testing_support::kUnaligned);
  EXPECT_ERROR(ErrorCode::kRefused, "does not ask for",
               (void)EgressContract(unaligned).Permit(JobOf(JobKind::kMoments), report.ToJson()));
  EXPECT_ERROR(ErrorCode::kRefused, "does not ask for",
               (void)EgressContract(TestPlan()).Permit(JobOf(JobKind::kMoments), report.ToJson()));
}

TEST(EgressContract, AComparisonLeavesOfEnoughPicturesAndWhereThePlanAsksForIt) {
  const std::string text =
      hemafed::testing_support::LatentPlanText(hemafed::testing_support::SmallPlanText(Sha256Of("w")),
                                               {.detector = Sha256Of("d"), .autoencoder = Sha256Of("a")});
  const Plan plan = ParsePlan(text + hemafed::testing_support::kDriftCheck, "plan"), without = ParsePlan(text, "plan");
  const EgressContract contract(plan);
  DriftReport report;
  report.pictures = 10;
  const auto permit = [&] { return contract.Permit(JobOf(JobKind::kDrift), report.ToJson()); };
  EXPECT_EQ(permit(), report.ToJson());
  report.pictures = 9;
  EXPECT_ERROR(ErrorCode::kRefused, "fewer than min_pictures", (void)permit());
  report.pictures = 10;
  report.reference = DriftReferenceKind::kFeatures;
  EXPECT_ERROR(ErrorCode::kRefused, "features of single pictures", (void)permit());
  DriftRefusal refusal{
      .reason = DriftRefusalReason::kConstantFeatures, .reference_digest = Sha256Of("r"), .pictures = 10};
  EXPECT_EQ(contract.Permit(JobOf(JobKind::kDrift), refusal.ToJson()), refusal.ToJson());
  EXPECT_ERROR(ErrorCode::kRefused, "does not ask for",
               (void)EgressContract(without).Permit(JobOf(JobKind::kDrift), refusal.ToJson()));
  refusal.pictures = 9;
  EXPECT_ERROR(ErrorCode::kRefused, "fewer than min_pictures",
               (void)contract.Permit(JobOf(JobKind::kDrift), refusal.ToJson()));
  // Moments of these plans' latents, too.
  const MomentsReport moments{.values = Sha256Of("m"), .file_bytes = LatentMomentsBytes(50), .cells = 10};
  EXPECT_EQ(contract.Permit(JobOf(JobKind::kMoments), moments.ToJson()), moments.ToJson());
}

TEST(EgressContract, ThatTooFewPicturesAreLeftLeavesWithoutANumber) {
  const std::string text =
      hemafed::testing_support::LatentPlanText(hemafed::testing_support::SmallPlanText(Sha256Of("w")),
                                               {.detector = Sha256Of("d"), .autoencoder = Sha256Of("a")});
  const Plan plan = ParsePlan(text + hemafed::testing_support::kDriftCheck, "plan");
  const json none = BelowMinPictures{}.ToJson();
  json counted = none;
  counted["pictures"] = 9;
  for (const JobKind kind : {JobKind::kDrift, JobKind::kMoments}) {
    EXPECT_EQ(EgressContract(plan).Permit(JobOf(kind), none), none);
    EXPECT_ERROR(ErrorCode::kInvalidInput, "'pictures'", (void)EgressContract(plan).Permit(JobOf(kind), counted));
  }
  const Plan aligned = ParsePlan(hemafed::testing_support::AutoencoderPlanText(Sha256Of("w"), Sha256Of("d")), "plan");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'values'",
               (void)EgressContract(aligned).Permit(JobOf(JobKind::kMoments), none));
}

// Each would be one more look at the same cells, through an encoder of the coordinator's choice.
TEST(EgressContract, ResultsOfMoreRoundsThanThePlansDoNotLeave) {
  const Plan aligned = ParsePlan(hemafed::testing_support::AutoencoderPlanText(Sha256Of("w"), Sha256Of("d")), "plan");
  const json moments = MomentsReport{.values = Sha256Of("m"), .file_bytes = 240, .cells = 20}.ToJson();
  Job job = JobOf(JobKind::kMoments);
  job.round = 1;
  EXPECT_NO_THROW((void)EgressContract(aligned).Permit(job, moments));
  job.round = 2;
  EXPECT_ERROR(ErrorCode::kRefused, "of round 3, which the plan does not have",
               (void)EgressContract(aligned).Permit(job, moments));
  job.kind = JobKind::kTrain;
  EXPECT_ERROR(ErrorCode::kRefused, "of round 3, which the plan does not have",
               (void)EgressContract(aligned).Permit(job, moments));
  job = JobOf(JobKind::kMoments);
  job.task = 1;
  EXPECT_ERROR(ErrorCode::kRefused, "which the plan does not have", (void)EgressContract(aligned).Permit(job, moments));
}

}  // namespace
}  // namespace hemafed::agent
