// SPDX-License-Identifier: Apache-2.0
//
// What strategies measure when a task ends, against slow computations: Fisher information, and the analytic head.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "codec/head_growth.h"
#include "codec/projection.h"
#include "codec/update.h"
#include "learning/continual/random_features.h"
#include "learning/continual/strategies/analytic.h"
#include "learning/continual/strategies/ewc.h"
#include "tests/expect_error.h"
#include "tests/learning/one_step.h"

namespace hemafed::learning {
namespace {

using testing_support::EasyPictures;
using testing_support::kNear;
using testing_support::LargestDifference;
using testing_support::MemorySource;
using testing_support::OneStep;
using testing_support::RecipeModel;
using testing_support::Rows;
using testing_support::RowsOf;
using testing_support::SlowCrossEntropy;
using testing_support::Softmax;
using testing_support::Uniform;

// EWC -----------------------------------------------------------------------------------------------------------------

TEST(Fisher, IsTheMeanSquaredGradientOfTheModelsOwnAnswersOnePictureAtATime) {
  MemorySource source = EasyPictures(4, 3, 16, 1, at::kDouble);
  const Classifier model = RecipeModel(Architecture::kSmallCnn, 3).Clone(at::kDouble);
  const std::vector<at::Tensor> fisher = FisherDiagonal(model, source, 0, 1, {});
  // Head and bias by hand: the gradient of -log p(y^) by logit j is p_j - [j = y^], times the feature.
  const std::vector<std::uint32_t> all = {0, 1, 2, 3};
  const at::Tensor features = model.Features(source.Get(all, std::nullopt).images);
  const Rows rows = RowsOf(model.Head(features));
  at::Tensor want_bias = at::zeros({3}, at::kDouble);
  at::Tensor want_weight = at::zeros({3, features.size(1)}, at::kDouble);
  for (std::size_t n = 0; n < 4; ++n) {
    const std::vector<double> p = Softmax(rows[n], 3, 1);
    const auto answer = static_cast<std::size_t>(std::max_element(p.begin(), p.end()) - p.begin());
    for (std::size_t j = 0; j < 3; ++j) {
      const double gradient = p[j] - (j == answer ? 1.0 : 0.0);
      want_bias[static_cast<std::int64_t>(j)] += gradient * gradient / 4;
      want_weight[static_cast<std::int64_t>(j)] +=
          gradient * gradient / 4 * features[static_cast<std::int64_t>(n)].square();
    }
  }
  for (std::size_t i = 0; i < fisher.size(); ++i) {
    const std::string& name = model.tensors()[i].name;
    if (name == kHeadWeight || name == kHeadBias) {
      EXPECT_LT(LargestDifference(fisher[i], name == kHeadBias ? want_bias : want_weight), 1e-12);
    }
    EXPECT_EQ(fisher[i].defined(), !IsNormalisationBuffer(model.tensors()[i].name));
    EXPECT_FALSE(model.tensors()[i].value.requires_grad());
  }
}

TEST(Fisher, OfATrunkTensorIsThatOfFiniteDifferences) {
  MemorySource source = EasyPictures(3, 3, 16, 1, at::kDouble);
  const Classifier model = RecipeModel(Architecture::kSmallCnn, 3).Clone(at::kDouble);
  const std::vector<at::Tensor> fisher = FisherDiagonal(model, source, 0, 1, {});
  std::size_t place = 0;
  while (model.tensors()[place].name != "stage3.norm.bias") ++place;
  double want = 0;
  for (std::uint32_t n = 0; n < 3; ++n) {
    const at::Tensor image = source.Get(std::vector<std::uint32_t>{n}, std::nullopt).images;
    const std::int64_t answer = model.Forward(image).argmax(1).item<std::int64_t>();
    const auto loss = [&](double change) {
      const Classifier moved = model.Clone(at::kDouble);
      at::Tensor value = moved.tensors()[place].value;
      value[5] += change;
      return -moved.Forward(image).log_softmax(1)[0][answer].item<double>();
    };
    const double gradient = (loss(1e-5) - loss(-1e-5)) / 2e-5;
    want += gradient * gradient / 3;
  }
  EXPECT_NEAR(fisher[place][5].item<double>(), want, 1e-6 * std::max(1.0, want));
}

TEST(Fisher, OfSomePicturesTakesAsManyAsAsked) {
  MemorySource source = EasyPictures(10, 3, 16, 1);
  const Classifier model = RecipeModel(Architecture::kSmallCnn, 3);
  std::uint64_t seen = 0;
  (void)FisherDiagonal(model, source, 4, 1, [&](std::uint64_t done, std::uint64_t all) {
    seen = done;
    EXPECT_EQ(all, 4u);
  });
  EXPECT_EQ(seen, 4u);
}

// What EWC holds on to after a task, computed by the definition: Fisher and weights of each old task apart.
struct OldTask {
  std::map<std::string, at::Tensor> fisher;
  std::map<std::string, at::Tensor> weights;
};
OldTask Remember(const Classifier& model, BatchSource& source) {
  OldTask task;
  const std::vector<at::Tensor> fisher = FisherDiagonal(model, source, 0, 1, {});
  for (std::size_t i = 0; i < fisher.size(); ++i) {
    if (!fisher[i].defined()) continue;
    task.fisher[model.tensors()[i].name] = fisher[i].to(at::kDouble);
    task.weights[model.tensors()[i].name] = model.tensors()[i].value.to(at::kDouble).clone();
  }
  return task;
}
double SlowPenalty(const Classifier& model, const std::vector<OldTask>& old) {
  double penalty = 0;
  for (const OldTask& task : old) {
    for (const NamedTensor& tensor : model.tensors()) {
      const auto found = task.weights.find(tensor.name);
      if (found == task.weights.end()) continue;
      const at::Tensor now = tensor.value.to(at::kDouble).narrow(0, 0, found->second.size(0));
      penalty += (task.fisher.at(tensor.name) * (now - found->second).square()).sum().item<double>();
    }
  }
  return penalty;
}

TEST_F(OneStep, EwcHoldsOnToEveryOldTaskAndNotToNewRows) {
  MemorySource first = EasyPictures(5, 2, 16, 3);
  MemorySource second = EasyPictures(5, 3, 16, 4);
  PictureView first_view({&first}, {{0, 0, 0}, {0, 1, 1}, {0, 2, 0}, {0, 3, 1}, {0, 4, 0}});
  PictureView second_view({&second}, {{0, 0, 0}, {0, 1, 1}, {0, 2, 2}, {0, 3, 0}, {0, 4, 1}});
  const at::AutoGradMode gradients(true);
  for (const EwcAnchors anchors : {EwcAnchors::kAll, EwcAnchors::kLast}) {
    settings_.ewc_anchors = anchors;
    settings_.ewc_importance = 100;
    settings_.ewc_lambda = 0.75;
    Ewc ewc(settings_);
    EXPECT_NEAR(LossOf(ewc).total.item<double>(), SlowCrossEntropy(NewLogits(), labels_), kNear);  // First task.
    Classifier small = RecipeModel(Architecture::kSmallCnn, 2, 7);
    Classifier large = RecipeModel(Architecture::kSmallCnn, 3, 8);
    std::vector<OldTask> old = {Remember(small, first_view)};
    context_.model = &small;
    context_.pictures = &first_view;
    ewc.AfterTask(context_);
    EXPECT_NEAR(ewc.Penalty(model_).item<double>(), SlowPenalty(model_, old), 1e-4 * SlowPenalty(model_, old));
    EXPECT_NEAR(ewc.Penalty(small).item<double>(), 0.0, 1e-9);
    context_.model = &large;
    context_.pictures = &second_view;
    ewc.AfterTask(context_);
    if (anchors == EwcAnchors::kLast) old.clear();
    old.push_back(Remember(large, second_view));
    context_.model = &model_;
    context_.pictures = &pictures_;
    const double penalty = SlowPenalty(model_, old);
    ASSERT_GT(penalty, 0.0);
    EXPECT_NEAR(ewc.Penalty(model_).item<double>(), penalty, 1e-4 * penalty);
    const double want = 0.25 * SlowCrossEntropy(NewLogits(), labels_) + 0.75 * 100 * penalty;
    EXPECT_NEAR(LossOf(ewc).total.item<double>(), want, 1e-4 * want);

    // Back from its state it costs the same.
    Ewc back(settings_);
    back.SetState(ewc.State(), model_);
    EXPECT_EQ(back.Penalty(model_).item<double>(), ewc.Penalty(model_).item<double>());
  }
}

// Analytic head -------------------------------------------------------------------------------------------------------

// Ridge regression over all pictures at once, by the normal equations.
at::Tensor JointRidge(const Classifier& model, const std::vector<MemorySource*>& sources, const at::Tensor& projection,
                      double ridge, std::int64_t classes) {
  std::vector<at::Tensor> lifted;
  std::vector<at::Tensor> targets;
  for (MemorySource* source : sources) {
    for (std::uint32_t i = 0; i < source->Size(); ++i) {
      const Batch batch = source->Get(std::vector<std::uint32_t>{i}, std::nullopt);
      const at::Tensor feature = model.Features(batch.images).to(at::kDouble);
      lifted.push_back(feature.matmul(projection.t()).clamp_min(0));
      at::Tensor one_hot = at::zeros({1, classes}, at::kDouble);
      one_hot[0][batch.labels[0].item<std::int64_t>()] = 1.0;
      targets.push_back(one_hot);
    }
  }
  const at::Tensor phi = at::cat(lifted);
  return at::linalg_solve(phi.t().matmul(phi) + ridge * at::eye(phi.size(1), at::kDouble),
                          phi.t().matmul(at::cat(targets)));
}

TEST_F(OneStep, AnalyticHeadIsTheJointRidgeSolutionInAnyOrderOfTasks) {
  settings_.analytic_features = 24;
  settings_.analytic_ridge = 0.5;
  MemorySource first = EasyPictures(7, 2, 16, 3, at::kDouble);
  MemorySource second = EasyPictures(8, 3, 16, 4, at::kDouble);
  // In double precision, so that the trunk gives the same features alone and in a batch.
  Classifier model = model_.Clone(at::kDouble);
  context_.model = &model;
  const auto view = [](MemorySource& source) {
    std::vector<PictureRef> pictures;
    for (std::uint32_t i = 0; i < source.Size(); ++i) pictures.push_back({0, i, source.Label(i)});
    return PictureView({&source}, pictures);
  };
  PictureView first_view = view(first);
  PictureView second_view = view(second);
  const at::Tensor projection = RandomProjection(context_.seed, 24, 128);
  const at::Tensor want = JointRidge(model, {&first, &second}, projection, 0.5, 3);
  for (const bool forward : {true, false}) {
    Analytic analytic(settings_);
    for (PictureView* task : {forward ? &first_view : &second_view, forward ? &second_view : &first_view}) {
      context_.pictures = task;
      analytic.AfterTask(context_);
    }
    EXPECT_LT(LargestDifference(analytic.weights(), want), 1e-9);
    const at::Tensor images = Uniform(5, {4, 3, 16, 16}, -1, 1, at::kDouble);
    const at::Tensor scores = model.Features(images).to(at::kDouble).matmul(projection.t()).relu().matmul(want);
    EXPECT_LT(LargestDifference(analytic.Scores(model, images), scores), 1e-8);
  }
  // Without the second task's pictures: as if they had never been there.
  Analytic analytic(settings_);
  for (PictureView* task : {&first_view, &second_view}) {
    context_.pictures = task;
    analytic.AfterTask(context_);
  }
  analytic.Withdraw(model, {}, &second_view);
  EXPECT_LT(LargestDifference(analytic.weights(), JointRidge(model, {&first}, projection, 0.5, 3)), 1e-9);
}

TEST(AnalyticProjection, IsThatOfFederationsWithVarianceOneOverTheWidthAndGrowsByRows) {
  const at::Tensor small = RandomProjection(4, 50, 128);
  const at::Tensor large = RandomProjection(4, 200, 128);
  EXPECT_TRUE(at::equal(large.narrow(0, 0, 50), small));
  EXPECT_EQ(small[7][9].item<double>(), ProjectionRow(4, 7, 128)[9] * 0x1p-22);
  EXPECT_NEAR(large.mean().item<double>(), 0.0, 4 / std::sqrt(128.0 * 200 * 128));
  EXPECT_NEAR((large * std::sqrt(128.0)).square().mean().item<double>(), 1.0, 0.04);
}

}  // namespace
}  // namespace hemafed::learning
