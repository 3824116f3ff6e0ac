// SPDX-License-Identifier: Apache-2.0
#include "learning/data/picture_sheet.h"

#include <gtest/gtest.h>

#include <opencv2/core.hpp>

#include "learning/data/picture.h"
#include "tests/expect_error.h"
#include "tests/learning/data/picture_files.h"

namespace hemafed::learning {
namespace {

cv::Mat Plain(int width, int height, const cv::Scalar& colour) { return cv::Mat(height, width, CV_8UC3, colour); }

TEST(PictureSheet, PlacesTilesRowByRowWithGapsAndWhiteBehind) {
  const SheetLayout layout{.tile = cv::Size(20, 10), .columns = 2};
  const cv::Scalar red(200, 0, 0), green(0, 200, 0), blue(0, 0, 200);
  const cv::Mat sheet =
      DrawSheet(layout, {{Plain(20, 10, red), ""}, {Plain(40, 20, green), ""}, {Plain(5, 5, blue), ""}});
  ASSERT_EQ(sheet.size(), cv::Size(2 * 26, 2 * 16));
  EXPECT_EQ(sheet.at<cv::Vec3b>(5, 10), cv::Vec3b(200, 0, 0));
  EXPECT_EQ(sheet.at<cv::Vec3b>(5, 36), cv::Vec3b(0, 200, 0));       // scaled down
  EXPECT_EQ(sheet.at<cv::Vec3b>(21, 10), cv::Vec3b(0, 0, 200));      // scaled up
  EXPECT_EQ(sheet.at<cv::Vec3b>(21, 36), cv::Vec3b(255, 255, 255));  // The last row is short.
  EXPECT_EQ(sheet.at<cv::Vec3b>(12, 10), cv::Vec3b(255, 255, 255));  // gap
}

TEST(PictureSheet, WritesNamesOnlyWhereTheLayoutHasThem) {
  const std::vector<SheetTile> tiles = {{Plain(60, 40, cv::Scalar::all(255)), "a/very/long/path/to/cell_0001.png"}};
  const auto dark = [](const cv::Mat& sheet) { return cv::countNonZero(sheet.reshape(1) < 128); };
  SheetLayout layout{.tile = cv::Size(60, 40), .columns = 1};
  EXPECT_EQ(dark(DrawSheet(layout, tiles)), 0);
  layout.captions = true;
  const cv::Mat captioned = DrawSheet(layout, tiles);
  EXPECT_EQ(captioned.size(), cv::Size(66, 66));
  EXPECT_GT(dark(captioned.rowRange(40, 66)), 20);
  EXPECT_EQ(dark(captioned.colRange(61, 66)), 0);  // A long name is cut to the tile.
  layout.captions = false;
  layout.headers = {"head"};
  layout.labels = {"row"};
  const cv::Mat named = DrawSheet(layout, tiles);
  EXPECT_EQ(named.size(), cv::Size(66 + 24, 46 + 26));
  EXPECT_GT(dark(named.rowRange(0, 26)), 20);
  EXPECT_GT(dark(named.colRange(0, 24)), 20);
}

TEST(PictureSheet, RefusesWhatCannotBeDrawn) {
  const std::vector<SheetTile> one = {{Plain(8, 8, cv::Scalar::all(0)), ""}};
  const cv::Size tile(8, 8);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "needs tiles", (void)DrawSheet({.tile = tile}, {}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "needs tiles", (void)DrawSheet({.tile = tile, .columns = 0}, one));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "needs tiles", (void)DrawSheet({.tile = tile, .headers = {"a", "b"}}, one));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "8-bit RGB", (void)DrawSheet({.tile = tile}, {{cv::Mat(), ""}}));
  const std::vector<SheetTile> many(20, one[0]);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "too large to look at",
               (void)DrawSheet({.tile = cv::Size(4096, 4096), .columns = 5}, many));
}

TEST(PictureSheet, EncodesPicturesWithoutLoss) {
  const cv::Mat rgb = testing_support::SomePicture(31, 17, 2);
  const auto decoded = DecodePicture(EncodePng(rgb));
  ASSERT_TRUE(std::holds_alternative<cv::Mat>(decoded));
  EXPECT_EQ(cv::norm(std::get<cv::Mat>(decoded), rgb, cv::NORM_INF), 0.0);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "8-bit RGB", (void)EncodePng(cv::Mat()));
}

}  // namespace
}  // namespace hemafed::learning
