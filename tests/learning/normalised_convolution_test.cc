// SPDX-License-Identifier: Apache-2.0
#include "learning/models/normalised_convolution.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "learning/models/classifier.h"
#include "tests/expect_error.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::LargestDifference;
using testing_support::RecipeModel;
using testing_support::Uniform;

constexpr double kEpsilon = 1e-3;
constexpr std::int64_t kOut = 16;

// One 3x3 convolution of 4 to 16 channels in float64.
class NormalisedConvolutionTest : public testing::Test {
 protected:
  NormalisedConvolutionTest() {
    tensors_["a.weight"] = Uniform(1, {kOut, 4, 3, 3}, -1, 1, at::kDouble);
    tensors_["b.weight"] = Uniform(2, {kOut}, 0.5, 2, at::kDouble);
    tensors_["b.bias"] = Uniform(3, {kOut}, -1, 1, at::kDouble);
    tensors_["b.running_mean"] = Uniform(4, {kOut}, -1, 1, at::kDouble);
    tensors_["b.running_var"] = Uniform(5, {kOut}, 0.5, 2, at::kDouble);
  }

  [[nodiscard]] at::Tensor Apply(Normalisation kind, const at::Tensor& x, Phase phase,
                                 Activation activation = Activation::kNone) const {
    return NormalisedConvolution(tensors_, "a", "b", {kind, kEpsilon}, {2, 1, Padding::kSymmetric, activation})
        .Apply(x, phase);
  }

  [[nodiscard]] at::Tensor Plain(const at::Tensor& x, const at::Tensor& weight) const {
    return at::conv2d(x, weight, {}, 2, 1);
  }

  // gamma (y - mean) / sqrt(var + eps) + beta with one mean and variance a channel.
  [[nodiscard]] at::Tensor Scaled(const at::Tensor& y, const at::Tensor& mean, const at::Tensor& variance) const {
    const auto wide = [](const at::Tensor& t) { return t.view({1, -1, 1, 1}); };
    return wide(tensors_.at("b.weight")) * (y - wide(mean)) / (wide(variance) + kEpsilon).sqrt() +
           wide(tensors_.at("b.bias"));
  }

  TensorsByName tensors_;
  at::Tensor x_ = Uniform(6, {3, 4, 7, 6}, -2, 2, at::kDouble);
};

TEST_F(NormalisedConvolutionTest, EvaluationUsesRunningStatisticsAndLeavesThemAlone) {
  const at::Tensor want =
      Scaled(Plain(x_, tensors_["a.weight"]), tensors_["b.running_mean"], tensors_["b.running_var"]);
  const at::Tensor mean = tensors_["b.running_mean"].clone();
  const at::Tensor variance = tensors_["b.running_var"].clone();
  for (const auto kind : {Normalisation::kBatch, Normalisation::kBatchFrozen, Normalisation::kBatchLocal}) {
    EXPECT_LT(LargestDifference(Apply(kind, x_, Phase::kEvaluation), want), 1e-12) << NormalisationName(kind);
  }
  // Frozen means frozen while training too.
  EXPECT_LT(LargestDifference(Apply(Normalisation::kBatchFrozen, x_, Phase::kTraining), want), 1e-12);
  EXPECT_TRUE(at::equal(tensors_["b.running_mean"], mean));
  EXPECT_TRUE(at::equal(tensors_["b.running_var"], variance));
}

TEST_F(NormalisedConvolutionTest, TrainingUsesTheBatchAndTheRunningStatisticsFollowUnbiased) {
  for (const auto kind : {Normalisation::kBatch, Normalisation::kBatchLocal}) {
    const at::Tensor y = Plain(x_, tensors_["a.weight"]);
    const at::Tensor by_channel = y.transpose(0, 1).flatten(1);
    const auto n = static_cast<double>(by_channel.size(1));
    const at::Tensor mean = by_channel.sum(1) / n;
    const at::Tensor variance = (by_channel - mean.unsqueeze(1)).square().sum(1) / n;
    const at::Tensor mean_after = 0.9 * tensors_["b.running_mean"] + 0.1 * mean;
    const at::Tensor variance_after = 0.9 * tensors_["b.running_var"] + 0.1 * variance * n / (n - 1);
    EXPECT_LT(LargestDifference(Apply(kind, x_, Phase::kTraining), Scaled(y, mean, variance)), 1e-12);
    EXPECT_LT(LargestDifference(tensors_["b.running_mean"], mean_after), 1e-12);
    EXPECT_LT(LargestDifference(tensors_["b.running_var"], variance_after), 1e-12);
  }
}

TEST_F(NormalisedConvolutionTest, GradientsThroughBatchStatisticsEqualThoseOfTheFormulaWrittenOut) {
  std::vector<std::vector<at::Tensor>> gradients;
  for (const bool ours : {true, false}) {
    const at::Tensor x = x_.clone().requires_grad_();
    for (const char* name : {"a.weight", "b.weight", "b.bias"}) {
      tensors_[name] = tensors_[name].detach().clone().requires_grad_();
    }
    at::Tensor z;
    if (ours) {
      z = Apply(Normalisation::kBatch, x, Phase::kTraining, Activation::kRelu);
    } else {
      const at::Tensor y = Plain(x, tensors_["a.weight"]);
      z = Scaled(y, y.mean({0, 2, 3}), y.var({0, 2, 3}, /*unbiased=*/false)).clamp_min(0);
    }
    (z * Uniform(7, z.sizes().vec(), -1, 1, at::kDouble)).sum().backward();
    gradients.push_back(
        {x.grad(), tensors_["a.weight"].grad(), tensors_["b.weight"].grad(), tensors_["b.bias"].grad()});
  }
  for (std::size_t i = 0; i < 4; ++i) EXPECT_LT(LargestDifference(gradients[0][i], gradients[1][i]), 1e-11) << i;
}

TEST_F(NormalisedConvolutionTest, GroupNormSharesStatisticsAmongEightChannelsOfOnePicture) {
  for (const auto kind : {Normalisation::kGroup, Normalisation::kGroupWs}) {
    const at::Tensor& w = tensors_["a.weight"];
    const at::Tensor flat = w.flatten(1);
    const at::Tensor standardised = ((flat - flat.mean(1, true)) / flat.std(1, /*unbiased=*/false, true)).view_as(w);
    const at::Tensor y = Plain(x_, kind == Normalisation::kGroup ? w : standardised);
    const at::Tensor groups = y.reshape({y.size(0), kOut / 8, -1});
    const at::Tensor normalised =
        ((groups - groups.mean(2, true)) / (groups.var(2, false, true) + 1e-5).sqrt()).view_as(y);
    const at::Tensor want =
        normalised * tensors_["b.weight"].view({1, -1, 1, 1}) + tensors_["b.bias"].view({1, -1, 1, 1});
    for (const auto phase : {Phase::kEvaluation, Phase::kTraining}) {
      EXPECT_LT(LargestDifference(Apply(kind, x_, phase), want), 1e-8) << NormalisationName(kind);
    }
  }
}

TEST_F(NormalisedConvolutionTest, ActivationsComeLast) {
  for (const Normalisation kind : kNormalisations) {
    const at::Tensor y = Apply(kind, x_ * 5, Phase::kEvaluation);
    EXPECT_LT(y.min().item<double>(), 0.0);
    EXPECT_LT(LargestDifference(Apply(kind, x_ * 5, Phase::kEvaluation, Activation::kRelu), y.clamp_min(0)), 1e-12);
    EXPECT_LT(LargestDifference(Apply(kind, x_ * 5, Phase::kEvaluation, Activation::kRelu6), y.clamp(0, 6)), 1e-12);
  }
}

TEST_F(NormalisedConvolutionTest, OneValueAChannelIsRefusedByNameAndChangesNothing) {
  const at::Tensor before = tensors_["b.running_mean"].clone();
  const at::Tensor one = x_.narrow(0, 0, 1).narrow(2, 0, 2).narrow(3, 0, 2);  // Stride 2 leaves one pixel.
  EXPECT_ERROR(ErrorCode::kInvalidInput, "batch norm at 'b' has one value a channel",
               (void)Apply(Normalisation::kBatch, one, Phase::kTraining));
  EXPECT_TRUE(at::equal(tensors_["b.running_mean"], before));
  EXPECT_EQ(Apply(Normalisation::kBatch, one, Phase::kEvaluation).size(2), 1);
  EXPECT_EQ(Apply(Normalisation::kBatch, at::cat({one, one}), Phase::kTraining).size(0), 2);
}

TEST(BatchNormalisation, ActsWhileAModelTrainsAndOnlyThen) {
  Classifier model = RecipeModel(Architecture::kSmallCnn, 3, 1, Normalisation::kBatch);
  const at::NoGradGuard no_gradients;
  const at::Tensor pictures = Uniform(3, {4, 3, 24, 24}, -2, 2);
  const at::Tensor evaluation = model.Forward(pictures);
  EXPECT_TRUE(at::equal(model.Forward(pictures), evaluation));

  (void)model.BeginTraining(/*freeze_affine=*/false);
  EXPECT_TRUE(model.training());
  const Classifier copy = model.Clone();
  const at::Tensor training = model.Forward(pictures);
  EXPECT_GT(LargestDifference(training, evaluation), 1e-3);
  EXPECT_FALSE(copy.training());
  EXPECT_TRUE(at::equal(copy.Forward(pictures), evaluation));
  // What a picture becomes depends on its batch.
  EXPECT_GT(LargestDifference(model.Forward(pictures.narrow(0, 0, 2)), training.narrow(0, 0, 2)), 1e-4);
  // Running statistics reach those of a batch that is shown again and again, up to unbiasedness.
  for (int i = 0; i < 60; ++i) (void)model.Forward(pictures);
  model.EndTraining();
  EXPECT_FALSE(model.training());
  EXPECT_LT(LargestDifference(model.Forward(pictures), training), 0.05);
  EXPECT_GT(LargestDifference(model.Forward(pictures), evaluation), 1e-3);
}

TEST(BatchNormalisation, LocalIsComputedAsBatch) {
  std::vector<Classifier> models;
  for (const auto kind : {Normalisation::kBatch, Normalisation::kBatchLocal}) {
    models.push_back(RecipeModel(Architecture::kSmallCnn, 3, 1, kind));
    (void)models.back().BeginTraining(false);
    models.back().Forward(Uniform(3, {4, 3, 24, 24}, -2, 2)).square().sum().backward();
  }
  for (std::size_t i = 0; i < models[0].tensors().size(); ++i) {
    const at::Tensor& a = models[0].tensors()[i].value;
    const at::Tensor& b = models[1].tensors()[i].value;
    EXPECT_TRUE(at::equal(a, b)) << models[0].tensors()[i].name;
    if (a.grad().defined()) {
      EXPECT_TRUE(at::equal(a.grad(), b.grad())) << models[0].tensors()[i].name;
    }
  }
}

TEST(WithNormalisation, KeepsStatisticsWhereBothHaveThemAndStartsThemElsewhere) {
  const Classifier frozen = RecipeModel(Architecture::kSmallCnn, 2, 1, Normalisation::kBatchFrozen);
  const Classifier batch = frozen.WithNormalisation(Normalisation::kBatch);
  EXPECT_EQ(batch.normalisation(), Normalisation::kBatch);
  ASSERT_EQ(batch.tensors().size(), frozen.tensors().size());
  for (std::size_t i = 0; i < frozen.tensors().size(); ++i) {
    EXPECT_TRUE(at::equal(batch.tensors()[i].value, frozen.tensors()[i].value)) << frozen.tensors()[i].name;
    EXPECT_NE(batch.tensors()[i].value.data_ptr(), frozen.tensors()[i].value.data_ptr());
  }
  const Classifier group = batch.WithNormalisation(Normalisation::kGroup);
  EXPECT_EQ(group.tensors().size(), TensorsOf(Architecture::kSmallCnn, 2, Normalisation::kGroup).size());
  for (const NamedTensor& tensor : group.WithNormalisation(Normalisation::kBatchLocal).tensors()) {
    if (tensor.name.ends_with("running_mean")) {
      EXPECT_EQ(tensor.value.abs().max().item<double>(), 0.0);
    }
    if (tensor.name.ends_with("running_var")) {
      EXPECT_TRUE(tensor.value.eq(1).all().item<bool>());
    }
  }
}

}  // namespace
}  // namespace hemafed::learning
