// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/detector_losses.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "learning/features/detection/mask_targets.h"
#include "tests/expect_error.h"
#include "tests/learning/features/detection/waves.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::Units;
using testing_support::Wave;

TEST(DetectorLosses, SmoothL1SwitchesAtOneInThePublishedForm) {
  const at::Tensor d = at::tensor({0.5, 1.0, 2.0, -0.5, -2.0, 0.0});
  EXPECT_TRUE(at::allclose(SmoothL1(d, BoxLossRule::Published().switch_at),
                           at::tensor({0.125, 0.5, 1.5, 0.125, 1.5, 0.0}), 0, 1e-15));
  // torchvision's switch: 1/18 is inside, 1 is outside.
  EXPECT_TRUE(at::allclose(SmoothL1(at::tensor({1.0 / 18, 1.0}), BoxLossRule::Torchvision().switch_at),
                           at::tensor({4.5 / 324, 1 - 1.0 / 18}), 0, 1e-15));
}

// torchvision 0.28.0: fastrcnn_loss on the same numbers (training_reference.py).
TEST(DetectorLosses, OfTheBoxHeadEqualTorchvisions) {
  const at::Tensor classes = at::tensor({1, 0, 1, 0, 0, 1}, at::kLong);
  const at::Tensor logits = Wave(12, 0.8, 0.1, -2, 2).view({6, 2});
  const at::Tensor deltas = Wave(48, 1.1, 0.4, -1, 1).view({6, 2, 4});
  const at::Tensor targets = Wave(24, 0.6, 0.9, -1, 1).view({6, 4});
  EXPECT_NEAR(ClassLoss(logits, classes).item<double>(), 1.0269121, 2e-6);
  const at::Tensor positive = at::tensor({0, 2, 5}, at::kLong);
  const at::Tensor chosen = OfTrueClass(deltas.index_select(0, positive), classes.index_select(0, positive));
  EXPECT_NEAR(BoxLoss(chosen, targets.index_select(0, positive), 6, BoxLossRule::Torchvision()).item<double>(),
              1.4699745, 2e-6);
}

// torchvision 0.28.0: maskrcnn_loss on the masks of detector_targets_test.cc.
TEST(DetectorLosses, OfTheMaskHeadEqualTorchvisions) {
  const at::Tensor rows = at::arange(40, at::kFloat).unsqueeze(1), columns = at::arange(60, at::kFloat);
  const at::Tensor masks = at::stack({((rows - 18) / 12).square() + ((columns - 30) / 20).square() <= 1,
                                      ((rows - 25) / 9).square() + ((columns - 12) / 7).square() <= 1})
                               .to(at::kFloat);
  const at::Tensor rois = at::tensor({8.3F, 4.1F, 52.7F, 31.9F, 2.0F, 10.5F, 22.5F, 36.0F, -3.0F, -2.F, 61.F, 39.F,
                                      20.2F, 18.8F, 20.9F, 19.1F})
                              .view({4, 4});
  const at::Tensor targets =
      MaskTargets(masks, at::tensor({0, 1, 0, 0}, at::kLong), rois, 28, MaskSampling::kTorchvision);
  const at::Tensor logits = Wave(4 * 2 * 28 * 28, 0.05, 0.3, -3, 3).view({4, 2, 28, 28});
  EXPECT_NEAR(MaskLoss(logits, at::ones({4}, at::kLong), targets).item<double>(), 1.1717631, 2e-5);
}

TEST(DetectorLosses, PublishedBoxLossIsAMeanOverThePositives) {
  const at::Tensor deltas = Units(1, {5, 4}, 0) * 4 - 2, targets = Units(2, {5, 4}, 0) * 4 - 2;
  double sum = 0;
  for (std::int64_t i = 0; i < 20; ++i) {
    const double d = std::abs(deltas.view(-1)[i].item<double>() - targets.view(-1)[i].item<double>());
    sum += d < 1 ? d * d / 2 : d - 0.5;
  }
  EXPECT_NEAR(BoxLoss(deltas, targets, 256, BoxLossRule::Published()).item<double>(), sum / 20, 1e-14);
}

TEST(DetectorLosses, ObjectnessIsTheMeanCrossEntropy) {
  const at::Tensor logits = Units(1, {9}, 0) * 8 - 4;
  const at::Tensor positive = at::arange(9) < 4;
  double sum = 0;
  for (std::int64_t i = 0; i < 9; ++i) {
    const double p = 1 / (1 + std::exp(-logits[i].item<double>()));
    sum -= std::log(i < 4 ? p : 1 - p);
  }
  EXPECT_NEAR(ObjectnessLoss(logits, positive).item<double>(), sum / 9, 1e-14);
  // The published head has two logits and a softmax: their difference says the same.
  const at::Tensor two = at::stack({at::zeros({9}, at::kDouble), logits}, 1);
  EXPECT_NEAR(ClassLoss(two, positive.to(at::kLong)).item<double>(), sum / 9, 1e-14);
}

TEST(DetectorLosses, MaskLossSeesTheTrueClassAlone) {
  const at::Tensor logits = (Units(1, {3, 4, 5, 5}, 0) - 0.5).set_requires_grad(true);
  const at::Tensor classes = at::tensor({1, 3, 2}, at::kLong);
  MaskLoss(logits, classes, Units(2, {3, 5, 5}, 0)).backward();
  for (std::int64_t n = 0; n < 3; ++n) {
    for (std::int64_t k = 0; k < 4; ++k) {
      const double size = logits.grad()[n][k].abs().sum().item<double>();
      if (k == classes[n].item<std::int64_t>()) {
        EXPECT_GT(size, 0.0);
      } else {
        EXPECT_EQ(size, 0.0);
      }
    }
  }
}

TEST(DetectorLosses, WithoutPositivesBoxAndMaskLossesAreZeroWithZeroGradients) {
  const at::Tensor deltas = at::zeros({3, 4}, at::kDouble).set_requires_grad(true);
  const at::Tensor logits = at::zeros({3, 2, 4, 4}, at::kDouble).set_requires_grad(true);
  const at::Tensor none = at::empty({0}, at::kLong);
  const at::Tensor loss =
      BoxLoss(deltas.index_select(0, none), at::empty({0, 4}, at::kDouble), 8, BoxLossRule::Published()) +
      MaskLoss(logits.index_select(0, none), none, at::empty({0, 4, 4}, at::kDouble));
  EXPECT_EQ(loss.item<double>(), 0.0);
  loss.backward();
  EXPECT_EQ(deltas.grad().abs().sum().item<double>(), 0.0);
  EXPECT_EQ(logits.grad().abs().sum().item<double>(), 0.0);
}

TEST(DetectorLosses, OfOtherShapesAreRefused) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "class loss", (void)ClassLoss(at::zeros({3, 2}), at::zeros({2}, at::kLong)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "box loss",
               (void)BoxLoss(at::zeros({3, 4}), at::zeros({3, 4}), 2, BoxLossRule::Torchvision()));
}

}  // namespace
}  // namespace hemafed::learning
