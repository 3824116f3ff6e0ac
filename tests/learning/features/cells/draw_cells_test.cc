// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/draw_cells.h"

#include <gtest/gtest.h>

#include "tests/expect_error.h"
#include "tests/learning/features/cells/drawn_cells.h"

namespace hemafed::learning {
namespace {

using testing_support::AddLymphocyte;
using testing_support::DrawnSmear;
using testing_support::EmptySmear;

int ChangedPixels(const cv::Mat& a, const cv::Mat& b) {
  cv::Mat difference;
  cv::absdiff(a, b, difference);
  return cv::countNonZero(difference.reshape(1) > 8);
}

TEST(DrawCells, MarksTheCellAndLeavesTheRestAsItIs) {
  DrawnSmear smear = EmptySmear(420, 420);
  AddLymphocyte(smear, {200, 200}, 60);
  const cv::Mat drawing = DrawCells(smear.rgb, smear.cells);
  ASSERT_EQ(drawing.size(), smear.rgb.size());
  // The box' corner, the outline's leftmost point, and the nucleus' middle.
  EXPECT_NE(drawing.at<cv::Vec3b>(140, 140), smear.rgb.at<cv::Vec3b>(140, 140));
  EXPECT_NE(drawing.at<cv::Vec3b>(200, 140), smear.rgb.at<cv::Vec3b>(200, 140));
  EXPECT_EQ(drawing.at<cv::Vec3b>(200, 200), smear.rgb.at<cv::Vec3b>(200, 200));
  EXPECT_EQ(ChangedPixels(DrawCells(smear.rgb, {}), smear.rgb), 0);
}

TEST(DrawCells, EnlargesSmallPicturesByAWholeFactor) {
  EXPECT_EQ(DrawCells(EmptySmear(120, 100).rgb, {}).size(), cv::Size(480, 400));
  EXPECT_EQ(DrawCells(EmptySmear(500, 100).rgb, {}).size(), cv::Size(500, 100));
}

TEST(DrawCells, WorksAtThePicturesBorderAndWithoutMasks) {
  const cv::Mat rgb = EmptySmear(64, 64).rgb;
  const std::vector<FoundCell> cells = {{cv::Rect2f(0, 0, 64, 64), 1.0f, {}}, {cv::Rect2f(60, 60, 4, 4), 0.0f, {}}};
  EXPECT_GT(ChangedPixels(DrawCells(rgb, cells), DrawCells(rgb, {})), 400);
}

TEST(DrawCells, RefusesMasksOfAnotherSize) {
  const cv::Mat rgb = EmptySmear(64, 64).rgb;
  const std::vector<FoundCell> cells = {{cv::Rect2f(0, 0, 4, 4), 1.0f, cv::Mat::zeros(32, 32, CV_8UC1)}};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "picture's size", (void)DrawCells(rgb, cells));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "8-bit RGB", (void)DrawCells({}, {}));
}

}  // namespace
}  // namespace hemafed::learning
