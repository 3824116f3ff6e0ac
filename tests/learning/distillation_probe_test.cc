// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/distillation_probe.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "learning/continual/training_step.h"
#include "learning/models/grow_head.h"
#include "learning/models/model_file.h"
#include "learning/models/torch_setup.h"
#include "tests/expect_error.h"
#include "tests/learning/memory_source.h"

namespace hemafed::learning {
namespace {

using testing_support::EasyPictures;
using testing_support::MemorySource;

constexpr std::int64_t kSide = 32;

Classifier Model(std::int64_t classes, std::uint64_t seed) {
  ConfigureTorch(1);
  return GrowHead(InitialModel(Architecture::kSmallCnn, seed), classes, seed, 0).Clone(at::kDouble);
}

std::vector<std::uint32_t> First(std::uint32_t count) {
  std::vector<std::uint32_t> pictures(count);
  std::iota(pictures.begin(), pictures.end(), 0u);
  return pictures;
}

// The formula of the header: one backward pass for each picture and old class.
std::vector<double> SlowSensitivity(Classifier& model, std::int64_t old_classes, MemorySource& source,
                                    std::uint32_t pictures) {
  const TrainingScope scope(model, false);
  std::vector<double> sum(model.tensors().size(), 0.0);
  for (std::uint32_t n = 0; n < pictures; ++n) {
    const std::vector<std::uint32_t> one{n};
    const at::Tensor images = source.Get(one, std::nullopt).images;
    for (std::int64_t j = 0; j < old_classes; ++j) {
      const at::Tensor logit = model.Forward(images)[0][j];
      const double p = 1.0 / (1.0 + std::exp(-logit.item<double>()));
      logit.backward();
      const at::NoGradGuard no_gradients;
      for (std::size_t i = 0; i < sum.size(); ++i) {
        at::Tensor value = model.tensors()[i].value;
        if (value.grad().defined()) sum[i] += p * (1 - p) * value.grad().square().mean().item<double>();
        value.mutable_grad().reset();
      }
    }
  }
  for (double& value : sum) value /= pictures;
  return sum;
}

TEST(DistillationProbe, SensitivityOfOneClassAndSinglePicturesIsExact) {
  MemorySource source = EasyPictures(6, 3, kSide, 1, at::kDouble);
  Classifier model = Model(4, 2);
  const std::vector<double> slow = SlowSensitivity(model, 1, source, 6);
  const std::vector<double> fast = DistillationSensitivity(model, 1, source, First(6), 1, 7);
  ASSERT_EQ(fast.size(), slow.size());
  for (std::size_t i = 0; i < slow.size(); ++i) {
    EXPECT_NEAR(fast[i], slow[i], 1e-12 * (1 + slow[i])) << model.tensors()[i].name;
  }
  EXPECT_GT(slow.front(), 0.0);
}

TEST(DistillationProbe, SensitivityOfBatchesIsTheFormulasOnAverageOverSigns) {
  MemorySource source = EasyPictures(4, 3, kSide, 1, at::kDouble);
  Classifier model = Model(4, 2);
  const std::vector<double> slow = SlowSensitivity(model, 3, source, 4);
  constexpr int kSeeds = 100;
  std::vector<double> mean(slow.size(), 0.0);
  for (int seed = 0; seed < kSeeds; ++seed) {
    const auto once = DistillationSensitivity(model, 3, source, First(4), 2, static_cast<std::uint64_t>(seed));
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += once[i] / kSeeds;
  }
  // One estimate spreads by up to the value itself; the mean of 100 by 10 %, of which this is three times.
  for (std::size_t i = 0; i < slow.size(); ++i) {
    EXPECT_NEAR(mean[i], slow[i], 0.3 * slow[i] + 1e-12) << model.tensors()[i].name;
  }
}

TEST(DistillationProbe, LossAndDisagreementAreTheFormulas) {
  MemorySource source = EasyPictures(7, 3, kSide, 3, at::kDouble);
  const Classifier model = Model(4, 2), teacher = Model(3, 5);
  const DistillationState state = MeasureDistillation(model, teacher, source, First(7), 3);
  double loss = 0;
  std::vector<double> disagreement(3, 0.0);
  for (std::uint32_t n = 0; n < 7; ++n) {
    const std::vector<std::uint32_t> one{n};
    const at::Tensor images = source.Get(one, std::nullopt).images;
    const at::NoGradGuard no_gradients;
    const at::Tensor z = model.Forward(images), target = teacher.Forward(images);
    for (std::int64_t j = 0; j < 3; ++j) {
      const double p = 1 / (1 + std::exp(-z[0][j].item<double>()));
      const double q = 1 / (1 + std::exp(-target[0][j].item<double>()));
      loss -= (q * std::log(p) + (1 - q) * std::log(1 - p)) / 7;
      disagreement[static_cast<std::size_t>(j)] += std::abs(p - q) / 7;
    }
  }
  EXPECT_NEAR(state.loss, loss, 1e-12);
  ASSERT_EQ(state.disagreement.size(), 3u);
  for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(state.disagreement[j], disagreement[j], 1e-12);
  // A model that is its teacher, with rows of new classes: the loss keeps its floor, the disagreement is nothing.
  const Classifier grown = GrowHead(teacher, 5, 9, 1);
  for (const double d : MeasureDistillation(grown, teacher, source, First(7), 3).disagreement) EXPECT_LT(d, 1e-12);
}

TEST(DistillationProbe, ChoosesTheSamePicturesWithoutRepetition) {
  const MemorySource source = EasyPictures(50, 3, kSide, 1);
  const auto some = ProbedPictures(source, {.pictures = 20, .batch = 8, .seed = 4});
  EXPECT_EQ(some.size(), 20u);
  EXPECT_TRUE(std::is_sorted(some.begin(), some.end()));
  EXPECT_EQ(std::adjacent_find(some.begin(), some.end()), some.end());
  EXPECT_EQ(some, ProbedPictures(source, {.pictures = 20, .batch = 3, .seed = 4}));
  EXPECT_NE(some, ProbedPictures(source, {.pictures = 20, .batch = 8, .seed = 5}));
  EXPECT_EQ(ProbedPictures(source, {.pictures = 80, .batch = 8, .seed = 4}).size(), 50u);
}

TEST(DistillationProbe, RefusesWhatHasNoMeaning) {
  MemorySource source = EasyPictures(4, 3, kSide, 1, at::kDouble);
  Classifier model = Model(3, 2);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no picture", (void)DistillationSensitivity(model, 3, source, {}, 2, 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "more than the model has",
               (void)DistillationSensitivity(model, 4, source, First(2), 2, 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "a class that the model does not",
               (void)MeasureDistillation(model, Model(4, 2), source, First(2), 2));
  Classifier batch = model.WithNormalisation(Normalisation::kBatch);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "depends on the batch",
               (void)DistillationSensitivity(batch, 3, source, First(2), 2, 1));
}

}  // namespace
}  // namespace hemafed::learning
