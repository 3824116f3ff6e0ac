// SPDX-License-Identifier: Apache-2.0
//
// Optimisers against those of LibTorch's C++ front end over many steps, and their state.
#include "learning/continual/optimiser.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>

#include <limits>

#include "tests/expect_error.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::LargestDifference;
using testing_support::Uniform;

std::vector<at::Tensor> Parameters() {
  std::vector<at::Tensor> tensors = {Uniform(1, {3, 4}, -1, 1, at::kDouble), Uniform(2, {5}, -1, 1, at::kDouble)};
  for (at::Tensor& tensor : tensors) tensor.requires_grad_(true);
  return tensors;
}

// A loss whose gradient changes from step to step and is large enough to be clipped now and then.
at::Tensor Loss(const std::vector<at::Tensor>& tensors, int step) {
  const at::Tensor target = Uniform(static_cast<std::uint64_t>(10 + step), {3, 4}, -2, 2, at::kDouble);
  return (tensors[0] - target).square().sum() + (tensors[1].sin() * (step + 1)).sum();
}

OptimiserSettings SettingsOf(OptimiserKind kind) {
  OptimiserSettings settings;
  settings.kind = kind;
  settings.weight_decay = 0.02;
  settings.clip_norm = 9.0;
  return settings;
}

class EveryOptimiser : public testing::TestWithParam<OptimiserKind> {};
INSTANTIATE_TEST_SUITE_P(All, EveryOptimiser,
                         testing::Values(OptimiserKind::kSgd, OptimiserKind::kAdam, OptimiserKind::kAdamW),
                         [](const auto& row) { return std::string(OptimiserName(row.param)); });

TEST_P(EveryOptimiser, TakesTheStepsOfLibTorch) {
  const std::vector<at::Tensor> ours = Parameters();
  const std::vector<at::Tensor> theirs = Parameters();
  const auto optimiser = MakeOptimiser(ours, SettingsOf(GetParam()));
  constexpr double kRate = 0.03;
  std::unique_ptr<torch::optim::Optimizer> peer;
  if (GetParam() == OptimiserKind::kSgd) {
    peer = std::make_unique<torch::optim::SGD>(
        theirs, torch::optim::SGDOptions(kRate).momentum(0.9).nesterov(true).weight_decay(0.02));
  } else if (GetParam() == OptimiserKind::kAdam) {
    peer = std::make_unique<torch::optim::Adam>(theirs, torch::optim::AdamOptions(kRate).weight_decay(0.02));
  } else {
    peer = std::make_unique<torch::optim::AdamW>(theirs, torch::optim::AdamWOptions(kRate).weight_decay(0.02));
  }
  int clipped = 0;
  for (int step = 0; step < 25; ++step) {
    Loss(ours, step).backward();
    const double norm = optimiser->Step(kRate);
    clipped += norm > 9.0;
    peer->zero_grad();
    Loss(theirs, step).backward();
    EXPECT_NEAR(torch::nn::utils::clip_grad_norm_(theirs, 9.0), norm, 1e-5 * norm);
    peer->step();
    for (std::size_t i = 0; i < ours.size(); ++i) {
      EXPECT_LT(LargestDifference(ours[i], theirs[i]), 2e-6 * (1 + step)) << "step " << step;
      EXPECT_FALSE(ours[i].grad().defined());
    }
  }
  EXPECT_GT(clipped, 3);
  EXPECT_LT(clipped, 25);
}

TEST_P(EveryOptimiser, GoesOnFromItsStateWithTheSameBits) {
  const std::vector<at::Tensor> whole = Parameters();
  const std::vector<at::Tensor> parts = Parameters();
  const auto optimiser = MakeOptimiser(whole, SettingsOf(GetParam()));
  auto first = MakeOptimiser(parts, SettingsOf(GetParam()));
  EXPECT_TRUE(first->State().empty());
  for (int step = 0; step < 9; ++step) {
    if (step == 4) {
      TensorMap copy;
      for (const auto& [name, tensor] : first->State()) copy[name] = tensor.clone();
      first = MakeOptimiser(parts, SettingsOf(GetParam()));
      first->SetState(copy);
    }
    Loss(whole, step).backward();
    optimiser->Step(0.03);
    Loss(parts, step).backward();
    first->Step(0.03);
  }
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_TRUE(at::equal(whole[i], parts[i]));
}

TEST_P(EveryOptimiser, AGradientThatIsNotFiniteChangesNothing) {
  const std::vector<at::Tensor> tensors = Parameters();
  const auto optimiser = MakeOptimiser(tensors, SettingsOf(GetParam()));
  (tensors[0] * std::numeric_limits<double>::infinity()).sum().backward();
  EXPECT_FALSE(std::isfinite(optimiser->Step(0.1)));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_TRUE(at::equal(tensors[i], Parameters()[i]));
    EXPECT_FALSE(tensors[i].grad().defined());
  }
}

TEST_P(EveryOptimiser, AStateOfAnotherModelIsRefused) {
  const auto optimiser = MakeOptimiser(Parameters(), SettingsOf(GetParam()));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "another model", optimiser->SetState({{"x", at::zeros({1})}}));
}

TEST(OptimiserNames, ComeBack) {
  for (const OptimiserKind kind : {OptimiserKind::kSgd, OptimiserKind::kAdam, OptimiserKind::kAdamW}) {
    EXPECT_EQ(OptimiserFromName(OptimiserName(kind)), kind);
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "sgd, adam and adamw", (void)OptimiserFromName("rmsprop"));
}

}  // namespace
}  // namespace hemafed::learning
