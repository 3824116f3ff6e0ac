// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/annotated_augment.h"

#include <gtest/gtest.h>

#include <set>
#include <tuple>

#include "tests/expect_error.h"
#include "tests/learning/features/cells/drawn_cells.h"

namespace hemafed::learning {
namespace {

using testing_support::AddLymphocyte;
using testing_support::DrawnSmear;
using testing_support::EmptySmear;

DrawnSmear OffCentre() {
  DrawnSmear smear = EmptySmear(160, 120);
  AddLymphocyte(smear, {50, 70}, 24);
  return smear;
}

// Where the nucleus is after the change: dark pixels of the picture itself.
cv::Mat NucleusOf(const cv::Mat& rgb) {
  cv::Mat green;
  cv::extractChannel(rgb, green, 1);
  return green < 100;
}
cv::Point2d MiddleOf(const cv::Mat& mask) {
  const cv::Moments m = cv::moments(mask, true);
  return {m.m10 / m.m00, m.m01 / m.m00};
}

TEST(AnnotatedAugment, TurnsPicturesMasksAndBoxesAlike) {
  const DrawnSmear smear = OffCentre();
  for (const bool mirror_x : {false, true}) {
    for (const bool mirror_y : {false, true}) {
      for (int turns = 0; turns < 4; ++turns) {
        for (const double angle : {0.0, 25.0}) {
          const AnnotatedVariant variant{.mirror_x = mirror_x,
                                         .mirror_y = mirror_y,
                                         .quarter_turns = turns,
                                         .angle = angle,
                                         .zoom = angle == 0.0 ? 1.0 : 0.9};
          const VariantOfPicture got = ApplyAnnotatedVariant(smear.rgb, smear.cells, variant);
          EXPECT_EQ(got.rgb.cols, turns % 2 == 0 ? 160 : 120);
          ASSERT_EQ(got.cells.size(), 1u);
          EXPECT_EQ(got.cells[0].mask.size(), got.rgb.size());
          EXPECT_EQ(got.cells[0].box, BoxOfMask(got.cells[0].mask));
          const cv::Point2d nucleus = MiddleOf(NucleusOf(got.rgb)), mask = MiddleOf(got.cells[0].mask);
          EXPECT_NEAR(nucleus.x, mask.x, 0.6);
          EXPECT_NEAR(nucleus.y, mask.y, 0.6);
          // The same cell known by its box only: a round cell's box stays its box.
          const VariantOfPicture boxes = ApplyAnnotatedVariant(smear.rgb, {{smear.cells[0].box, 1.0f, {}}}, variant);
          ASSERT_EQ(boxes.cells.size(), 1u);
          EXPECT_TRUE(boxes.cells[0].mask.empty());
          EXPECT_GT(BoxIou(boxes.cells[0].box, got.cells[0].box), angle == 0.0 ? 0.9999 : 0.93);
        }
      }
    }
  }
}

TEST(AnnotatedAugment, TurnsCounterClockwise) {
  const DrawnSmear smear = OffCentre();  // Middle (50, 70) of 160 x 120.
  const auto box_after = [&](const AnnotatedVariant& variant) {
    return ApplyAnnotatedVariant(smear.rgb, {{cv::Rect2f(40, 65, 20, 10), 1.0f, {}}}, variant).cells.at(0).box;
  };
  EXPECT_EQ(box_after({.mirror_x = true}), cv::Rect2f(100, 65, 20, 10));
  EXPECT_EQ(box_after({.mirror_y = true}), cv::Rect2f(40, 45, 20, 10));
  EXPECT_EQ(box_after({.quarter_turns = 1}), cv::Rect2f(65, 100, 10, 20));
  // By 90 degrees about (80, 60): the middle (50, 70) goes to (90, 90).
  const cv::Rect2f turned = box_after({.angle = 90});
  EXPECT_NEAR(turned.x, 85, 1e-4);
  EXPECT_NEAR(turned.y, 80, 1e-4);
  EXPECT_NEAR(turned.width, 10, 1e-4);
}

TEST(AnnotatedAugment, DropsCellsThatLeaveThePictureAndClipsTheRest) {
  const cv::Mat rgb = EmptySmear(100, 100).rgb;
  const std::vector<FoundCell> cells = {{cv::Rect2f(0, 0, 10, 10), 1.0f, {}}, {cv::Rect2f(40, 40, 60, 20), 1.0f, {}}};
  const VariantOfPicture got = ApplyAnnotatedVariant(rgb, cells, {.zoom = 2.0});
  ASSERT_EQ(got.cells.size(), 1u);
  EXPECT_EQ(got.cells[0].box, cv::Rect2f(30, 30, 70, 40));  // 30 to 150, cut at 100.
}

TEST(AnnotatedAugment, FillsWithTheColourOfTheBorder) {
  const DrawnSmear smear = OffCentre();
  const VariantOfPicture got = ApplyAnnotatedVariant(smear.rgb, smear.cells, {.zoom = 0.5});
  EXPECT_EQ(got.rgb.at<cv::Vec3b>(0, 0), cv::Vec3b(246, 232, 214));
}

TEST(AnnotatedAugment, ChangesColoursByItsFormula) {
  const cv::Mat rgb(20, 20, CV_8UC3, cv::Scalar(200, 100, 50));
  const VariantOfPicture got = ApplyAnnotatedVariant(rgb, {}, {.warmth = 0.1, .contrast = 1.2});
  // 127 + 1.2 (220 - 127), 127 + 1.2 (100 - 127), 127 + 1.2 (45 - 127)
  EXPECT_EQ(got.rgb.at<cv::Vec3b>(5, 5), cv::Vec3b(239, 95, 29));
  EXPECT_EQ(rgb.at<cv::Vec3b>(5, 5), cv::Vec3b(200, 100, 50));  // The input is untouched.
}

TEST(AnnotatedAugment, BlursNoiseButNotEdges) {
  cv::Mat rgb(60, 60, CV_8UC3, cv::Scalar::all(60));
  rgb(cv::Rect(30, 0, 30, 60)).setTo(cv::Scalar::all(200));
  cv::Mat noise(rgb.size(), CV_8UC3);
  cv::RNG random(1);
  random.fill(noise, cv::RNG::UNIFORM, 0, 12);
  rgb += noise;
  const cv::Mat got = ApplyAnnotatedVariant(rgb, {}, {.blur_levels = 30, .blur_diameter = 5}).rgb;
  const auto spread = [](const cv::Mat& picture) {
    cv::Scalar mean, deviation;
    cv::meanStdDev(picture(cv::Rect(3, 3, 20, 50)), mean, deviation);
    return deviation[0];
  };
  EXPECT_LT(spread(got), 0.6 * spread(rgb));
  EXPECT_LT(got.at<cv::Vec3b>(30, 29)[0], 80);
  EXPECT_GT(got.at<cv::Vec3b>(30, 30)[0], 195);
}

TEST(AnnotatedAugment, DependsOnSeedPictureAndEpochOnly) {
  const AnnotatedAugmentation settings;
  EXPECT_EQ(DrawAnnotatedVariant(settings, 1, 2, 3), DrawAnnotatedVariant(settings, 1, 2, 3));
  std::set<std::tuple<double, double, double>> seen;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    for (std::uint32_t picture = 0; picture < 4; ++picture) {
      for (std::uint32_t epoch = 0; epoch < 4; ++epoch) {
        const auto v = DrawAnnotatedVariant({.changed_share = 1.0, .flips = false}, seed, picture, epoch);
        seen.emplace(v.angle + v.quarter_turns, v.warmth + v.zoom, v.contrast + v.blur_levels);
      }
    }
  }
  EXPECT_GT(seen.size(), 55u);
}

TEST(AnnotatedAugment, ChangesHalfOfThePicturesAndStaysInItsRanges) {
  const AnnotatedAugmentation settings;
  int changed = 0, mirrored = 0, warmed = 0;
  double largest_angle = 0;
  constexpr int kDraws = 4000;
  for (std::uint32_t i = 0; i < kDraws; ++i) {
    const AnnotatedVariant v = DrawAnnotatedVariant(settings, 5, i, 0);
    if (v == AnnotatedVariant{}) continue;
    ++changed;
    mirrored += v.mirror_x ? 1 : 0;
    warmed += v.warmth != 0.0 ? 1 : 0;
    largest_angle = std::max(largest_angle, std::abs(v.angle));
    EXPECT_LE(std::abs(v.zoom - 1), settings.zoom);
    EXPECT_LE(std::abs(v.warmth), settings.temperature);
    EXPECT_LE(std::abs(v.contrast - 1), settings.contrast);
    EXPECT_LE(v.blur_levels, settings.blur_levels);
  }
  // 2,000 expected, standard deviation 32; the rare draw that changes nothing is within that.
  EXPECT_NEAR(changed, kDraws / 2, 160);
  EXPECT_NEAR(mirrored, changed / 2, 120);
  EXPECT_NEAR(warmed, changed / 2, 120);
  EXPECT_GT(largest_angle, 44.0);
  EXPECT_LE(largest_angle, 45.0);
  EXPECT_EQ(DrawAnnotatedVariant({.changed_share = 0.0}, 1, 2, 3), AnnotatedVariant{});
}

TEST(AnnotatedAugment, RefusesSettingsAndPicturesThatMakeNoSense) {
  const auto draw = [](const AnnotatedAugmentation& settings) { (void)DrawAnnotatedVariant(settings, 0, 0, 0); };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "changed_share", draw({.changed_share = 1.5}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "zoom", draw({.zoom = 1.0}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "blur_diameter", draw({.blur_diameter = 0}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "8-bit RGB", (void)ApplyAnnotatedVariant({}, {}, {}));
  const cv::Mat rgb = EmptySmear(40, 30).rgb;
  const std::vector<FoundCell> odd = {{cv::Rect2f(1, 1, 9, 9), 1.0f, cv::Mat::zeros(40, 30, CV_8UC1)}};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "picture's size", (void)ApplyAnnotatedVariant(rgb, odd, {}));
}

}  // namespace
}  // namespace hemafed::learning
