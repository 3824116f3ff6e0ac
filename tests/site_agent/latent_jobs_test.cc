// SPDX-License-Identifier: Apache-2.0
//
// The trainer's jobs under [drift]: a lab with real picture files, a simple extractor, other hospitals' moments.
#include <gtest/gtest.h>

#include <memory>
#include <opencv2/imgproc.hpp>

#include "codec/drift_report.h"
#include "codec/latent_moments.h"
#include "codec/latent_reference.h"
#include "learning/features/latent/drift_check.h"
#include "tests/codec/latent_samples.h"
#include "tests/expect_error.h"
#include "tests/protocol/federation/consortium_fixture.h"
#include "tests/site_agent/strategy_lab.h"

namespace hemafed::trainer {
namespace {

using hemafed::testing_support::LatentPlanText;
using hemafed::testing_support::SampleMoments;

constexpr std::uint32_t kSide = 32;  // The plan's input.

// Colours of the 4 x 4 parts of the picture, in -1..1, and two zeros: 50 numbers. Or the same for every picture.
class CoarseColours final : public learning::LatentExtractor {
 public:
  explicit CoarseColours(bool constant)
      : constant_(constant), digest_(Sha256Of(constant ? "one colour" : "coarse colours")) {}
  [[nodiscard]] const Digest& digest() const override { return digest_; }
  [[nodiscard]] std::uint32_t side() const override { return kSide; }
  [[nodiscard]] std::size_t width() const override { return 50; }
  [[nodiscard]] learning::PictureLatent Latent(const cv::Mat& rgb) const override {
    learning::PictureLatent latent{.values = std::vector<float>(50)};
    if (constant_) {
      latent.values[0] = 1;
      return latent;
    }
    cv::Mat small;
    cv::resize(rgb, small, cv::Size(4, 4), 0, 0, cv::INTER_AREA);
    for (int i = 0; i < 48; ++i)
      latent.values[static_cast<std::size_t>(i)] = static_cast<float>(small.data[i]) / 127.5F - 1;
    return latent;
  }

 private:
  bool constant_;
  Digest digest_;
};

class LatentJobs : public testing_support::StrategyLab {
 protected:
  LatentJobs() { Use("[drift]\npermutations = 99\nrows = 20\n"); }

  void Use(const std::string& drift, std::uint64_t min_pictures = 2) {
    const ExtractorPlan extractor{.detector = Put("detector"), .autoencoder = Put("autoencoder")};
    UsePlan(
        LatentPlanText(testing_support::PlanText("name = \"finetuning\"\n", testing_support::kForgets, min_pictures),
                       extractor) +
        drift);
  }
  nlohmann::json RunWith(const Job& job, bool constant = false) {
    const JobFolder jobs = JobsOf(job.site);
    files_.Remove(jobs.DoneFolder(job.Name()));
    for (const std::string& name : files_.List(jobs.Todo())) files_.Remove(jobs.Todo() / name);  // Of failed ones.
    WriteFileAtomically(files_, jobs.JobFile(job.Name()), job.ToText());
    RunnerHooks hooks{.stop = [] { return false; }, .print = [](const std::string&) {}};
    hooks.extractor = [&](const Path&, const Path&) { return std::make_unique<CoarseColours>(constant); };
    JobRunner runner(files_, clock_, jobs, FolderOf(job.site), SettingsOf(job.site), hooks);
    EXPECT_TRUE(runner.RunNext());
    files_.Remove(jobs.JobFile(job.Name()));
    const Path report = jobs.DoneFolder(job.Name()) / std::string(kReportFileName);
    return JobReport::FromText(ReadFile(files_, report, kMaxReportBytes), "report").body;
  }
  Job MomentsJob(const std::string& site, std::uint32_t task) const {
    return JobOf(JobKind::kMoments, site, task, base_);
  }
  // Runs it and makes the moments an object of both labs.
  Digest StateMoments(const std::string& site, std::uint32_t task) {
    const Job job = MomentsJob(site, task);
    const auto report = MomentsReport::FromJson({RunWith(job), "report"});
    const Path file = JobsOf(site).DoneFolder(job.Name()) / std::string(kMomentsFileName);
    EXPECT_EQ(report.file_bytes, files_.OpenForRead(file)->Size());
    EXPECT_EQ(Put(ReadFile(files_, file, 1 << 20)), report.values);
    return report.values;
  }
  Job DriftJob(const std::vector<Digest>& others, std::vector<std::int64_t> members = {}) const {
    Job job = JobOf(JobKind::kDrift, "second", 1, base_);
    for (std::size_t i = 0; i < others.size(); ++i) {
      job.moments.push_back({.site = "hospital-" + std::to_string(i), .moments = others[i]});
    }
    job.drift = JobDrift{.seed = 12'345, .permutations = 99, .rows = 20, .members = std::move(members)};
    return job;
  }
};

TEST_F(LatentJobs, MomentsAreOfTheLatentsOfThePicturesThatWereCommitted) {
  const auto committed = CommitmentReport::FromJson({RunWith(JobOf(JobKind::kCommit, "second", 1, base_)), "report"});
  const Job job = MomentsJob("second", 1);
  const auto report = MomentsReport::FromJson({RunWith(job), "report"});
  EXPECT_EQ(report.cells, committed.pictures);
  const Path file = JobsOf("second").DoneFolder(job.Name()) / std::string(kMomentsFileName);
  const LatentMoments moments = ReadLatentMoments(*files_.OpenForRead(file), 50);
  EXPECT_EQ(moments.Hash(), report.values);
  EXPECT_EQ(moments.Sum(48), 0) << "the extractor's two zeros";
  EXPECT_NE(moments.Sum(0), 0);
}

TEST_F(LatentJobs, ADriftReportIsThatOfTheLogsMomentsTheSeedAndTheMembers) {
  const Digest first = StateMoments("first", 0), other = Put(std::string(AsText(SampleMoments(50, 0, 80).Canonical())));
  const Job job = DriftJob({first, other}, {2'000'000, -2'000'000});
  const nlohmann::json body = RunWith(job);
  const auto report = DriftReport::FromJson({body, "report"});
  std::vector<GaussianComponent> components;
  for (const Digest& digest : {first, other}) {
    components.push_back(ComponentOf(ReadLatentMoments(*files_.OpenForRead(JobsOf("second").Object(digest)), 50)));
  }
  EXPECT_EQ(report.reference, DriftReferenceKind::kMoments);
  EXPECT_EQ(report.reference_digest, DigestOfComponents(components));
  EXPECT_EQ(report.reference_pictures, components[0].rows + 80);
  EXPECT_EQ(report.columns, 50u);
  EXPECT_EQ(report.pictures_used, 20u);
  EXPECT_EQ(report.reference_rows, 20u);
  EXPECT_EQ(report.seed, 12'345u);
  EXPECT_EQ(report.p_denominator, 100u);
  EXPECT_EQ(report.members, 2u);
  EXPECT_EQ(report.members_as_far, 1u);
  EXPECT_EQ(RunWith(job), body) << "the same every time";
}

TEST_F(LatentJobs, AHospitalLikeTheOthersIsNearerThanOneThatIsNot) {
  // Both labs' pictures are drawn alike; sample latents fill the whole cube.
  const auto near = DriftReport::FromJson({RunWith(DriftJob({StateMoments("first", 0)})), "report"});
  const Digest far = Put(std::string(AsText(SampleMoments(50, 0, 80).Canonical())));
  const auto apart = DriftReport::FromJson({RunWith(DriftJob({far})), "report"});
  EXPECT_LT(near.mmd2_unbiased_millionths, apart.mmd2_unbiased_millionths);
  EXPECT_EQ(apart.p_numerator, 1u);
}

TEST_F(LatentJobs, FewerThanTenPicturesAreNotCompared) {
  const Digest first = StateMoments("first", 0);
  files_.Remove(SettingsOf("second").pictures / "monocyte");
  for (std::uint64_t gone = 0; const std::string& name : files_.List(SettingsOf("second").pictures / "basophil")) {
    if (++gone > 9) files_.Remove(SettingsOf("second").pictures / "basophil" / name);
  }
  const auto refusal = DriftRefusal::FromJson({RunWith(DriftJob({first})), "report"});
  EXPECT_EQ(refusal.reason, DriftRefusalReason::kTooFewPictures);
  EXPECT_GE(refusal.pictures, 2u);
  EXPECT_LE(refusal.pictures, 9u);
  EXPECT_EQ(refusal.reference_digest, DigestOfComponents(std::vector{ComponentOf(ReadLatentMoments(
                                          *files_.OpenForRead(JobsOf("second").Object(first)), 50))}));
}

// Withdrawn after the commitment, for example: the lab goes on, and how many are left stays here.
TEST_F(LatentJobs, OfFewerThanMinPicturesNothingIsSaidButThat) {
  const Digest other = Put(std::string(AsText(SampleMoments(50, 0, 80).Canonical())));
  Use("[drift]\npermutations = 99\nrows = 20\n", 40);
  EXPECT_EQ(RunWith(DriftJob({other})), BelowMinPictures{}.ToJson());
  const Job job = MomentsJob("second", 1);
  EXPECT_EQ(RunWith(job), BelowMinPictures{}.ToJson());
  EXPECT_FALSE(files_.Exists(JobsOf("second").DoneFolder(job.Name()) / std::string(kMomentsFileName)));
}

TEST_F(LatentJobs, MomentsAreMadeOncePerTask) {
  Job job = MomentsJob("second", 1);
  job.round = 1;
  EXPECT_ERROR(ErrorCode::kRefused, "the plan has only 1 rounds", (void)RunWith(job));
}

TEST_F(LatentJobs, NothingIsComparedWithMomentsThatNothingCanBeDrawnFrom) {
  LatentMoments constant(50);
  for (int cell = 0; cell < 20; ++cell) constant.AddCell(std::vector<float>(50, 0.5F));
  const Digest other = Put(std::string(AsText(constant.Canonical())));
  const auto refusal = DriftRefusal::FromJson({RunWith(DriftJob({other})), "report"});
  EXPECT_EQ(refusal.reason, DriftRefusalReason::kUnusableReference);
}

TEST_F(LatentJobs, ConstantLatentsOnBothSidesAreNotCompared) {
  // 2^17 cells of (1, 0, ...) and one that is a step off: what is drawn from them rounds to the same mostly.
  LatentMoments nearly(50);
  std::vector<float> cell(50);
  cell[0] = 1;
  nearly.AddCell(cell);
  for (int doubling = 0; doubling < 17; ++doubling) nearly.Add(LatentMoments(nearly));
  cell[0] = 1 - 0x1p-16F;
  nearly.AddCell(cell);
  const Digest other = Put(std::string(AsText(nearly.Canonical())));
  const auto refusal = DriftRefusal::FromJson({RunWith(DriftJob({other}), true), "report"});
  EXPECT_EQ(refusal.reason, DriftRefusalReason::kConstantFeatures);
  // Beside hospitals whose latents vary such a one is compared, and far off.
  const Digest varied = Put(std::string(AsText(SampleMoments(50, 0, 80).Canonical())));
  const auto report = DriftReport::FromJson({RunWith(DriftJob({varied}), true), "report"});
  EXPECT_EQ(report.p_numerator, 1u);
}

TEST_F(LatentJobs, AreRunOnlyWhereThePlanAsksAndAsItAsks) {
  const Digest other = Put(std::string(AsText(SampleMoments(50, 0, 80).Canonical())));
  Job job = DriftJob({other});
  job.drift->permutations = 100;
  EXPECT_ERROR(ErrorCode::kRefused, "another test than the plan's", (void)RunWith(job));
  Use("");
  EXPECT_ERROR(ErrorCode::kRefused, "does not ask for", (void)RunWith(DriftJob({other})));
  EXPECT_ERROR(ErrorCode::kRefused, "does not ask for", (void)RunWith(MomentsJob("second", 1)));
}

}  // namespace
}  // namespace hemafed::trainer
