// SPDX-License-Identifier: Apache-2.0
#include "learning/data/tile_cache.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <opencv2/imgproc.hpp>
#include <string>
#include <vector>

#include "tests/expect_error.h"
#include "tests/learning/data/picture_files.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

using hemafed::testing_support::Scratch;
using testing_support::Png;
using testing_support::SomePicture;
using testing_support::Write;

LabelMap Labels() {
  return LabelMap::Parse(
      "name=\"t\"\nunknown=\"error\"\ndropped=[]\n[[class]]\nname=\"a\"\nlabels=[\"a\"]\n[[class]]\nname=\"b\"\n"
      "labels=[\"b\"]\n",
      "labels.toml");
}

class TileCacheTest : public testing::Test {
 protected:
  TileCacheTest() {
    for (std::uint64_t i = 0; i < 4; ++i) Write(scratch_ / ("pictures/a/" + std::to_string(i) + ".png"), Png(i));
    for (std::uint64_t i = 4; i < 7; ++i)
      Write(scratch_ / ("pictures/b/" + std::to_string(i) + ".png"), Png(i, 64, 80));
    index_ = ImportTree(RealFileSystem(), scratch_ / "pictures", "d", Labels()).index;
  }
  TileCache Open(const TileShape& shape, const ImportProgress& progress = {}) {
    return TileCache::OpenOrBuild(RealFileSystem(), scratch_ / "pictures", index_, shape, scratch_ / "cache", progress);
  }
  static std::vector<std::uint8_t> Tile(const TileCache& cache, std::uint32_t position) {
    std::vector<std::uint8_t> tile(cache.shape().Bytes());
    cache.Read(position, tile);
    return tile;
  }

  Scratch scratch_;
  DatasetIndex index_;
};

TEST_F(TileCacheTest, HoldsTheTilesOfTheIndexInItsOrder) {
  const TileCache cache = Open({.side = 24});
  EXPECT_FALSE(cache.was_ready());
  ASSERT_EQ(cache.size(), 7u);
  for (std::uint32_t i = 0; i < cache.size(); ++i) {
    const cv::Mat bgr = cv::imread((scratch_ / "pictures" / index_.pictures[i].file).string());
    cv::Mat rgb;
    cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB);
    const cv::Mat want = MakeTile(rgb, {.side = 24});
    EXPECT_EQ(Tile(cache, i), std::vector<std::uint8_t>(want.datastart, want.dataend)) << index_.pictures[i].file;
  }
  EXPECT_ERROR(ErrorCode::kInternal, "tile 7", (void)Tile(cache, 7));
}

TEST_F(TileCacheTest, IsReadAgainWithoutAnyPicture) {
  const auto first = Tile(Open({.side = 24}), 3);
  std::filesystem::remove_all(scratch_ / "pictures");
  const TileCache again = Open({.side = 24});
  EXPECT_TRUE(again.was_ready());
  EXPECT_EQ(Tile(again, 3), first);
}

TEST_F(TileCacheTest, IsMadeAgainAfterAnyDamage) {
  const Path path = Open({.side = 16}).path();
  const std::string whole = ReadFile(RealFileSystem(), path, 1 << 20);
  ASSERT_EQ(whole.size(), 56u + 7 * 16 * 16 * 3 + 32);
  std::vector<std::string> damaged = {"", whole.substr(0, 40), whole.substr(0, whole.size() - 1), whole + "x"};
  for (std::size_t at = 0; at < whole.size(); at += at < 64 ? 1 : 97) {
    damaged.push_back(whole);
    damaged.back()[at] = static_cast<char>(damaged.back()[at] ^ 0x20);
  }
  for (const std::string& content : damaged) {
    Write(path, content);
    EXPECT_FALSE(Open({.side = 16}).was_ready());
    EXPECT_EQ(ReadFile(RealFileSystem(), path, 1 << 20), whole);
  }
  EXPECT_TRUE(Open({.side = 16}).was_ready());
}

TEST_F(TileCacheTest, IsAnotherFileForAnotherIndexSideOrCrop) {
  const Path one = Open({.side = 16}).path();
  EXPECT_NE(Open({.side = 17}).path(), one);
  EXPECT_NE(Open({.side = 16, .crop = 30}).path(), one);
  index_.pictures[0].split = index_.pictures[0].split == Split::kTest ? Split::kTrain : Split::kTest;
  EXPECT_NE(Open({.side = 16}).path(), one);
}

TEST_F(TileCacheTest, TakesThePlaceOfCachesOfOtherIndicesOfItsDomain) {
  const Path old = Open({.side = 16}).path();
  const Path old_of_another_side = Open({.side = 17}).path();
  EXPECT_TRUE(std::filesystem::exists(old));
  const Path unfinished = old.string() + ".tmp";
  const Path foreign = scratch_ / "cache/d-2-0123456789abcdef-16-0.tiles";  // Of the domain "d-2".
  const Path notes = scratch_ / "cache/d-notes.tiles";
  for (const Path& file : {unfinished, foreign, notes}) Write(file, "x");
  index_.pictures[0].split = index_.pictures[0].split == Split::kTest ? Split::kTrain : Split::kTest;
  const TileCache cache = Open({.side = 16});
  for (const Path& file : {old, old_of_another_side, unfinished}) EXPECT_FALSE(std::filesystem::exists(file)) << file;
  for (const Path& file : {cache.path(), foreign, notes}) EXPECT_TRUE(std::filesystem::exists(file)) << file;
  EXPECT_TRUE(Open({.side = 16}).was_ready());
}

TEST_F(TileCacheTest, IsNotBuiltFromPicturesThatChangedSinceTheImport) {
  const Path file = scratch_ / "pictures" / index_.pictures[2].file;
  Write(file, Png(99));
  EXPECT_ERROR(ErrorCode::kConflict, "has changed since the pictures were imported", (void)Open({.side = 16}));
  std::filesystem::remove(file);
  EXPECT_ERROR(ErrorCode::kConflict, index_.pictures[2].file, (void)Open({.side = 16}));
}

TEST_F(TileCacheTest, LeavesNoCacheWhenItIsStopped) {
  EXPECT_ERROR(ErrorCode::kInterrupted, "start again",
               (void)Open({.side = 16}, [](std::uint64_t done, std::uint64_t) { return done < 3; }));
  EXPECT_FALSE(Open({.side = 16}).was_ready());
}

TEST_F(TileCacheTest, RefusesSidesThatNoPlanAsksFor) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "sides 16 to 1024", (void)Open({.side = 8}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "crops up to 4096", (void)Open({.side = 16, .crop = 5000}));
}

// Mean over the area of the picture that a tile pixel covers, in double.
double SlowArea(const cv::Mat& picture, int side, int x, int y, int c) {
  const double sx = static_cast<double>(picture.cols) / side;
  const double sy = static_cast<double>(picture.rows) / side;
  double sum = 0.0;
  for (int py = 0; py < picture.rows; ++py) {
    const double wy = std::min<double>(py + 1, (y + 1) * sy) - std::max<double>(py, y * sy);
    if (wy <= 0) continue;
    for (int px = 0; px < picture.cols; ++px) {
      const double wx = std::min<double>(px + 1, (x + 1) * sx) - std::max<double>(px, x * sx);
      if (wx > 0) sum += wx * wy * picture.at<cv::Vec3b>(py, px)[c];
    }
  }
  return sum / (sx * sy);
}

TEST(MakeTile, AveragesOverAreasWhenShrinking) {
  for (const auto& [width, height] : {std::pair{60, 44}, std::pair{40, 40}, std::pair{37, 20}}) {
    const cv::Mat picture = SomePicture(width, height, 3);
    const cv::Mat tile = MakeTile(picture, {.side = 20});
    for (int y = 0; y < 20; ++y) {
      for (int x = 0; x < 20; ++x) {
        for (int c = 0; c < 3; ++c) EXPECT_NEAR(tile.at<cv::Vec3b>(y, x)[c], SlowArea(picture, 20, x, y, c), 0.51);
      }
    }
  }
}

TEST(MakeTile, InterpolatesWhenEnlarging) {
  const cv::Mat picture = SomePicture(20, 20, 4);
  const cv::Mat tile = MakeTile(picture, {.side = 50});
  for (int y = 0; y < 50; ++y) {
    for (int x = 0; x < 50; ++x) {
      const double fx = std::clamp((x + 0.5) * 0.4 - 0.5, 0.0, 19.0);
      const double fy = std::clamp((y + 0.5) * 0.4 - 0.5, 0.0, 19.0);
      const int x0 = static_cast<int>(fx);
      const int y0 = static_cast<int>(fy);
      const int x1 = std::min(x0 + 1, 19);
      const int y1 = std::min(y0 + 1, 19);
      const double wx = fx - x0;
      const double wy = fy - y0;
      for (int c = 0; c < 3; ++c) {
        const auto at = [&](int py, int px) { return static_cast<double>(picture.at<cv::Vec3b>(py, px)[c]); };
        const double want =
            (1 - wy) * ((1 - wx) * at(y0, x0) + wx * at(y0, x1)) + wy * ((1 - wx) * at(y1, x0) + wx * at(y1, x1));
        EXPECT_NEAR(tile.at<cv::Vec3b>(y, x)[c], want, 1.0);
      }
    }
  }
}

TEST(MakeTile, CropsTheMiddleAndNoMoreThanThereIs) {
  const cv::Mat picture = SomePicture(60, 41, 5);
  const cv::Mat tile = MakeTile(picture, {.side = 20, .crop = 20});
  EXPECT_EQ(cv::norm(tile, picture(cv::Rect(20, 10, 20, 20)), cv::NORM_INF), 0);
  const cv::Mat most = MakeTile(picture, {.side = 41, .crop = 400});
  EXPECT_EQ(cv::norm(most, picture(cv::Rect(9, 0, 41, 41)), cv::NORM_INF), 0);
}

}  // namespace
}  // namespace hemafed::learning
