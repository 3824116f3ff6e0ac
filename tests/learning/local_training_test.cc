// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/local_training.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <utility>

#include "common/random.h"
#include "learning/continual/evaluate.h"
#include "learning/continual/uacl_loss.h"
#include "learning/models/dropout.h"
#include "learning/models/model_file.h"
#include "tests/expect_error.h"
#include "tests/learning/memory_source.h"

namespace hemafed::learning {
namespace {

using testing_support::EasyPictures;
using testing_support::LargestDifference;
using testing_support::MemorySource;
using testing_support::RecipeModel;
using testing_support::Uniform;

TrainingSettings PlainSettings() {
  return {.steps = 1,
          .batch = 4,
          .rounds = 1,
          .learning_rate = 0.1,
          .schedule = LearningRateSchedule::kConstant,
          .sgd = {.momentum = 0, .nesterov = false, .weight_decay = 0, .clip_norm = 0},
          .dropout = 0,
          .freeze_affine = false,
          .augment = false,
          .sampling = Sampling::kUniform,
          .threads = 1};
}

const DistilledLoss kLabelsAlone(nullptr, 0);

const TrainingPlace kPlace{.plan_seed = 42, .task = 1, .round = 0, .site = "raabin"};

std::uint64_t Correct(const Classifier& model, MemorySource& source) {
  const ConfusionMatrix counts = Evaluate(model, source, 3, 16);
  return counts.At(0, 0) + counts.At(1, 1) + counts.At(2, 2);
}

bool SameBits(const Classifier& a, const Classifier& b) {
  for (std::size_t i = 0; i < a.tensors().size(); ++i) {
    if (!at::equal(a.tensors()[i].value, b.tensors()[i].value)) return false;
  }
  return true;
}

TEST(LearningRate, LinearFallsFromTheFullRateAndNeverReachesZero) {
  EXPECT_EQ(LearningRateAt(LearningRateSchedule::kConstant, 0.1, 7, 10), 0.1);
  EXPECT_EQ(LearningRateAt(LearningRateSchedule::kLinear, 0.1, 0, 10), 0.1);
  EXPECT_NEAR(LearningRateAt(LearningRateSchedule::kLinear, 0.1, 5, 10), 0.05, 1e-15);
  EXPECT_NEAR(LearningRateAt(LearningRateSchedule::kLinear, 0.1, 9, 10), 0.01, 1e-15);
}

TEST(LocalTraining, LearnsPicturesThatDifferByColour) {
  MemorySource source = EasyPictures(60, 3, 24, 1);
  MemorySource unseen = EasyPictures(60, 3, 24, 2);
  Classifier model = RecipeModel(Architecture::kSmallCnn, 3);
  TrainingSettings settings = PlainSettings();
  settings.steps = 40;
  settings.batch = 12;
  settings.learning_rate = 0.02;
  settings.sgd = {.momentum = 0.9, .nesterov = true, .weight_decay = 1e-4, .clip_norm = 5};
  settings.dropout = 0.2;
  settings.sampling = Sampling::kBalanced;
  const std::uint64_t before = Correct(model, unseen);
  const TrainingReport report = TrainLocally(model, kLabelsAlone, source, settings, kPlace, {});
  EXPECT_LT(report.last_loss, 0.5 * report.first_loss);
  EXPECT_GE(Correct(model, unseen), 57u);  // 95 %
  EXPECT_LT(before, 45u);
}

TEST(LocalTraining, SameInputGivesTheSameBits) {
  MemorySource source = EasyPictures(20, 3, 24, 1);
  const Classifier teacher = RecipeModel(Architecture::kSmallCnn, 2, 7);
  TrainingSettings settings = PlainSettings();
  settings.steps = 3;
  settings.sgd = {.momentum = 0.9, .nesterov = true, .weight_decay = 1e-4, .clip_norm = 1};
  settings.dropout = 0.3;
  settings.augment = true;
  for (const int threads : {1, 2}) {
    settings.threads = threads;
    std::vector<Classifier> runs;
    for (int run = 0; run < 2; ++run) {
      runs.push_back(RecipeModel(Architecture::kSmallCnn, 3));
      TrainLocally(runs.back(), DistilledLoss(&teacher, 1), source, settings, kPlace, {});
    }
    EXPECT_TRUE(SameBits(runs[0], runs[1])) << threads << " threads";
    EXPECT_FALSE(SameBits(runs[0], RecipeModel(Architecture::kSmallCnn, 3)));
  }
}

TEST(LocalTraining, Lite0GivesTheSameBitsTwice) {
  MemorySource source = EasyPictures(6, 2, 64, 1);
  const Classifier teacher = RecipeModel(Architecture::kEfficientNetLite0, 2);
  TrainingSettings settings = PlainSettings();
  settings.steps = 2;
  settings.learning_rate = 0.004;
  settings.sgd.clip_norm = 5;
  settings.dropout = 0.2;
  std::vector<Classifier> runs;
  for (int run = 0; run < 2; ++run) {
    runs.push_back(teacher.Clone());
    TrainLocally(runs.back(), DistilledLoss(&teacher, 1), source, settings, kPlace, {});
  }
  EXPECT_TRUE(SameBits(runs[0], runs[1]));
  // Statistics are frozen, everything else moved.
  const std::vector<TensorSpec> specs = TensorsOf(Architecture::kEfficientNetLite0, 2);
  for (std::size_t i = 0; i < specs.size(); ++i) {
    EXPECT_EQ(at::equal(runs[0].tensors()[i].value, teacher.tensors()[i].value), specs[i].role == TensorRole::kBuffer)
        << specs[i].name;
  }
}

TEST(LocalTraining, SeedTaskRoundAndSiteEachChangeTheDraws) {
  MemorySource source = EasyPictures(40, 3, 16, 1);
  TrainingSettings settings = PlainSettings();
  settings.rounds = 3;
  std::vector<Classifier> runs;
  for (const TrainingPlace& place : {kPlace, TrainingPlace{43, 1, 0, "raabin"}, TrainingPlace{42, 2, 0, "raabin"},
                                     TrainingPlace{42, 1, 1, "raabin"}, TrainingPlace{42, 1, 0, "bccd"}}) {
    runs.push_back(RecipeModel(Architecture::kSmallCnn, 3));
    TrainLocally(runs.back(), kLabelsAlone, source, settings, place, {});
    for (std::size_t i = 0; i + 1 < runs.size(); ++i) EXPECT_FALSE(SameBits(runs[i], runs.back())) << i;
  }
}

TEST(LocalTraining, OneStepIsTheGradientOfTheFormulaOnTheDocumentedDraw) {
  MemorySource source = EasyPictures(10, 3, 16, 1);
  const Classifier base = RecipeModel(Architecture::kSmallCnn, 3);
  const Classifier teacher = RecipeModel(Architecture::kSmallCnn, 2, 7);
  TrainingSettings settings = PlainSettings();
  settings.rounds = 5;
  settings.schedule = LearningRateSchedule::kLinear;
  settings.dropout = 0.25;
  settings.augment = true;
  Classifier trained = base.Clone();
  const TrainingPlace place{42, 1, 2, "raabin"};  // Global step 2 of 5.
  TrainLocally(trained, DistilledLoss(&teacher, 3.0), source, settings, place, {});

  const std::string purpose = "task 1 site raabin ";
  const std::vector<std::int64_t> labels = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0};
  const std::vector<std::uint32_t> indices =
      BatchDraws(DeriveSeed(42, purpose + "batches"), Sampling::kUniform, labels).Indices(2, 4);
  const Batch batch = source.Get(indices, AugmentationKey{DeriveSeed(42, purpose + "augmentation"), 2});
  Classifier model = base.Clone();
  const std::vector<NamedTensor> parameters = model.BeginTraining(false);
  const at::Tensor h = model.TrunkBefore(batch.images);
  const std::vector<std::uint64_t> places = {0, 1, 2, 3};
  const at::Tensor mask =
      DropoutMask(DeriveSeed(42, purpose + "dropout"), 2, places, h.size(1), h.size(2), h.size(3), 0.25);
  const at::Tensor logits = model.Head(model.TrunkAfter(h * mask));
  const at::Tensor q = teacher.Forward(batch.images).detach().sigmoid();
  const at::Tensor p = logits.narrow(1, 0, 2).sigmoid();
  const at::Tensor distillation = -(q * p.log() + (1 - q) * (1 - p).log()).mean(0).sum();
  (at::cross_entropy_loss(logits, batch.labels) + 3.0 * distillation).backward();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor want = parameters[i].value.detach() - 0.1 * (1.0 - 2.0 / 5.0) * parameters[i].value.grad();
    EXPECT_LT(LargestDifference(trained.tensors()[i].value, want), 1e-5) << parameters[i].name;
  }
}

// A source over a part of another one's pictures.
MemorySource Part(const at::Tensor& pictures, const std::vector<std::int64_t>& labels, std::int64_t first,
                  std::int64_t count) {
  return {pictures.narrow(0, first, count), {labels.begin() + first, labels.begin() + first + count}};
}

TEST(LocalTraining, OneFederatedStepIsTheCentralStepOverTheUnion) {
  // Design 4.3 and 11.4: double precision, full batch, no momentum, clipping, dropout or batch statistics.
  const at::Tensor pictures = Uniform(5, {9, 3, 16, 16}, -1, 1, at::kDouble);
  const std::vector<std::int64_t> labels = {0, 1, 2, 3, 0, 1, 2, 0, 1};
  const Classifier base = RecipeModel(Architecture::kSmallCnn, 4).Clone(at::kDouble);
  const Classifier teacher = RecipeModel(Architecture::kSmallCnn, 3, 7).Clone(at::kDouble);
  const auto step = [&](std::int64_t first, std::int64_t count) {
    MemorySource source = Part(pictures, labels, first, count);
    TrainingSettings settings = PlainSettings();
    settings.batch = static_cast<std::uint32_t>(count);
    Classifier model = base.Clone(at::kDouble);
    TrainLocally(model, DistilledLoss(&teacher, 5.0), source, settings, kPlace, {});
    std::vector<at::Tensor> update;
    for (std::size_t i = 0; i < model.tensors().size(); ++i) {
      update.push_back(model.tensors()[i].value - base.tensors()[i].value);
    }
    return update;
  };
  const std::vector<at::Tensor> active = step(0, 6);
  const std::vector<at::Tensor> rehearsing = step(6, 3);
  const std::vector<at::Tensor> central = step(0, 9);
  for (std::size_t i = 0; i < central.size(); ++i) {
    const at::Tensor merged = active[i] * (6.0 / 9.0) + rehearsing[i] * (3.0 / 9.0);
    EXPECT_LT(LargestDifference(merged, central[i]), 1e-12);
    EXPECT_GT(central[i].abs().max().item<double>(), 0.0);
  }
}

TEST(LocalTraining, GammaZeroWithATeacherEqualsNoTeacher) {
  MemorySource source = EasyPictures(10, 3, 16, 1);
  const Classifier teacher = RecipeModel(Architecture::kSmallCnn, 3, 7);
  const TrainingSettings settings = PlainSettings();
  Classifier with = RecipeModel(Architecture::kSmallCnn, 3);
  Classifier without = RecipeModel(Architecture::kSmallCnn, 3);
  TrainLocally(with, DistilledLoss(&teacher, 0), source, settings, kPlace, {});
  TrainLocally(without, kLabelsAlone, source, settings, kPlace, {});
  EXPECT_TRUE(SameBits(with, without));
}

TEST(LocalTraining, TheTeacherDoesNotChange) {
  MemorySource source = EasyPictures(10, 3, 16, 1);
  const Classifier teacher = RecipeModel(Architecture::kSmallCnn, 3, 7);
  const Classifier before = teacher.Clone();
  Classifier model = RecipeModel(Architecture::kSmallCnn, 3);
  TrainLocally(model, DistilledLoss(&teacher, 1), source, PlainSettings(), kPlace, {});
  EXPECT_TRUE(SameBits(teacher, before));
  for (const NamedTensor& tensor : teacher.tensors()) EXPECT_FALSE(tensor.value.requires_grad());
}

TEST(LocalTraining, ReportsEveryStepAndCountsPictures) {
  MemorySource source = EasyPictures(10, 2, 16, 1);
  const Classifier teacher = RecipeModel(Architecture::kSmallCnn, 2, 7);
  Classifier model = RecipeModel(Architecture::kSmallCnn, 3);
  TrainingSettings settings = PlainSettings();
  settings.steps = 5;
  std::vector<TrainingProgress> seen;
  const TrainingReport report = TrainLocally(model, DistilledLoss(&teacher, 1), source, settings, kPlace,
                                             [&](const TrainingProgress& progress) { seen.push_back(progress); });
  ASSERT_EQ(seen.size(), 5u);
  double loss = 0.0;
  double distillation = 0.0;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i].steps_done, i + 1);
    EXPECT_EQ(seen[i].steps, 5u);
    EXPECT_EQ(seen[i].pictures_done, 4 * (i + 1));
    EXPECT_GT(seen[i].gradient_norm, 0.0);
    loss += (seen[i].cross_entropy + seen[i].extra) / 5;
    distillation += seen[i].extra / 5;
  }
  EXPECT_NEAR(report.mean_loss, loss, 1e-5);
  EXPECT_NEAR(report.mean_extra, distillation, 1e-9);
  EXPECT_EQ(report.pictures, 20u);
  EXPECT_EQ(report.pictures_per_class, (std::vector<std::uint64_t>{10, 10, 0}));
  EXPECT_NEAR(report.last_loss, seen.back().cross_entropy + seen.back().extra, 1e-5);
  for (const NamedTensor& tensor : model.tensors()) EXPECT_FALSE(tensor.value.requires_grad());
}

TEST(LocalTraining, ALossThatIsNotFiniteNamesTheStep) {
  at::Tensor pictures = Uniform(5, {8, 3, 16, 16}, -1, 1);
  pictures[5].fill_(std::numeric_limits<float>::quiet_NaN());
  MemorySource source(pictures, {0, 1, 0, 1, 0, 1, 0, 1});
  TrainingSettings settings = PlainSettings();
  settings.steps = 2;
  // Which of the two steps draws picture 5 follows from the draws.
  BatchDraws draws(DeriveSeed(42, "task 1 site raabin batches"), Sampling::kUniform,
                   std::vector<std::int64_t>{0, 1, 0, 1, 0, 1, 0, 1});
  const std::vector<std::uint32_t> first = draws.Indices(0, 4);
  const bool in_first = std::find(first.begin(), first.end(), 5u) != first.end();
  Classifier model = RecipeModel(Architecture::kSmallCnn, 2);
  EXPECT_ERROR(
      ErrorCode::kInvalidInput,
      std::string("not a finite number in step ") + (in_first ? "0" : "1") + " of round 0, task 1, site raabin",
      TrainLocally(model, kLabelsAlone, source, settings, kPlace, {}));
  for (const NamedTensor& tensor : model.tensors()) EXPECT_FALSE(tensor.value.requires_grad());
}

TEST(LocalTraining, BatchesFetchedAheadChangeNoBit) {
  std::optional<Classifier> want;
  std::optional<TrainingReport> want_report;
  for (const unsigned loaders : {0u, 1u}) {
    MemorySource source = EasyPictures(10, 3, 16, 1);
    Classifier model = RecipeModel(Architecture::kSmallCnn, 3);
    TrainingSettings settings = PlainSettings();
    settings.steps = 7;
    settings.augment = true;
    settings.loaders = loaders;
    const TrainingReport report = TrainLocally(model, kLabelsAlone, source, settings, kPlace, {});
    EXPECT_EQ(source.batches, 7);
    if (!want) {
      want = std::move(model);
      want_report = report;
      continue;
    }
    for (std::size_t i = 0; i < model.tensors().size(); ++i) {
      EXPECT_TRUE(at::equal(model.tensors()[i].value, want->tensors()[i].value)) << model.tensors()[i].name;
    }
    EXPECT_EQ(report.pictures_per_class, want_report->pictures_per_class);
    EXPECT_EQ(report.last_loss, want_report->last_loss);
  }
}

TEST(LocalTraining, AnExceptionFromTheObserverStopsIt) {
  MemorySource source = EasyPictures(10, 3, 16, 1);
  Classifier model = RecipeModel(Architecture::kSmallCnn, 3);
  TrainingSettings settings = PlainSettings();
  settings.steps = 10;
  EXPECT_ERROR(ErrorCode::kInterrupted, "stop",
               TrainLocally(model, kLabelsAlone, source, settings, kPlace, [](const auto& p) {
                 if (p.steps_done == 2) throw Error(ErrorCode::kInterrupted, "stop");
               }));
  EXPECT_EQ(source.batches, 2);
}

TEST(LocalTraining, SettingsAndSourcesThatCannotRunAreRefusedBeforeTheFirstStep) {
  MemorySource source = EasyPictures(10, 3, 16, 1);
  const Classifier teacher = RecipeModel(Architecture::kSmallCnn, 4, 7);
  Classifier model = RecipeModel(Architecture::kSmallCnn, 3);
  const Classifier before = model.Clone();
  const auto with = [&](const auto& change) {
    TrainingSettings settings = PlainSettings();
    change(settings);
    TrainLocally(model, kLabelsAlone, source, settings, kPlace, {});
  };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "steps", with([](auto& s) { s.steps = 0; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "batch", with([](auto& s) { s.batch = 5000; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "rounds", with([](auto& s) { s.rounds = 0; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "learning_rate", with([](auto& s) { s.learning_rate = 0; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "gamma", DistilledLoss(nullptr, -1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "dropout", with([](auto& s) { s.dropout = 1; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "threads", with([](auto& s) { s.threads = 0; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "momentum", with([](auto& s) { s.sgd.momentum = 1; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "beyond the task's rounds",
               TrainLocally(model, kLabelsAlone, source, PlainSettings(), {42, 1, 1, "raabin"}, {}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "teacher",
               TrainLocally(model, DistilledLoss(&teacher, 1), source, PlainSettings(), kPlace, {}));
  MemorySource four_classes = EasyPictures(10, 4, 16, 1);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "class 3",
               TrainLocally(model, kLabelsAlone, four_classes, PlainSettings(), kPlace, {}));
  MemorySource empty(at::zeros({0, 3, 16, 16}), {});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no pictures",
               TrainLocally(model, kLabelsAlone, empty, PlainSettings(), kPlace, {}));
  EXPECT_EQ(source.batches, 0);
  EXPECT_TRUE(SameBits(model, before));
}

}  // namespace
}  // namespace hemafed::learning
