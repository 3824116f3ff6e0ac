// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/uacl_loss.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/expect_error.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::Uniform;

at::Tensor Matrix(std::vector<std::vector<double>> rows) {
  std::vector<at::Tensor> tensors;
  for (const std::vector<double>& row : rows) tensors.push_back(at::tensor(row, at::kDouble));
  return at::stack(tensors);
}

// Equation 3 as corrected, element by element.
double SlowDistillation(const at::Tensor& logits, const at::Tensor& teacher) {
  double loss = 0.0;
  for (std::int64_t j = 0; j < teacher.size(1); ++j) {
    double sum = 0.0;
    for (std::int64_t i = 0; i < logits.size(0); ++i) {
      const double p = 1.0 / (1.0 + std::exp(-logits[i][j].item<double>()));
      const double q = 1.0 / (1.0 + std::exp(-teacher[i][j].item<double>()));
      sum += -q * std::log(p) - (1.0 - q) * std::log(1.0 - p);
    }
    loss += sum / static_cast<double>(logits.size(0));
  }
  return loss;
}

TEST(UaclLoss, CrossEntropyMatchesTheWorkedExample) {
  // published-systems 2.9, check 2.
  const at::Tensor logits = Matrix({{2, 1, 0}, {0, 3, -1}});
  const at::Tensor labels = at::tensor({0, 2}, at::kLong);
  EXPECT_NEAR(CrossEntropy(logits.narrow(0, 0, 1), labels.narrow(0, 0, 1)).item<double>(), 0.407606, 5e-7);
  EXPECT_NEAR(CrossEntropy(logits.narrow(0, 1, 1), labels.narrow(0, 1, 1)).item<double>(), 4.065884, 5e-7);
  EXPECT_NEAR(CrossEntropy(logits, labels).item<double>(), 2.236745, 5e-7);
}

TEST(UaclLoss, DistillationEqualsASlowComputationOverTheOldClassesOnly) {
  const at::Tensor logits = Uniform(1, {7, 6}, -4, 4, at::kDouble);
  const at::Tensor teacher = Uniform(2, {7, 4}, -4, 4, at::kDouble);
  EXPECT_NEAR(Distillation(logits, teacher).item<double>(), SlowDistillation(logits, teacher), 1e-12);
  // Logits of new classes play no part.
  at::Tensor changed = logits.clone();
  changed.narrow(1, 4, 2).add_(3.0);
  EXPECT_EQ(Distillation(changed, teacher).item<double>(), Distillation(logits, teacher).item<double>());
}

TEST(UaclLoss, DistillationIsSummedOverClassesAndAveragedOverPictures) {
  const at::Tensor logits = Uniform(1, {5, 3}, -2, 2, at::kDouble);
  const at::Tensor teacher = Uniform(2, {5, 3}, -2, 2, at::kDouble);
  const double once = Distillation(logits, teacher).item<double>();
  EXPECT_NEAR(Distillation(at::cat({logits, logits}), at::cat({teacher, teacher})).item<double>(), once, 1e-12);
  EXPECT_NEAR(Distillation(at::cat({logits, logits}, 1), at::cat({teacher, teacher}, 1)).item<double>(), 2 * once,
              1e-12);
}

TEST(UaclLoss, SmallestValueIsTheEntropyOfTheTeacher) {
  const at::Tensor teacher = Uniform(2, {4, 3}, -3, 3, at::kDouble);
  const at::Tensor q = teacher.sigmoid();
  const double entropy = -(q * q.log() + (1 - q) * (1 - q).log()).mean(0).sum().item<double>();
  EXPECT_NEAR(Distillation(teacher, teacher).item<double>(), entropy, 1e-12);
  for (const double shift : {-0.5, -0.01, 0.01, 0.5}) {
    EXPECT_GT(Distillation(teacher + shift, teacher).item<double>(), entropy) << shift;
  }
}

TEST(UaclLoss, ExtremeLogitsStayFiniteAndExact) {
  // Check 3: z = (50, -50), q = (0, 1). A teacher logit of -800 gives q = 0 exactly, in float64 too.
  const at::Tensor logits = Matrix({{50, -50}});
  const at::Tensor teacher = Matrix({{-800, 800}});
  EXPECT_EQ(Distillation(logits.narrow(1, 0, 1), teacher.narrow(1, 0, 1)).item<double>(), 50.0);
  EXPECT_EQ(Distillation(logits.narrow(1, 1, 1), teacher.narrow(1, 1, 1)).item<double>(), 50.0);
  EXPECT_EQ(Distillation(logits.to(at::kFloat), teacher.to(at::kFloat)).item<double>(), 100.0);
  EXPECT_TRUE(std::isfinite(Distillation(logits * 1e30, teacher).item<double>()));
}

TEST(UaclLoss, GradientIsSigmoidMinusTargetAlsoAtZero) {
  at::Tensor logits = Matrix({{0.0, 1.5, -30.0, 45.0}}).requires_grad_();
  const at::Tensor teacher = Matrix({{0.7, -1.0, 2.0, 3.0}});
  Distillation(logits, teacher).backward();
  EXPECT_LT(testing_support::LargestDifference(logits.grad(), logits.detach().sigmoid() - teacher.sigmoid()), 1e-12);
}

TEST(UaclLoss, TotalIsCrossEntropyPlusGammaTimesDistillation) {
  const at::Tensor logits = Uniform(1, {6, 5}, -2, 2, at::kDouble);
  const at::Tensor teacher = Uniform(2, {6, 3}, -2, 2, at::kDouble);
  const at::Tensor labels = at::tensor({0, 1, 2, 3, 4, 0}, at::kLong);
  const UaclLoss loss = ComputeUaclLoss(logits, labels, teacher, 5.0);
  EXPECT_NEAR(loss.total.item<double>(),
              CrossEntropy(logits, labels).item<double>() + 5.0 * SlowDistillation(logits, teacher), 1e-12);
  const UaclLoss first_task = ComputeUaclLoss(logits, labels, std::nullopt, 5.0);
  EXPECT_EQ(first_task.total.item<double>(), CrossEntropy(logits, labels).item<double>());
  EXPECT_EQ(first_task.distillation.item<double>(), 0.0);
}

TEST(UaclLoss, NoGradientReachesTheTeacher) {
  at::Tensor logits = Uniform(1, {2, 3}, -2, 2, at::kDouble).requires_grad_();
  at::Tensor teacher = Uniform(2, {2, 3}, -2, 2, at::kDouble).requires_grad_();
  Distillation(logits, teacher).backward();
  EXPECT_FALSE(teacher.grad().defined());
}

TEST(UaclLoss, ShapesThatDoNotFitAreRefused) {
  const at::Tensor logits = at::zeros({2, 3});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "C_old <= C", (void)Distillation(logits, at::zeros({2, 4})));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "C_old <= C", (void)Distillation(logits, at::zeros({3, 3})));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "labels [N]", (void)CrossEntropy(logits, at::zeros({3}, at::kLong)));
}

}  // namespace
}  // namespace hemafed::learning
