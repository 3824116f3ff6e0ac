// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/cell_crop.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <opencv2/core.hpp>

#include "tests/expect_error.h"
#include "tests/learning/data/picture_files.h"

namespace hemafed::learning {
namespace {

using testing_support::SomePicture;

TEST(CellCrop, HasThePublishedMargins) {
  // A box found at 400 x 400 in a picture of 360 x 363: x 90 to 180, y 181.5 to 272.25.
  const cv::Rect2f box = BoxFromFrame({100, 200, 100, 100}, 400, {360, 363});
  EXPECT_FLOAT_EQ(box.x, 90.0f);
  EXPECT_FLOAT_EQ(box.y, 181.5f);
  EXPECT_EQ(CropPlace({360, 363}, box), cv::Rect(80, 171, 120, 121));  // to 200 and 292
}

TEST(CellCrop, EndsAtThePicturesBorder) {
  EXPECT_EQ(CropPlace({100, 80}, {4.9f, 70, 90, 10}), cv::Rect(0, 60, 100, 20));
  EXPECT_EQ(CropPlace({100, 80}, {-5, -5, 300, 300}), cv::Rect(0, 0, 100, 80));
}

TEST(CellCrop, IsABilinearEnlargementOfThatPlace) {
  const cv::Mat rgb = SomePicture(90, 70, 3);
  const cv::Rect2f box(30, 25, 20, 15);
  const cv::Rect place = CropPlace(rgb.size(), box);
  ASSERT_EQ(place, cv::Rect(20, 15, 50, 45));
  const cv::Mat crop = CropCell(rgb, box);
  ASSERT_EQ(crop.size(), cv::Size(128, 128));
  // By hand: output pixel i lies at (i + 0.5) * length / 128 - 0.5 of the place, clamped to it.
  double worst = 0;
  for (int y = 0; y < 128; ++y) {
    for (int x = 0; x < 128; ++x) {
      const double fx = std::clamp((x + 0.5) * place.width / 128 - 0.5, 0.0, place.width - 1.0);
      const double fy = std::clamp((y + 0.5) * place.height / 128 - 0.5, 0.0, place.height - 1.0);
      const int x0 = static_cast<int>(fx), y0 = static_cast<int>(fy);
      const int x1 = std::min(x0 + 1, place.width - 1), y1 = std::min(y0 + 1, place.height - 1);
      const double u = fx - x0, v = fy - y0;
      for (int c = 0; c < 3; ++c) {
        const auto at = [&](int px, int py) -> double { return rgb.at<cv::Vec3b>(place.y + py, place.x + px)[c]; };
        const double want =
            (at(x0, y0) * (1 - u) + at(x1, y0) * u) * (1 - v) + (at(x0, y1) * (1 - u) + at(x1, y1) * u) * v;
        worst = std::max(worst, std::abs(want - crop.at<cv::Vec3b>(y, x)[c]));
      }
    }
  }
  EXPECT_LE(worst, 1.0);  // OpenCV's 8-bit arithmetic rounds its weights.
}

TEST(CellCrop, RefusesBoxesOutsideThePicture) {
  const cv::Mat rgb = SomePicture(50, 40, 1);
  const float infinite = std::numeric_limits<float>::infinity();
  for (const cv::Rect2f& box : {cv::Rect2f(50, 0, 5, 5), cv::Rect2f(0, -9, 5, 9), cv::Rect2f(1, 1, 0, 5),
                                cv::Rect2f(std::nanf(""), 0, 5, 5), cv::Rect2f(0, 0, infinite, 5)}) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "outside its picture", (void)CropCell(rgb, box));
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "8-bit RGB", (void)CropCell({}, {0, 0, 5, 5}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "margins", (void)CropCell(rgb, {0, 0, 5, 5}, {.margin_before = -1}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "side of a crop", (void)CropCell(rgb, {0, 0, 5, 5}, {.side = 4}));
}

}  // namespace
}  // namespace hemafed::learning
