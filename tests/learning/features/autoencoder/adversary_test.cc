// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/adversary.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "learning/continual/optimiser.h"
#include "tests/expect_error.h"
#include "tests/learning/features/autoencoder/gradient_check.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::Uniform;

using Labels = std::vector<std::uint32_t>;

AdversarySettings Goal(AdversaryGoal goal) { return {.widths = {6, 5}, .goal = goal}; }

// Three layers, value by value.
std::vector<double> SlowScores(const Adversary& adversary, const std::vector<double>& latent) {
  std::vector<double> x = latent;
  for (std::size_t layer = 0; layer < 3; ++layer) {
    const at::Tensor& bias = adversary.trained()[2 * layer];
    const at::Tensor& weight = adversary.trained()[2 * layer + 1];
    std::vector<double> y;
    for (std::int64_t i = 0; i < bias.size(0); ++i) {
      double sum = bias[i].item<double>();
      for (std::size_t j = 0; j < x.size(); ++j) {
        sum += weight[i][static_cast<std::int64_t>(j)].item<double>() * x[j];
      }
      y.push_back(layer < 2 ? std::max(sum, 0.0) : sum);
    }
    x = y;
  }
  return x;
}

TEST(Adversary, LossesEqualTheirSlowDefinitions) {
  const at::Tensor z = Uniform(1, {4, 7}, -1, 1);
  const Labels labels = {2, 0, 0, 1};
  const Adversary uniform(7, 3, Goal(AdversaryGoal::kUniform), 5), reversed(7, 3, Goal(AdversaryGoal::kReversed), 5);
  double nll = 0.0, any = 0.0;
  for (std::int64_t n = 0; n < 4; ++n) {
    std::vector<double> latent;
    for (std::int64_t i = 0; i < 7; ++i) latent.push_back(z[n][i].item<double>());
    const std::vector<double> scores = SlowScores(uniform, latent);
    double sum = 0.0;
    for (const double score : scores) sum += std::exp(score);
    nll -= (scores[labels[static_cast<std::size_t>(n)]] - std::log(sum)) / 4;
    for (const double score : scores) any -= (score - std::log(sum)) / 12;
  }
  EXPECT_NEAR(uniform.OwnLoss(z, labels).item<double>(), nll, 1e-6);
  EXPECT_NEAR(reversed.EncoderTerm(z, labels).item<double>(), -nll, 1e-6);
  EXPECT_NEAR(uniform.EncoderTerm(z, labels).item<double>(), any, 1e-6);
  EXPECT_GE(any, std::log(3.0));
}

TEST(Adversary, EachLossReachesOnlyWhomItIsFor) {
  const Adversary adversary(7, 3, Goal(AdversaryGoal::kUniform), 5);
  at::Tensor z = Uniform(1, {4, 7}, -1, 1).requires_grad_(true);
  const Labels labels = {2, 0, 0, 1};
  adversary.EncoderTerm(z, labels).backward();
  EXPECT_GT(z.grad().abs().max().item<double>(), 0.0);
  for (const at::Tensor& tensor : adversary.trained()) EXPECT_FALSE(tensor.grad().defined());
  z.mutable_grad().reset();
  adversary.OwnLoss(z, labels).backward();
  EXPECT_FALSE(z.grad().defined());
  for (const at::Tensor& tensor : adversary.trained()) EXPECT_TRUE(tensor.grad().defined());
}

TEST(Adversary, LearnsToTellDomainsThatDiffer) {
  const Adversary adversary(4, 2, {}, 5);
  const at::Tensor z = at::cat({Uniform(1, {16, 4}, -1, 0.2), Uniform(2, {16, 4}, -0.2, 1)});
  Labels labels(32, 0);
  std::fill(labels.begin() + 16, labels.end(), 1u);
  const auto optimiser = MakeOptimiser(adversary.trained(), {.kind = OptimiserKind::kAdam, .learning_rate = 1e-2});
  const double before = adversary.OwnLoss(z, labels).item<double>();
  for (int step = 0; step < 60; ++step) {
    adversary.OwnLoss(z, labels).backward();
    optimiser->Step(1e-2);
  }
  EXPECT_NEAR(before, std::log(2.0), 0.1);
  EXPECT_LT(adversary.OwnLoss(z, labels).item<double>(), 0.3);
}

TEST(Adversary, ComesBackFromItsState) {
  const Adversary first(7, 3, Goal(AdversaryGoal::kUniform), 5);
  Adversary second(7, 3, Goal(AdversaryGoal::kUniform), 6);
  const at::Tensor z = Uniform(1, {4, 7}, -1, 1);
  EXPECT_FALSE(at::equal(first.Scores(z), second.Scores(z)));
  second.SetState(first.State());
  EXPECT_TRUE(at::equal(first.Scores(z), second.Scores(z)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "another shape", second.SetState(Adversary(8, 3, {}, 5).State()));
}

TEST(Adversary, RefusesWhatDoesNotFit) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "two domains; there are 1", (void)Adversary(7, 1, {}, 5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "a layer of 0 values", (void)Adversary(7, 3, {.widths = {0, 5}}, 5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "a layer of 4097 values", (void)Adversary(7, 3, {.widths = {4, 4097}}, 5));
  const Adversary adversary(7, 3, {}, 5);
  const at::Tensor z = Uniform(1, {2, 7}, -1, 1);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "domain 3 is not one of 3", (void)adversary.OwnLoss(z, Labels{0, 3}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not one domain for each", (void)adversary.EncoderTerm(z, Labels{0}));
}

}  // namespace
}  // namespace hemafed::learning
