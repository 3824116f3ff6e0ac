// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/sgd.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/sgd.h>

#include "tests/expect_error.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::LargestDifference;
using testing_support::Uniform;

std::vector<at::Tensor> Parameters() {
  return {Uniform(1, {3, 4}, -1, 1, at::kDouble).requires_grad_(),
          Uniform(2, {5}, -1, 1, at::kDouble).requires_grad_()};
}

// A loss with a different gradient in every step.
at::Tensor Loss(const std::vector<at::Tensor>& parameters, std::uint64_t step) {
  at::Tensor loss = at::zeros({}, at::kDouble);
  for (const at::Tensor& p : parameters) {
    loss = loss + (p - Uniform(100 + step, p.sizes().vec(), -2, 2, at::kDouble)).pow(4).sum();
  }
  return loss;
}

struct SgdCase {
  const char* name;
  SgdSettings settings;
};
class SgdAgainstTheLibrary : public testing::TestWithParam<SgdCase> {};

TEST_P(SgdAgainstTheLibrary, GivesTheSameParameters) {
  const SgdSettings& settings = GetParam().settings;
  std::vector<at::Tensor> own = Parameters();
  std::vector<at::Tensor> library = Parameters();
  Sgd sgd(own, settings);
  torch::optim::SGD reference(library, torch::optim::SGDOptions(0.01)
                                           .momentum(settings.momentum)
                                           .nesterov(settings.nesterov)
                                           .weight_decay(settings.weight_decay));
  for (std::uint64_t step = 0; step < 6; ++step) {
    const double rate = 0.01 / static_cast<double>(step + 1);
    Loss(own, step).backward();
    const double norm = sgd.Step(rate);

    reference.zero_grad();
    Loss(library, step).backward();
    const double clip = settings.clip_norm > 0 ? settings.clip_norm : 1e30;
    // The library divides by norm + 1e-6 when it clips, so the two drift apart by that much.
    const double tolerance = settings.clip_norm > 0 ? 1e-7 : 1e-12;
    EXPECT_NEAR(norm / torch::nn::utils::clip_grad_norm_(library, clip), 1.0, tolerance);
    static_cast<torch::optim::SGDOptions&>(reference.param_groups()[0].options()).lr(rate);
    reference.step();
    for (std::size_t i = 0; i < own.size(); ++i) {
      EXPECT_LT(LargestDifference(own[i].detach(), library[i].detach()), tolerance);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Settings, SgdAgainstTheLibrary,
                         testing::ValuesIn(std::vector<SgdCase>{{"Plain", {0, false, 0, 0}},
                                                                {"Momentum", {0.9, false, 0, 0}},
                                                                {"Nesterov", {0.9, true, 0, 0}},
                                                                {"Decay", {0, false, 0.1, 0}},
                                                                {"Clipped", {0, false, 0, 2}},
                                                                {"All", {0.9, true, 0.05, 3}}}),
                         [](const auto& row) { return row.param.name; });

TEST(Sgd, AStepClearsTheGradients) {
  std::vector<at::Tensor> parameters = Parameters();
  Sgd sgd(parameters, {0, false, 0, 0});
  Loss(parameters, 0).backward();
  (void)sgd.Step(0.1);
  for (const at::Tensor& p : parameters) EXPECT_FALSE(p.grad().defined());
}

TEST(Sgd, ATensorWithoutGradientOnlyDecays) {
  std::vector<at::Tensor> parameters = Parameters();
  const at::Tensor before = parameters[1].detach().clone();
  Sgd sgd(parameters, {0, false, 0.5, 0});
  parameters[0].sum().backward();
  (void)sgd.Step(0.1);
  EXPECT_LT(LargestDifference(parameters[1].detach(), before * 0.95), 1e-15);
}

TEST(Sgd, SettingsOutOfRangeAreRefused) {
  const std::vector<std::pair<SgdSettings, const char*>> cases = {{{1.0, false, 0, 0}, "momentum"},
                                                                  {{-0.1, false, 0, 0}, "momentum"},
                                                                  {{0, true, 0, 0}, "nesterov"},
                                                                  {{0, false, -1, 0}, "weight_decay"},
                                                                  {{0, false, 0, std::nan("")}, "clip_norm"}};
  for (const auto& [settings, words] : cases) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, Sgd({}, settings));
  }
}

}  // namespace
}  // namespace hemafed::learning
