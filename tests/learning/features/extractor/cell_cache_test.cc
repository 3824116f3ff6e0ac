// SPDX-License-Identifier: Apache-2.0
#include "learning/features/extractor/cell_cache.h"

#include <gtest/gtest.h>

#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "learning/features/autoencoder/cell_autoencoder.h"
#include "learning/features/cells/cell_crop.h"
#include "tests/expect_error.h"
#include "tests/learning/data/picture_files.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

using testing_support::Png;
using testing_support::Write;

constexpr auto kValues = static_cast<std::size_t>(kCellFeatureValues);
constexpr std::uint32_t kSide = 20;
constexpr int kPictures = 12;

// Features from the mean of the red channel. Every third picture, by that mean, has no cell, or one without features.
class RedDescriber final : public CellDescriber {
 public:
  explicit RedDescriber(const std::string& name = "red") : digest_(Sha256Of(name)) {}
  [[nodiscard]] const Digest& digest() const override { return digest_; }
  [[nodiscard]] std::uint32_t side() const override { return kSide; }
  [[nodiscard]] std::optional<DescribedCell> BestCell(const cv::Mat& rgb) const override {
    ++asked;
    const int red = RedOf(rgb);
    if (red % 3 == 0) return std::nullopt;
    if (red % 3 == 1) return DescribedCell{std::vector<float>(kValues, 1.0f), {2, 3, 8, 9}};
    return DescribedCell{Features(rgb), {2, 3, 8, 9}};
  }
  [[nodiscard]] std::vector<float> WholePicture(const cv::Mat& rgb) const override {
    if (RedOf(rgb) % 2 == 0) return std::vector<float>(kValues, 0.0f);
    return Features(rgb);
  }
  static int RedOf(const cv::Mat& rgb) { return static_cast<int>(cv::sum(rgb)[0]); }
  static std::vector<float> Features(const cv::Mat& rgb) {
    std::vector<float> features(kValues);
    for (std::size_t i = 0; i < kValues; ++i)
      features[i] = static_cast<float>((RedOf(rgb) + static_cast<int>(i)) % 512);
    return features;
  }
  // What the class's comment says, so that the test does not repeat the code under test.
  static CellOutcome Expected(const cv::Mat& rgb, bool take_whole) {
    const int red = RedOf(rgb);
    if (red % 3 == 2) return CellOutcome::kCell;
    if (!take_whole) return red % 3 == 0 ? CellOutcome::kNoCell : CellOutcome::kUnusable;
    return red % 2 == 0 ? CellOutcome::kUnusable : CellOutcome::kWhole;
  }
  mutable int asked = 0;

 private:
  Digest digest_;
};

class CellCacheTest : public testing::Test {
 protected:
  CellCacheTest() {
    for (std::uint64_t i = 0; i < kPictures; ++i)
      Write(scratch_ / ("p/" + std::string(i % 2 == 0 ? "a/" : "b/") + std::to_string(i) + ".png"), Png(i));
    Write(scratch_ / "labels.toml",
          "name=\"t\"\nunknown=\"error\"\ndropped=[]\n[[class]]\nname=\"a\"\nlabels=[\"a\"]\n[[class]]\nname=\"b\"\n"
          "labels=[\"b\"]\n");
    RealFileSystem().CreateFolders(scratch_ / "state");
  }
  [[nodiscard]] DomainPictures Open(std::uint32_t crop = 0) {
    return {RealFileSystem(),
            {.name = "d",
             .folder = scratch_ / "p",
             .layout = PictureLayout::kFolders,
             .labels = scratch_ / "labels.toml",
             .crop = crop},
            scratch_ / "state",
            {"b", "a"},
            kSide,
            {}};
  }
  [[nodiscard]] static std::vector<DomainCells> All(const DomainPictures& pictures) {
    DomainCells first{.pictures = &pictures, .positions = {}, .domain = 4};
    DomainCells second{.pictures = &pictures, .positions = {}, .domain = 7};
    for (std::uint32_t i = 0; i < kPictures; ++i) (i < 5 ? first : second).positions.push_back(i);
    return {first, second};
  }
  [[nodiscard]] CellCache Cache(const DomainPictures& pictures, const CellDescriber& describer,
                                const CellCacheSettings& settings = {}, const ImportProgress& progress = {}) {
    return OpenCellCache(RealFileSystem(), File(), describer, All(pictures), settings, progress);
  }
  [[nodiscard]] Path File() const { return scratch_ / "state" / "cells.hfc"; }
  [[nodiscard]] std::string Content() const { return ReadFile(RealFileSystem(), File(), 1u << 30); }

  hemafed::testing_support::Scratch scratch_;
};

TEST_F(CellCacheTest, HoldsOneRecordOfEachPictureThatHasAUsableCell) {
  const DomainPictures pictures = Open();
  for (const bool take_whole : {false, true}) {
    const RedDescriber describer;
    const CellCache cache = Cache(pictures, describer, {.take_whole = take_whole});
    EXPECT_EQ(describer.asked, kPictures);
    ASSERT_EQ(cache.outcomes.size(), static_cast<std::size_t>(kPictures));
    const auto records = cache.Records();
    std::uint32_t records_so_far = 0;
    for (std::uint32_t i = 0; i < kPictures; ++i) {
      const cv::Mat tile = pictures.Tile(i);
      EXPECT_EQ(cache.outcomes[i], RedDescriber::Expected(tile, take_whole)) << i;
      const bool has = cache.outcomes[i] == CellOutcome::kCell || cache.outcomes[i] == CellOutcome::kWhole;
      ASSERT_EQ(records[i].has_value(), has) << i;
      if (!has) continue;
      ASSERT_EQ(*records[i], records_so_far++);
      EXPECT_EQ(cache.cells.Label(*records[i]).picture, pictures.index().pictures[i].digest);
      EXPECT_EQ(cache.cells.Label(*records[i]).domain, i < 5 ? 4 : 7);
      EXPECT_EQ(cache.cells.Label(*records[i]).cell_class, pictures.Label(i));
      std::vector<float> features(kValues);
      Bytes picture(static_cast<std::size_t>(kCellPictureBytes));
      cache.cells.Read(*records[i], features, picture);
      EXPECT_EQ(features, RedDescriber::Features(tile)) << "whole numbers below 2048 survive float16";
      const cv::Rect2f box =
          cache.outcomes[i] == CellOutcome::kCell ? cv::Rect2f(2, 3, 8, 9) : cv::Rect2f(0, 0, kSide, kSide);
      const cv::Mat want = CropCell(tile, box);
      EXPECT_TRUE(std::equal(picture.begin(), picture.end(), want.data)) << i;
    }
    EXPECT_EQ(cache.cells.size(), records_so_far);
    EXPECT_GT(records_so_far, 0u);
    EXPECT_LT(cache.Count(CellOutcome::kCell), static_cast<std::uint64_t>(kPictures));
  }
}

TEST_F(CellCacheTest, TheTargetMayBeTheWholePicture) {
  const DomainPictures pictures = Open();
  const CellCache cache = Cache(pictures, RedDescriber(), {.crop_to_box = false});
  const auto records = cache.Records();
  for (std::uint32_t i = 0; i < kPictures; ++i) {
    if (!records[i]) continue;
    std::vector<float> features(kValues);
    Bytes picture(static_cast<std::size_t>(kCellPictureBytes));
    cache.cells.Read(*records[i], features, picture);
    EXPECT_TRUE(std::equal(picture.begin(), picture.end(), CropCell(pictures.Tile(i), {0, 0, kSide, kSide}).data));
  }
}

TEST_F(CellCacheTest, IsMadeOnceAndAgainForAnotherDescriberSettingOrADamagedFile) {
  const DomainPictures pictures = Open();
  const RedDescriber red, other("other");
  (void)Cache(pictures, red);
  const std::string content = Content();
  (void)Cache(pictures, red);
  EXPECT_EQ(red.asked, kPictures);
  (void)Cache(pictures, other);
  EXPECT_EQ(other.asked, kPictures);
  (void)Cache(pictures, other, {.take_whole = true});
  EXPECT_EQ(other.asked, 2 * kPictures);
  (void)Cache(pictures, red);
  EXPECT_EQ(red.asked, 2 * kPictures);
  EXPECT_EQ(Content(), content) << "the same bytes whenever it is made";
  (void)Cache(Open(10), other);
  EXPECT_EQ(other.asked, 3 * kPictures) << "other parts of the same pictures";
  (void)Cache(pictures, red);
  std::string damaged = content;
  damaged[damaged.size() - 60] ^= 1;  // In the index.
  WriteFileAtomically(RealFileSystem(), File(), damaged);
  (void)Cache(pictures, red);
  EXPECT_GT(red.asked, 3 * kPictures);
  EXPECT_EQ(Content(), content);
}

TEST_F(CellCacheTest, GoesOnWhereItWasStopped) {
  const DomainPictures pictures = Open();
  (void)Cache(pictures, RedDescriber());
  const std::string content = Content();
  for (std::uint64_t stop = 0; stop <= kPictures; ++stop) {
    RealFileSystem().Remove(File());
    RealFileSystem().Remove(File().string() + ".pictures");
    const RedDescriber describer;
    const auto stop_there = [&](std::uint64_t done, std::uint64_t) { return done < stop; };
    if (stop < kPictures) {
      EXPECT_ERROR(ErrorCode::kInterrupted, "goes on from there", (void)Cache(pictures, describer, {}, stop_there));
      EXPECT_FALSE(RealFileSystem().Exists(File()));
    }
    (void)Cache(pictures, describer);
    EXPECT_EQ(describer.asked, kPictures) << "no picture twice, stopped after " << stop;
    EXPECT_EQ(Content(), content);
  }
}

TEST_F(CellCacheTest, GoesOnBehindTheLastWholeRecord) {
  const DomainPictures pictures = Open();
  (void)Cache(pictures, RedDescriber());
  const std::string content = Content();
  const std::string list = ReadFile(RealFileSystem(), File().string() + ".pictures", 1u << 20);
  // Pictures from each of the first two records on.
  const auto records = Cache(pictures, RedDescriber()).Records();
  std::vector<int> left;
  for (int i = 0; i < kPictures && left.size() < 2; ++i)
    if (records[static_cast<std::size_t>(i)]) left.push_back(kPictures - i);
  ASSERT_EQ(left.size(), 2u);
  const std::size_t record = kValues * 2 + static_cast<std::size_t>(kCellPictureBytes);
  ASSERT_GE(content.size(), 16 + 2 * record) << "the test needs two records";
  const auto resume = [&](const std::string& written, const std::string& pictures_list) {
    RealFileSystem().Remove(File());
    WriteFileAtomically(RealFileSystem(), File().string() + ".tmp", written);
    WriteFileAtomically(RealFileSystem(), File().string() + ".pictures", pictures_list);
    const RedDescriber describer;
    (void)Cache(pictures, describer);
    EXPECT_EQ(Content(), content);
    return describer.asked;
  };
  EXPECT_EQ(resume(content, list), 0) << "everything but the renaming had been done";
  EXPECT_EQ(resume(content.substr(0, 16 + record + record / 2), list), left[1]) << "half a record";
  std::string damaged = content;
  damaged[16 + record + 3] ^= 1;
  EXPECT_EQ(resume(damaged, list), left[1]) << "the second record is not what was written";
  EXPECT_EQ(resume("", list), left[0]) << "no record is left";
  EXPECT_EQ(resume("", ""), kPictures);
  EXPECT_EQ(resume(content, list.substr(0, 64 + 33 * 3 + 5)), kPictures - 3) << "three rows and a bit";
}

}  // namespace
}  // namespace hemafed::learning
