// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/egress.h"

#include <gtest/gtest.h>

#include "codec/evaluation.h"
#include "codec/exchange.h"
#include "codec/update.h"
#include "tests/expect_error.h"
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
  EXPECT_NO_THROW(
      (void)contract.Permit(JobOf(JobKind::kEvaluate), EvaluationReport::Of(matrix, 10, {{0, 1}}).ToJson()));
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

}  // namespace
}  // namespace hemafed::agent
