// SPDX-License-Identifier: Apache-2.0
//
// The trainer's jobs where an autoencoder is trained: which cells they are about, what they refuse, and what a
// withdrawal takes away. The numbers of a whole federation: tests/studies/federation/autoencoder_simulation_test.cc.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "codec/latent_moments.h"
#include "codec/reports.h"
#include "codec/update.h"
#include "common/random.h"
#include "common/safetensors.h"
#include "learning/features/autoencoder/autoencoder_file.h"
#include "learning/features/autoencoder/autoencoder_round.h"
#include "site_agent/trainer/job_runner.h"
#include "site_agent/trainer/pictures.h"
#include "site_agent/trainer/withdraw.h"
#include "tests/codec/latent_samples.h"
#include "tests/expect_error.h"
#include "tests/learning/data/picture_files.h"
#include "tests/learning/features/extractor/colour_describer.h"
#include "tests/protocol/federation/consortium_fixture.h"
#include "tests/scratch.h"

namespace hemafed::trainer {
namespace {

using hemafed::testing_support::AutoencoderPlanText;
using hemafed::testing_support::ColourDescriber;
using hemafed::testing_support::SampleMoments;
using hemafed::testing_support::Scratch;
using learning::testing_support::Png;
using learning::testing_support::Write;

constexpr std::uint32_t kSide = 64;  // The plan's input.
constexpr std::uint32_t kLatent = 6;

// A lab with sixteen pictures of each of two classes, some of them for testing; the plan's site `first`.
class AutoencoderJobs : public testing::Test {
 protected:
  AutoencoderJobs()
      : files_(RealFileSystem()), jobs_{scratch_ / "lab" / "jobs"}, folder_{scratch_ / "lab" / "trainer"} {
    Write(scratch_ / "labels.toml",
          "name=\"t\"\nunknown=\"error\"\ndropped=[]\n[[class]]\nname=\"basophil\"\nlabels=[\"basophil\"]\n"
          "[[class]]\nname=\"monocyte\"\nlabels=[\"monocyte\"]\n");
    std::uint64_t seed = 0;
    for (const std::string label : {"basophil", "monocyte"}) {
      for (int i = 0; i < 16; ++i) {
        ++seed;
        Write(scratch_ / "pictures" / label / (std::to_string(seed) + ".png"), Png(seed));
      }
    }
    jobs_.CreateAll(files_);
    files_.CreateFolders(folder_.root, 0700);
    detector_ = Put("detector");
    base_ = PutModel(kLatent);
    UsePlan(hemafed::testing_support::kAligned);
  }

  void UsePlan(const std::string& alignment, const std::string& min_pictures = "2") {
    std::string text = AutoencoderPlanText(base_, detector_, alignment);
    text.replace(text.find("min_pictures = 10"), 17, "min_pictures = " + min_pictures);
    plan_ = ParsePlan(text, "plan");
    digest_ = Sha256Of(text);
    WriteFileAtomically(files_, jobs_.PlanFile(digest_), text);
  }
  Digest Put(const std::string& content) const {
    const Digest digest = Sha256Of(content);
    WriteFileAtomically(files_, jobs_.Object(digest), content);
    return digest;
  }
  Digest PutModel(std::int64_t latent) const {
    const Path file = scratch_ / "model.safetensors";
    (void)learning::SaveAutoencoder(files_, file, learning::InitialAutoencoder(latent, 1));
    return Put(ReadFile(files_, file, 1 << 26));
  }
  [[nodiscard]] SiteSettings Settings() const {
    return {.site = "first",
            .pictures = scratch_ / "pictures",
            .layout = PictureLayout::kFolders,
            .labels = scratch_ / "labels.toml"};
  }
  [[nodiscard]] Job JobOf(JobKind kind) const {
    Job job;
    job.kind = kind;
    job.plan = digest_;
    job.site = "first";
    job.model = base_;
    return job;
  }
  // Of round 0, with the moments of the other hospital.
  [[nodiscard]] Job TrainingJob() const {
    Job job = JobOf(JobKind::kTrain);
    const Bytes bytes = SampleMoments(kLatent, 0, 20).Canonical();
    job.moments = {{.site = "second", .moments = Put(std::string(AsText(bytes)))}};
    return job;
  }
  nlohmann::json Run(
      const Job& job, const std::function<bool()>& stop = [] { return false; }) {
    files_.Remove(jobs_.DoneFolder(job.Name()));
    for (const std::string& name : files_.List(jobs_.Todo())) files_.Remove(jobs_.Todo() / name);  // Of failed ones.
    WriteFileAtomically(files_, jobs_.JobFile(job.Name()), job.ToText());
    RunnerHooks hooks{.stop = stop, .print = [](const std::string&) {}};
    hooks.describer = [](const Path&) { return std::make_unique<ColourDescriber>(kSide); };
    JobRunner runner(files_, clock_, jobs_, folder_, Settings(), hooks);
    EXPECT_TRUE(runner.RunNext());
    files_.Remove(jobs_.JobFile(job.Name()));
    const Path report = jobs_.DoneFolder(job.Name()) / std::string(kReportFileName);
    return JobReport::FromText(ReadFile(files_, report, kMaxReportBytes), "report").body;
  }
  [[nodiscard]] CommitmentReport Commit() {
    return CommitmentReport::FromJson({Run(JobOf(JobKind::kCommit)), "report"});
  }
  // Files of cells in the trainer's folder.
  [[nodiscard]] std::vector<std::string> CellFiles() const {
    std::vector<std::string> names = files_.List(folder_.Pictures());
    std::erase_if(names, [](const std::string& name) { return name.find(".cells") == std::string::npos; });
    return names;
  }

  Scratch scratch_;
  FileSystem& files_;
  SystemClock clock_;
  JobFolder jobs_;
  TrainerFolder folder_;
  Digest detector_, base_, digest_;
  Plan plan_;
};

TEST_F(AutoencoderJobs, AHospitalCommitsToTheCellsOfItsTrainingPictures) {
  const CommitmentReport report = Commit();
  ASSERT_EQ(report.classes.size(), 2u);
  EXPECT_GE(report.pictures, 12u);
  EXPECT_LT(report.pictures, 32u) << "test pictures are not learned from";
  EXPECT_EQ(report.classes[0].value_or(0) + report.classes[1].value_or(0), report.pictures);
  EXPECT_FALSE(CellFiles().empty());
}

TEST_F(AutoencoderJobs, MomentsAreOfAsManyCellsAsWereCommitted) {
  const auto report = MomentsReport::FromJson({Run(JobOf(JobKind::kMoments)), "report"});
  EXPECT_EQ(report.cells, Commit().pictures);
  EXPECT_EQ(report.file_bytes, LatentMomentsBytes(kLatent));
  const Path file = jobs_.DoneFolder(JobOf(JobKind::kMoments).Name()) / std::string(kMomentsFileName);
  const LatentMoments moments = ReadLatentMoments(*files_.OpenForRead(file), kLatent);
  EXPECT_EQ(moments.Hash(), report.values);
  EXPECT_EQ(moments.cells(), static_cast<std::int64_t>(report.cells));
}

TEST_F(AutoencoderJobs, TrainingIsWhatTheRoundsFunctionGivesRoundedToIntegers) {
  const Job job = TrainingJob();
  const auto report = UpdateReport::FromJson({Run(job), "report"});
  EXPECT_EQ(report.pictures, Commit().pictures);
  EXPECT_EQ(report.steps, plan_.training.steps);
  EXPECT_FALSE(report.probe.has_value());
  EXPECT_FALSE(report.teacher.has_value());
  EXPECT_GT(report.distillation_millionths, 0u);
  EXPECT_GE(report.loss_millionths, 5 * report.distillation_millionths);

  // The same, from the same cells.
  const std::vector<std::string> names = CellFiles();
  const auto cells_name =
      std::find_if(names.begin(), names.end(), [](const std::string& name) { return name.ends_with(".cells"); });
  ASSERT_NE(cells_name, names.end());
  const auto cells = learning::FeatureCache::Open(files_, folder_.Pictures() / *cells_name);
  learning::AutoencoderSettings settings;
  settings.batch = 4;
  settings.learning_rate = 0.001;
  settings.beta = 5;
  settings.seed = DeriveSeed(7, "cells of task 0 at first");
  const learning::PublishedMoments published{.own = 0,
                                             .domains = {{.domain = 1, .moments = SampleMoments(kLatent, 0, 20)}}};
  learning::CellAutoencoder model = learning::InitialAutoencoder(kLatent, 1);
  const auto trained = learning::TrainAutoencoderRound(cells, model, settings, published, {.first = 0, .count = 2});
  EXPECT_EQ(report.loss_millionths, static_cast<std::uint64_t>(std::llround(trained.loss * 1e6)));
  const UpdateLayout layout = LayoutOfModel(SafetensorsReader::Open(files_, jobs_.Object(base_)));
  EXPECT_EQ(report.layout, layout.Hash());
  std::vector<std::int32_t> sent;
  (void)DecodeUpdate(*files_.OpenForRead(jobs_.DoneFolder(job.Name()) / std::string(kUpdateFileName)), layout,
                     [&](std::span<const std::int32_t> part) { sent.insert(sent.end(), part.begin(), part.end()); });
  const learning::CellAutoencoder before = learning::InitialAutoencoder(kLatent, 1);
  std::size_t at = 0;
  for (std::size_t t = 0; t < model.tensors().size(); ++t) {
    const at::Tensor moved =
        (model.tensors()[t].value.detach().to(at::kDouble) - before.tensors()[t].value.to(at::kDouble))
            .flatten()
            .contiguous();
    for (std::int64_t i = 0; i < moved.numel(); ++i, ++at) {
      ASSERT_EQ(sent.at(at), std::nearbyint(std::ldexp(moved.const_data_ptr<double>()[i], kGridBits)))
          << model.tensors()[t].name << " " << i;
    }
  }
  EXPECT_EQ(at, sent.size());
}

TEST_F(AutoencoderJobs, ATrainerThatWasStoppedTrainsTheSameAgain) {
  const Job job = TrainingJob();
  const auto whole = UpdateReport::FromJson({Run(job), "report"});
  // While pictures are read, and while cells are found.
  for (const int calls : {1, 10}) {
    files_.Remove(folder_.Pictures());
    files_.CreateFolders(folder_.Pictures(), 0700);
    int asked = 0;
    EXPECT_ERROR(ErrorCode::kInterrupted, "", (void)Run(job, [&] { return ++asked >= calls; }));
    EXPECT_EQ(UpdateReport::FromJson({Run(job), "report"}).values, whole.values) << calls;
  }
}

TEST_F(AutoencoderJobs, ALaterRoundDrawsOtherCells) {
  Job job = TrainingJob();
  const auto first = UpdateReport::FromJson({Run(job), "report"});
  job.round = 1;
  const auto second = UpdateReport::FromJson({Run(job), "report"});
  EXPECT_NE(first.values, second.values);
}

TEST_F(AutoencoderJobs, WhatDoesNotFitIsRefused) {
  Job job = TrainingJob();
  job.moments.clear();
  UsePlan("beta = 5.0\nsource = \"second\"\n");
  job.plan = digest_;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "names no moments of the source second", (void)Run(job));
  Job wide = JobOf(JobKind::kMoments);
  wide.model = PutModel(7);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "the model's latent has 7 numbers, the plan says 6", (void)Run(wide));
  // What a plan over latents names is not trained further: the scale in it would be lost.
  const Path scaled = scratch_ / "scaled.safetensors";
  (void)learning::SaveAutoencoder(files_, scaled, learning::InitialAutoencoder(kLatent, 1), {},
                                  learning::ScaleOf(SampleMoments(kLatent, 0, 20)));
  wide.model = Put(ReadFile(files_, scaled, 1 << 26));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "latents are scaled", (void)Run(wide));
  UsePlan(hemafed::testing_support::kUnaligned);
  EXPECT_ERROR(ErrorCode::kRefused, "does not ask for moments", (void)Run(JobOf(JobKind::kMoments)));
  UsePlan(hemafed::testing_support::kAligned, "33");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "of which no moments may leave", (void)Run(JobOf(JobKind::kMoments)));
}

TEST_F(AutoencoderJobs, AWithdrawnPicturesCellGoesWithIt) {
  const std::uint64_t before = Commit().pictures;
  ASSERT_FALSE(CellFiles().empty());
  std::size_t gone = 0;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const Path file = scratch_ / "pictures" / "basophil" / (std::to_string(seed) + ".png");
    (void)WithdrawPictures(files_, scratch_ / "lab", {PictureNamed(files_, file.string())});
    EXPECT_TRUE(CellFiles().empty()) << "they hold what the pictures show";
    const std::uint64_t now = Commit().pictures;
    gone += before - now > gone ? 1 : 0;
    EXPECT_EQ(now, before - gone);
  }
  EXPECT_GE(gone, 1u) << "of three pictures one is for training";
}

// A second withdrawal of the same picture removes the cells again and says nothing new to a trainer that runs on.
TEST_F(AutoencoderJobs, APictureThatIsWithdrawnTwiceDoesNotStopATrainerThatRunsOn) {
  RunnerHooks hooks{.stop = [] { return false; }, .print = [](const std::string&) {}};
  hooks.describer = [](const Path&) { return std::make_unique<ColourDescriber>(kSide); };
  JobRunner runner(files_, clock_, jobs_, folder_, Settings(), hooks);
  const Job job = JobOf(JobKind::kCommit);
  const auto commit = [&] {
    files_.Remove(jobs_.DoneFolder(job.Name()));
    WriteFileAtomically(files_, jobs_.JobFile(job.Name()), job.ToText());
    EXPECT_TRUE(runner.RunNext());
    const Path report = jobs_.DoneFolder(job.Name()) / std::string(kReportFileName);
    const auto read = JobReport::FromText(ReadFile(files_, report, kMaxReportBytes), "report");
    return CommitmentReport::FromJson({read.body, "report"}).pictures;
  };
  (void)commit();
  const Path file = scratch_ / "pictures" / "basophil" / "1.png";
  (void)WithdrawPictures(files_, scratch_ / "lab", {PictureNamed(files_, file.string())});
  const std::uint64_t once = commit();
  (void)WithdrawPictures(files_, scratch_ / "lab", {PictureNamed(files_, file.string())});
  ASSERT_TRUE(CellFiles().empty());
  EXPECT_EQ(commit(), once);
}

TEST_F(AutoencoderJobs, MoreRoundsThanThePlansAreNotRun) {
  for (Job job : {TrainingJob(), JobOf(JobKind::kMoments)}) {
    job.round = 2;
    EXPECT_ERROR(ErrorCode::kRefused, "the plan has only 2 rounds", (void)Run(job));
  }
}

// As in a study whose arms have different classes: they share the folder.
TEST_F(AutoencoderJobs, CellsOfAPlanWithOtherClassesLeaveThoseBeforeAlone) {
  const ColourDescriber describer(kSide);
  const auto open = [&](const Plan& plan) {
    return Pictures(files_, Settings(), folder_.Pictures(), plan,
                    [](const std::string&, std::uint64_t, std::uint64_t) {}, {.describer = &describer});
  };
  Plan turned = plan_;
  std::reverse(turned.classes.begin(), turned.classes.end());
  const Pictures first = open(plan_);
  const auto labels = [](const Pictures& pictures) {
    const learning::FeatureCache cells = pictures.Cells();
    std::vector<std::uint32_t> found;
    for (std::uint32_t cell = 0; cell < cells.size(); ++cell) found.push_back(cells.Label(cell).cell_class);
    return found;
  };
  const std::vector<std::uint32_t> before = labels(first);
  const Pictures second = open(turned);
  EXPECT_NE(labels(second), before);
  EXPECT_EQ(labels(first), before);
}

}  // namespace
}  // namespace hemafed::trainer
