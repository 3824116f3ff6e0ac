// SPDX-License-Identifier: Apache-2.0
//
// What the box head learns from one picture, against slow loops in double.
#include "learning/features/detection/head_targets.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "common/random.h"

namespace hemafed::learning {
namespace {

using Box = std::array<double, 4>;

at::Tensor TensorOf(const std::vector<Box>& boxes) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(boxes.size()), 4}, at::kFloat);
  float* out = tensor.mutable_data_ptr<float>();
  for (const Box& box : boxes) {
    for (const double corner : box) *out++ = static_cast<float>(corner);
  }
  return tensor;
}

Box LastPixel(const Box& box) { return {box[0], box[1], box[2] - 1, box[3] - 1}; }

double Area(const Box& box) { return std::max(0.0, box[2] - box[0]) * std::max(0.0, box[3] - box[1]); }

double Iou(const Box& a, const Box& b) {
  const double common = Area({std::max(a[0], b[0]), std::max(a[1], b[1]), std::min(a[2], b[2]), std::min(a[3], b[3])});
  const double either = Area(a) + Area(b) - common;
  return either > 0 ? common / either : 0;
}

// Everything is sampled: positives in the order of the candidates, then the others.
TargetRules Everything(bool truth_joins) {
  TargetRules rules;
  rules.head_sample = {1000, 0.9, false};
  rules.truth_joins_proposals = truth_joins;
  return rules;
}

HeadTargets Targets(DetectorForm form, const std::vector<Box>& proposals, const std::vector<Box>& truth,
                    const TargetRules& rules) {
  const at::Tensor labels = at::ones({static_cast<std::int64_t>(truth.size())}, at::kLong);
  return MakeHeadTargets(form, TensorOf(proposals), TensorOf(truth), labels, rules, RandomStream(1, 2));
}

// Quarters of pixels: overlaps are exact, so that none is at the limit by rounding.
std::vector<Box> Around(const std::vector<Box>& truth, std::size_t times) {
  RandomStream random(3, 4);
  std::vector<Box> boxes;
  for (std::size_t i = 0; i < times; ++i) {
    for (Box box : truth) {
      for (double& corner : box) corner += 0.25 * random.NextBelow(17) - 2;
      boxes.push_back(box);
    }
  }
  return boxes;
}

TEST(HeadTargets, OfThePublishedFormOverlapAndCodeBoxesByTheirLastPixels) {
  const std::vector<Box> truth = {{10, 10, 22, 19}, {30, 12, 36, 20}, {50, 50, 54, 53}};
  const std::vector<Box> proposals = Around(truth, 20);
  const HeadTargets targets = Targets(DetectorForm::kPublished, proposals, truth, Everything(false));
  std::int64_t positives = 0, turned = 0;
  for (std::size_t j = 0; j < proposals.size(); ++j) {
    std::size_t best = 0;
    for (std::size_t t = 1; t < truth.size(); ++t) {
      if (Iou(LastPixel(truth[t]), LastPixel(proposals[j])) > Iou(LastPixel(truth[best]), LastPixel(proposals[j]))) {
        best = t;
      }
    }
    const bool positive = Iou(LastPixel(truth[best]), LastPixel(proposals[j])) >= 0.5;
    if (positive != (Iou(truth[best], proposals[j]) >= 0.5)) ++turned;
    if (!positive) continue;
    ASSERT_LT(positives, targets.owners.size(0));
    EXPECT_EQ(targets.owners[positives].item<std::int64_t>(), static_cast<std::int64_t>(best));
    EXPECT_EQ(targets.classes[positives].item<std::int64_t>(), 1);
    const Box to = LastPixel(truth[best]), from = LastPixel(proposals[j]);
    const double width = from[2] - from[0], height = from[3] - from[1];
    const Box want = {10 * ((to[1] + to[3]) - (from[1] + from[3])) / 2 / height,
                      10 * ((to[0] + to[2]) - (from[0] + from[2])) / 2 / width, 5 * std::log((to[3] - to[1]) / height),
                      5 * std::log((to[2] - to[0]) / width)};
    for (std::int64_t k = 0; k < 4; ++k) {
      EXPECT_EQ(targets.boxes[positives][k].item<float>(),
                static_cast<float>(proposals[j][static_cast<std::size_t>(k)]));
      EXPECT_NEAR(targets.deltas[positives][k].item<double>(), want[static_cast<std::size_t>(k)], 1e-4)
          << j << " " << k;
    }
    ++positives;
  }
  EXPECT_EQ(targets.owners.size(0), positives);
  EXPECT_EQ(targets.boxes.size(0), static_cast<std::int64_t>(proposals.size()));
  EXPECT_GT(positives, 5);
  EXPECT_GT(turned, 0) << "no box tells the two ways of overlapping apart";
}

TEST(HeadTargets, OneBoxIsPositiveInOneFormAndBackgroundInTheOther) {
  // Plain 4.8 / 9; by last pixels 2 x 0.6 of 2 x 2.
  const std::vector<Box> truth = {{4, 4, 7, 7}}, proposals = {{4, 4, 7, 5.6}};
  EXPECT_EQ(Targets(DetectorForm::kTorchvision, proposals, truth, Everything(false)).owners.size(0), 1);
  EXPECT_EQ(Targets(DetectorForm::kPublished, proposals, truth, Everything(false)).owners.size(0), 0);
}

TEST(HeadTargets, TrueBoxesOfAPixelOrLessAreNobodysAndDoNotJoin) {
  const std::vector<Box> truth = {{5, 5, 6, 6}, {8, 8, 8.5, 12}, {20, 20, 40, 40}, {60, 3, 80, 4}};
  const HeadTargets targets = Targets(DetectorForm::kPublished, truth, truth, Everything(true));
  EXPECT_EQ(targets.boxes.size(0), 4 + 1);
  ASSERT_EQ(targets.owners.size(0), 2);  // The proposal and the true box that joined.
  EXPECT_TRUE((targets.owners == 2).all().item<bool>());
  EXPECT_TRUE(at::isfinite(targets.deltas).all().item<bool>());
  EXPECT_EQ(targets.deltas.abs().max().item<double>(), 0.0);
  // Plain boxes have an extent however small they are.
  EXPECT_EQ(Targets(DetectorForm::kTorchvision, truth, truth, Everything(true)).owners.size(0), 8);
}

TEST(HeadTargets, OfAPictureWithoutCellsAreBackground) {
  for (const DetectorForm form : kDetectorForms) {
    const HeadTargets targets = Targets(form, {{1, 2, 30, 40}, {5, 6, 7, 8}}, {}, Everything(true));
    EXPECT_EQ(targets.boxes.size(0), 2);
    EXPECT_EQ(targets.classes.sum().item<std::int64_t>(), 0);
    EXPECT_EQ(targets.deltas.sizes(), (std::vector<std::int64_t>{0, 4}));
  }
}

}  // namespace
}  // namespace hemafed::learning
