// SPDX-License-Identifier: Apache-2.0
#include "studies/local_federation/poison.h"

#include <gtest/gtest.h>

#include <cmath>

#include "codec/reports.h"
#include "common/safetensors.h"
#include "tests/expect_error.h"
#include "tests/scratch.h"

namespace hemafed::studies {
namespace {

constexpr std::size_t kValues = 600;

// A job folder with the results of two rounds of a lab's second task.
class PoisonedFolder : public testing::Test {
 protected:
  PoisonedFolder() {
    jobs_.CreateAll(files_);
    plan_.seed = 3;
    plan_.aggregation.encoding = UpdateEncoding::kInt32;
    for (std::size_t i = 0; i < kValues; ++i) honest_.push_back(static_cast<std::int32_t>(i * i) - 90'000);
    teacher_ = WriteModel(0.5f);
    for (std::uint32_t round = 0; round < 2; ++round) {
      Job& job = job_[round];
      job = {.kind = JobKind::kTrain, .plan = Sha256Of("plan"), .site = "first", .task = 1, .round = round};
      job.teacher = teacher_;
      job.model = WriteModel(round == 0 ? 0.75f : 1.0f);
    }
  }
  // One tensor of a constant.
  Digest WriteModel(float value) {
    TensorInfo info;
    info.name = "weight";
    info.shape = {static_cast<std::int64_t>(kValues)};
    const Path path = scratch_ / "model";
    SafetensorsWriter writer(files_, path, {info}, {});
    const std::vector<float> values(kValues, value);
    writer.Append("weight", {reinterpret_cast<const std::uint8_t*>(values.data()), 4 * kValues});
    const Digest digest = writer.Finish();
    files_.Rename(path, jobs_.Object(digest));
    return digest;
  }
  // What an honest trainer leaves.
  void Finish(const Job& job) {
    const Path done = jobs_.DoneFolder(job.Name());
    files_.CreateFolders(done);
    UpdateWriter writer(files_, done / std::string(kUpdateFileName), {{{.name = "weight", .shape = {kValues}}}});
    writer.Append(honest_);
    const UpdateFileInfo file = writer.Finish();
    UpdateReport report;
    report.values = file.values;
    report.file = file.file;
    report.file_bytes = file.file_bytes;
    report.pictures = 9;
    report.steps = 4;
    WriteFileAtomically(files_, jobs_.JobFile(job.Name()), job.ToText());
    WriteFileAtomically(files_, done / std::string(kReportFileName),
                        JobReport{.job = Sha256Of(job.ToText()), .body = report.ToJson()}.ToText());
  }
  // The integers in a job's result, which must be those that its report names.
  std::vector<std::int32_t> ResultOf(const Job& job) {
    const Path done = jobs_.DoneFolder(job.Name());
    std::vector<std::int32_t> values;
    const DecodedUpdate decoded = DecodeUpdate(
        *files_.OpenForRead(done / std::string(kUpdateFileName)), {{{.name = "weight", .shape = {kValues}}}},
        [&](std::span<const std::int32_t> part) { values.insert(values.end(), part.begin(), part.end()); });
    const JobReport report =
        JobReport::FromText(ReadFile(files_, done / std::string(kReportFileName), kMaxReportBytes), "report");
    const auto update = UpdateReport::FromJson({report.body, "report"});
    EXPECT_EQ(report.job, Sha256Of(job.ToText()));
    EXPECT_EQ(update.values, decoded.values);
    EXPECT_EQ(update.steps, 4u);
    return values;
  }
  // Both rounds through a poison of this kind.
  void Run(PoisonKind kind, std::uint32_t from_task = 1) {
    Poison poison(files_, jobs_, {.site = "first", .kind = kind, .from_task = from_task}, scratch_ / "memory");
    for (const Job& job : job_) {
      Finish(job);
      poison.RewriteResults(plan_);
      poison.RewriteResults(plan_);  // Nothing more happens.
    }
  }

  testing_support::Scratch scratch_;
  FileSystem& files_ = RealFileSystem();
  JobFolder jobs_{scratch_ / "jobs"};
  Plan plan_;
  Digest teacher_;
  Job job_[2];
  std::vector<std::int32_t> honest_;
};

TEST_F(PoisonedFolder, TurnsScalesOrReplacesTheIntegers) {
  Run(PoisonKind::kSignFlipped);
  for (const Job& job : job_) {
    const auto values = ResultOf(job);
    for (std::size_t i = 0; i < kValues; ++i) ASSERT_EQ(values[i], -honest_[i]);
  }
  honest_[0] = std::numeric_limits<std::int32_t>::min() / 3;
  Run(PoisonKind::kScaled);
  EXPECT_EQ(ResultOf(job_[0])[0], std::numeric_limits<std::int32_t>::min()) << "held";
  EXPECT_EQ(ResultOf(job_[0])[300], 100 * honest_[300]);
  Run(PoisonKind::kNotANumber);
  EXPECT_EQ(ResultOf(job_[1]), std::vector<std::int32_t>(kValues, std::numeric_limits<std::int32_t>::min()));
}

TEST_F(PoisonedFolder, RandomIntegersHaveTheMeanSquareOfTheHonestOnes) {
  Run(PoisonKind::kRandom);
  const auto mean_square = [](const std::vector<std::int32_t>& values) {
    double sum = 0;
    for (const std::int32_t q : values) sum += static_cast<double>(q) * q;
    return sum / static_cast<double>(values.size());
  };
  const auto values = ResultOf(job_[0]);
  // The mean of 600 squares of uniform numbers spreads by 0.894 / sqrt(600): four of these spreads.
  EXPECT_NEAR(mean_square(values) / mean_square(honest_), 1.0, 4 * 0.894 / std::sqrt(600.0));
  EXPECT_NE(values, ResultOf(job_[1])) << "another round";
}

TEST_F(PoisonedFolder, AnotherBaseIsTheTeacherOrTheBaseOfTheRoundBefore) {
  Run(PoisonKind::kOtherBase);
  const auto moved = [&](double by) {
    std::vector<std::int32_t> values = honest_;
    for (std::int32_t& q : values) q += static_cast<std::int32_t>(by * 4194304);
    return values;
  };
  EXPECT_EQ(ResultOf(job_[0]), moved(-0.25));
  EXPECT_EQ(ResultOf(job_[1]), moved(-0.5));
  Run(PoisonKind::kStaleBase);
  EXPECT_EQ(ResultOf(job_[0]), moved(-0.25)) << "before a task's first round there is only the teacher";
  EXPECT_EQ(ResultOf(job_[1]), moved(-0.25));
}

TEST_F(PoisonedFolder, LeavesEarlierTasksAndOtherSitesAlone) {
  Run(PoisonKind::kSignFlipped, 2);
  EXPECT_EQ(ResultOf(job_[0]), honest_);
  Poison other(files_, jobs_, {.site = "second", .from_task = 0}, scratch_ / "other");
  other.RewriteResults(plan_);
  EXPECT_EQ(ResultOf(job_[0]), honest_);
  plan_.aggregation.encoding = UpdateEncoding::kInt8;
  Poison int8(files_, jobs_, {.site = "first", .from_task = 0}, scratch_ / "int8");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "int32", int8.RewriteResults(plan_));
}

TEST(PoisonSettings, AreSiteKindAndTask) {
  const auto settings = PoisonSettings::FromText("raabin:stale_base:2");
  EXPECT_EQ(settings.site, "raabin");
  EXPECT_EQ(settings.kind, PoisonKind::kStaleBase);
  EXPECT_EQ(settings.from_task, 1u);
  EXPECT_EQ(settings.ToText(), "raabin:stale_base:2");
  for (const char* text : {"", "raabin", "raabin:scaled", "raabin:scaled:", "raabin:scaled:0", "raabin:scaled:x",
                           "raabin:scaled:65", "raabin:mild:2", "No:scaled:2", "a:b:scaled:2"}) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "SITE:KIND:TASK", (void)PoisonSettings::FromText(text));
  }
}

}  // namespace
}  // namespace hemafed::studies
