// SPDX-License-Identifier: Apache-2.0
//
// What federated rehearsal rests on (design 4.3, 11.4): with one full-batch step at every site, the weighted mean of
// their changes is the central step of the paper's loss over the new task's pictures and all exemplars together.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "codec/merge.h"
#include "codec/update.h"
#include "common/file_system.h"
#include "learning/continual/local_training.h"
#include "learning/continual/training_step.h"
#include "learning/continual/uacl_loss.h"
#include "learning/models/grow_head.h"
#include "learning/models/model_file.h"
#include "learning/models/torch_setup.h"
#include "tests/learning/memory_source.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

using hemafed::testing_support::Scratch;
using testing_support::EasyPictures;
using testing_support::MemorySource;

constexpr double kRate = 0.5;
constexpr double kGamma = 0.7;
constexpr std::int64_t kClasses = 4;
// Pictures of the active site, and exemplars of two earlier ones. They sum to 32, so that shares are exact.
constexpr std::int64_t kPictures[] = {18, 8, 6};

class FederatedGradient : public testing::Test {
 protected:
  FederatedGradient() {
    ConfigureTorch(1);
    for (std::size_t site = 0; site < 3; ++site) {
      sources_.push_back(EasyPictures(kPictures[site], kClasses, 32, 40 + site, at::kDouble));
    }
  }

  // The change of every trained tensor at one site after one step of the federation's own training code.
  std::map<std::string, at::Tensor> SiteChange(std::size_t site) {
    Classifier model = base_.Clone(at::kDouble);
    const TrainingSettings settings{.steps = 1,
                                    .batch = static_cast<std::uint32_t>(kPictures[site]),
                                    .rounds = 1,
                                    .learning_rate = kRate,
                                    .schedule = LearningRateSchedule::kConstant,
                                    .sgd = {.momentum = 0, .nesterov = false, .weight_decay = 0, .clip_norm = 0},
                                    .dropout = 0,
                                    .freeze_affine = false,
                                    .augment = false,
                                    .sampling = Sampling::kUniform,
                                    .threads = 1};
    const std::string name = "site " + std::to_string(site);
    (void)TrainLocally(model, DistilledLoss(&teacher_, kGamma), sources_[site], settings,
                       {.plan_seed = 9, .task = 1, .round = 0, .site = name}, {});
    return Difference(model);
  }

  // The central step: the gradient of CE + gamma L_dist over all pictures at once.
  std::map<std::string, at::Tensor> CentralChange() {
    Classifier model = base_.Clone(at::kDouble);
    std::vector<at::Tensor> images, labels;
    for (std::size_t site = 0; site < 3; ++site) {
      std::vector<std::uint32_t> all(static_cast<std::size_t>(kPictures[site]));
      for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
      const Batch batch = sources_[site].Get(all, std::nullopt);
      images.push_back(batch.images);
      labels.push_back(batch.labels);
    }
    const at::Tensor pictures = at::cat(images);
    {
      const TrainingScope scope(model, false);
      const at::Tensor answers = [&] {
        const at::NoGradGuard no_gradients;
        return teacher_.Forward(pictures);
      }();
      ComputeUaclLoss(model.Forward(pictures), at::cat(labels), answers, kGamma).total.backward();
      const at::NoGradGuard no_gradients;
      for (at::Tensor tensor : scope.trained()) tensor.add_(tensor.grad(), -kRate);
    }
    return Difference(model);
  }

  std::map<std::string, at::Tensor> Difference(const Classifier& model) const {
    std::map<std::string, at::Tensor> change;
    const at::NoGradGuard no_gradients;
    for (std::size_t i = 0; i < model.tensors().size(); ++i) {
      const NamedTensor& tensor = model.tensors()[i];
      change[tensor.name] = (tensor.value - base_.tensors()[i].value).detach();
    }
    return change;
  }

  std::vector<MemorySource> sources_;
  Classifier teacher_ = GrowHead(InitialModel(Architecture::kSmallCnn, 3), kClasses, 3, 0).Clone(at::kDouble);
  // Another model than the teacher, so that distillation pulls.
  Classifier base_ = GrowHead(InitialModel(Architecture::kSmallCnn, 4), kClasses, 4, 0).Clone(at::kDouble);
};

TEST_F(FederatedGradient, OfOneStepIsTheCentralGradient) {
  const auto central = CentralChange();
  std::vector<std::map<std::string, at::Tensor>> sites;
  for (std::size_t site = 0; site < 3; ++site) sites.push_back(SiteChange(site));
  double largest = 0;
  for (const auto& [name, change] : central) {
    at::Tensor merged = at::zeros_like(change);
    for (std::size_t site = 0; site < 3; ++site) {
      merged += sites[site].at(name) * (static_cast<double>(kPictures[site]) / 32);
    }
    largest = std::max(largest, change.abs().max().item<double>());
    EXPECT_LE((merged - change).abs().max().item<double>(), 1e-12) << name;
  }
  EXPECT_GT(largest, 1e-3) << "nothing moved: the comparison would hold for anything";
}

TEST_F(FederatedGradient, HoldsThroughTheIntegersUpToTheirGrid) {
  const auto central = CentralChange();
  const Scratch scratch;
  FileSystem& files = RealFileSystem();
  UpdateLayout layout;
  for (const auto& [name, change] : central) {
    layout.tensors.push_back({.name = name, .shape = {change.sizes().begin(), change.sizes().end()}});
  }
  std::vector<WeightedUpdate> updates;
  for (std::size_t site = 0; site < 3; ++site) {
    const Path file = scratch / ("update" + std::to_string(site));
    const auto out = files.Create(file);
    const auto change = SiteChange(site);
    for (const hemafed::TensorSpec& tensor : layout.tensors) {
      const at::Tensor delta = change.at(tensor.name).to(at::kFloat).contiguous();
      const std::vector<float> base(tensor.ValueCount());
      std::vector<float> residual(base.size());
      std::vector<std::int32_t> integers(base.size());
      QuantizeDelta(tensor.name, {delta.const_data_ptr<float>(), base.size()}, base, residual, integers);
      out->Append({reinterpret_cast<const std::uint8_t*>(integers.data()), integers.size() * 4});
    }
    out->Close();
    updates.push_back({.file = file, .weight = static_cast<std::uint32_t>(kPictures[site]) * 1024});
  }
  StepReader steps(files, layout, WeightedMean(updates));
  for (const hemafed::TensorSpec& tensor : layout.tensors) {
    std::vector<std::int32_t> step(tensor.ValueCount());
    steps.Next(step);
    const at::Tensor change = central.at(tensor.name).contiguous();
    const double* expected = change.const_data_ptr<double>();
    const double bound = 0x1p-22 + 4e-5 * change.abs().max().item<double>();
    for (std::size_t i = 0; i < step.size(); ++i) {
      ASSERT_NEAR(step[i] * 0x1p-22, expected[i], bound) << tensor.name << " " << i;
    }
  }
}

}  // namespace
}  // namespace hemafed::learning
