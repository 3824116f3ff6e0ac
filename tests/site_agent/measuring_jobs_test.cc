// SPDX-License-Identifier: Apache-2.0
//
// The trainer's jobs that measure something of a task's model: Fisher information, and class means of exemplars.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>

#include "codec/prototype_head.h"
#include "common/random.h"
#include "learning/continual/fisher_information.h"
#include "learning/continual/nearest_mean.h"
#include "tests/expect_error.h"
#include "tests/site_agent/strategy_lab.h"

namespace hemafed::trainer {
namespace {

using namespace testing_support;

using MeasuringJobs = StrategyLab;

TEST_F(MeasuringJobs, TheFisherJobRoundsWhatIsMeasuredOnTheTasksPictures) {
  UsePlan(PlanText(kEwc, kForgets));
  const Job job = JobOf(JobKind::kFisher, "second", 1, after_second_);
  const auto report = FisherReport::FromJson({Run(job), "fisher"});
  const UpdateLayout layout = LayoutOf(after_second_);
  const std::string raw = Integers(job, kFisherFileName, layout);
  EXPECT_EQ(report.pictures, 5u);
  EXPECT_EQ(report.layout, layout.Hash());
  EXPECT_EQ(report.values, Sha256Of(raw));
  const Path file = JobsOf("second").DoneFolder(job.Name()) / std::string(kFisherFileName);
  EXPECT_EQ(report.file_bytes, files_.SizeOf(file));
  EXPECT_EQ(report.file, Sha256Of(ReadFile(files_, file, 1 << 26)));
  EXPECT_EQ(FisherReport::FromJson({Run(job), "fisher"}).file, report.file) << "run again";

  const Pictures pictures = PicturesOf("second");
  const auto source = pictures.Train(plan_.tasks[1].classes);
  const Classifier model = Model(after_second_);
  const auto fisher = FisherDiagonal(model, *source, 5, DeriveSeed(kSeed, "fisher of task 1 at second"), {});
  std::map<std::string, at::Tensor> by_name;
  for (std::size_t i = 0; i < fisher.size(); ++i) by_name[model.tensors()[i].name] = fisher[i].contiguous();
  std::size_t offset = 0, positive = 0;
  for (const TensorSpec& tensor : layout.tensors) {
    const float* values = by_name.at(tensor.name).const_data_ptr<float>();
    for (std::uint64_t i = 0; i < tensor.ValueCount(); ++i, offset += 4) {
      std::int32_t root = 0;
      std::memcpy(&root, raw.data() + offset, 4);
      ASSERT_EQ(root, static_cast<std::int32_t>(std::nearbyint(std::sqrt(static_cast<double>(values[i])) * 0x1p22)))
          << tensor.name << " " << i;
      positive += root > 0 ? 1 : 0;
    }
  }
  EXPECT_EQ(offset, raw.size());
  EXPECT_GT(positive, raw.size() / 4 / 10);
  int asked = 0;
  EXPECT_ERROR(ErrorCode::kInterrupted, "run again", (void)Run(job, [&] { return ++asked == 3; }));
}

TEST_F(MeasuringJobs, TheMeansJobAveragesItsOwnExemplarsAndWithholdsSmallClasses) {
  UsePlan(PlanText(kIcarl, kRehearses, /*min_pictures=*/6));
  learning::ExemplarStore store = Exemplars("second");
  learning::ExemplarList foreign = store.lists[0];  // Another hospital's list in the vault counts for nothing.
  foreign.domain = "first";
  AddList(store, foreign);
  Vault(files_, FolderOf("second").Vault()).Save(digest_, store);
  const Job job = JobOf(JobKind::kMeans, "second", 1, after_second_);
  const auto report = MeansReport::FromJson({Run(job), "means"});
  EXPECT_EQ(report.classes, (ClassCounts{8, std::nullopt})) << "five are fewer than six";
  const Classifier model = Model(after_second_);
  const auto width = static_cast<std::size_t>(model.feature_width());
  const UpdateLayout layout = {{{.name = "means", .shape = {2, model.feature_width()}}}};
  EXPECT_EQ(MeansLayout(LayoutOf(after_second_)), layout);
  const std::string raw = Integers(job, kMeansFileName, layout);
  EXPECT_EQ(report.values, Sha256Of(raw));
  EXPECT_EQ(MeansReport::FromJson({Run(job), "means"}).file, report.file) << "run again";

  const Pictures pictures = PicturesOf("second");
  const auto source = pictures.Rehearsal(Exemplars("second"));
  std::vector<double> mean(width);
  const at::NoGradGuard no_gradients;
  for (std::uint32_t position = 0; position < source->Size(); ++position) {
    if (source->Label(position) != 0) continue;
    const at::Tensor features =
        model.Features(source->Get(std::span(&position, 1), std::nullopt).images).to(at::kDouble).contiguous();
    double square = 0;
    for (std::size_t k = 0; k < width; ++k) square += std::pow(features.const_data_ptr<double>()[k], 2);
    for (std::size_t k = 0; k < width; ++k) mean[k] += features.const_data_ptr<double>()[k] / std::sqrt(square) / 8;
  }
  for (std::size_t k = 0; k < 2 * width; ++k) {
    std::int32_t value = 0;
    std::memcpy(&value, raw.data() + 4 * k, 4);
    // A pass of one picture and one of many may differ in a feature's last bits: 2^-20 of the grid's 2^-22.
    if (k < width) {
      ASSERT_NEAR(value, mean[k] * 0x1p22, 4) << k;
      ASSERT_LE(std::abs(value), kMaxMean);
    } else {
      ASSERT_EQ(value, 0) << "a class that is withheld";
    }
  }
  EXPECT_ERROR(ErrorCode::kInterrupted, "run again", (void)Run(job, [] { return true; }));
}

TEST_F(MeasuringJobs, MeansRankClassesAsTheNearestMeanDoes) {
  UsePlan(PlanText(kIcarl, kRehearses));
  const Job job = JobOf(JobKind::kMeans, "second", 1, after_second_);
  EXPECT_EQ(MeansReport::FromJson({Run(job), "means"}).classes, (ClassCounts{8, 5}));
  const Classifier model = Model(after_second_);
  const auto width = static_cast<std::size_t>(model.feature_width());
  const std::string raw = Integers(job, kMeansFileName, MeansLayout(LayoutOf(after_second_)));
  at::Tensor head = at::empty({2, model.feature_width()}, at::kDouble);
  for (std::size_t k = 0; k < 2 * width; ++k) {
    std::int32_t value = 0;
    std::memcpy(&value, raw.data() + 4 * k, 4);
    head.mutable_data_ptr<double>()[k] = value;
  }
  head = learning::LengthOne(head);

  const Pictures pictures = PicturesOf("second");
  const auto source = pictures.Rehearsal(Exemplars("second"));
  learning::Memory memory = BuildMemory(Exemplars("second"), {{"second", source.get()}}, {0, 1});
  const learning::ExemplarMeans means = MeansOfExemplars(model, memory, /*by_domain=*/false, 32);
  const auto test = pictures.Test({0, 1});
  std::vector<std::uint32_t> all(test->Size());
  for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  const at::NoGradGuard no_gradients;
  const at::Tensor features = model.Features(test->Get(all, std::nullopt).images);
  const at::Tensor wanted = NearestMeanScores(means, features, 2);
  const at::Tensor logits = features.to(at::kDouble).matmul(head.t());
  EXPECT_TRUE(at::equal(wanted.argmax(1), logits.argmax(1)));
  EXPECT_TRUE(at::allclose(means.means, head, 0, 0x1p-21));
  EXPECT_GE(test->Size(), 4u);
}

}  // namespace
}  // namespace hemafed::trainer
