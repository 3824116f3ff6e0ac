// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/overlap.h"

#include <gtest/gtest.h>

#include <opencv2/core.hpp>

#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

TEST(Overlap, OfBoxesIsIntersectionOverUnion) {
  const cv::Rect2f box(0, 0, 10, 10);
  EXPECT_DOUBLE_EQ(BoxIou(box, box), 1.0);
  EXPECT_DOUBLE_EQ(BoxIou(box, {5, 0, 10, 10}), 50.0 / 150.0);
  EXPECT_DOUBLE_EQ(BoxIou(box, {2.5f, 2.5f, 5, 5}), 0.25);
  EXPECT_DOUBLE_EQ(BoxIou(box, {10, 0, 10, 10}), 0.0);  // They touch.
  EXPECT_DOUBLE_EQ(BoxIou({}, {}), 0.0);
}

TEST(Overlap, OfMasksIsTheSameInPixels) {
  cv::Mat a = cv::Mat::zeros(20, 30, CV_8UC1), b = a.clone();
  EXPECT_DOUBLE_EQ(MaskIou(a, b), 0.0);
  a(cv::Rect(0, 0, 10, 10)).setTo(255);
  b(cv::Rect(5, 0, 10, 10)).setTo(1);
  EXPECT_DOUBLE_EQ(MaskIou(a, b), 50.0 / 150.0);
  EXPECT_EQ(BoxOfMask(b), cv::Rect2f(5, 0, 10, 10));
  EXPECT_TRUE(BoxOfMask(cv::Mat::zeros(5, 5, CV_8UC1)).empty());
  EXPECT_ERROR(ErrorCode::kInvalidInput, "one size", (void)MaskIou(a, cv::Mat::zeros(20, 20, CV_8UC1)));
}

FoundCell Cell(float x, float score) { return {cv::Rect2f(x, 0, 10, 10), score, {}}; }

TEST(Overlap, MatchesEachFoundCellOnceByOverlapNotByScore) {
  const std::vector<FoundCell> annotated = {Cell(0, 1), Cell(3, 1), Cell(100, 1)};
  // The first found cell overlaps both of the first two, the second better.
  const std::vector<FoundCell> found = {Cell(2, 0.9f), Cell(1, 0.1f), Cell(50, 0.8f)};
  EXPECT_EQ(MatchCells(annotated, found), (std::vector<int>{1, 0, -1}));
  EXPECT_EQ(MatchCells(annotated, {}), (std::vector<int>{-1, -1, -1}));
  EXPECT_TRUE(MatchCells({}, found).empty());
}

}  // namespace
}  // namespace hemafed::learning
