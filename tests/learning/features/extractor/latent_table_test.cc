// SPDX-License-Identifier: Apache-2.0
#include "learning/features/extractor/latent_table.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "learning/features/extractor/latent_batches.h"
#include "tests/expect_error.h"
#include "tests/learning/data/picture_files.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

using testing_support::Png;
using testing_support::Write;

// Mean of each channel, and the number of pictures that it was asked for.
class MeanColour final : public LatentExtractor {
 public:
  explicit MeanColour(const std::string& name, std::uint32_t side = 20) : digest_(Sha256Of(name)), side_(side) {}
  [[nodiscard]] const Digest& digest() const override { return digest_; }
  [[nodiscard]] std::uint32_t side() const override { return side_; }
  [[nodiscard]] std::size_t width() const override { return 3; }
  [[nodiscard]] PictureLatent Latent(const cv::Mat& rgb) const override {
    ++asked;
    const cv::Scalar mean = cv::mean(rgb);
    return {.values = {static_cast<float>(mean[0]), static_cast<float>(mean[1]), static_cast<float>(mean[2])},
            .of = mean[0] > 128 ? LatentOf::kCell : LatentOf::kWholePicture};
  }
  mutable int asked = 0;

 private:
  Digest digest_;
  std::uint32_t side_;
};

class LatentTableTest : public testing::Test {
 protected:
  LatentTableTest() {
    for (std::uint64_t i = 0; i < 9; ++i) {
      Write(scratch_ / ("p/" + std::string(i % 2 == 0 ? "a/" : "b/") + std::to_string(i) + ".png"), Png(i));
    }
    Write(scratch_ / "labels.toml",
          "name=\"t\"\nunknown=\"error\"\ndropped=[]\n[[class]]\nname=\"a\"\nlabels=[\"a\"]\n[[class]]\nname=\"b\"\n"
          "labels=[\"b\"]\n");
    RealFileSystem().CreateFolders(scratch_ / "state");
  }
  [[nodiscard]] DomainPictures Open() {
    return {
        RealFileSystem(),
        {.name = "d", .folder = scratch_ / "p", .layout = PictureLayout::kFolders, .labels = scratch_ / "labels.toml"},
        scratch_ / "state",
        {"b", "a"},
        20,
        {}};
  }
  [[nodiscard]] LatentTable Table(const DomainPictures& pictures, const MeanColour& extractor,
                                  const ImportProgress& progress = {}) {
    return {RealFileSystem(), pictures, extractor, scratch_ / "state" / "d.latents", progress};
  }

  hemafed::testing_support::Scratch scratch_;
};

TEST_F(LatentTableTest, HoldsTheLatentOfEveryTile) {
  const DomainPictures pictures = Open();
  const MeanColour extractor("one");
  const LatentTable table = Table(pictures, extractor);
  EXPECT_EQ(extractor.asked, 9);
  std::size_t cells = 0;
  for (std::uint32_t i = 0; i < 9; ++i) {
    const auto want = MeanColour("one").Latent(pictures.Tile(i)).values;
    EXPECT_EQ(std::vector<float>(table.At(i).begin(), table.At(i).end()), want) << i;
    cells += MeanColour("one").Latent(pictures.Tile(i)).of == LatentOf::kCell ? 1 : 0;
  }
  EXPECT_EQ(table.Count(LatentOf::kCell), cells);
  EXPECT_EQ(table.Count(LatentOf::kWholePicture), 9 - cells);
  EXPECT_EQ(table.Count(LatentOf::kNothing), 0u);
}

TEST_F(LatentTableTest, IsComputedOnceAndAgainForAnotherExtractorOtherPicturesOrADamagedFile) {
  const MeanColour one("one"), two("two");
  const DomainPictures pictures = Open();
  (void)Table(pictures, one);
  const LatentTable kept = Table(pictures, one);
  EXPECT_EQ(one.asked, 9) << "the file was read";
  EXPECT_EQ(std::vector<float>(kept.At(4).begin(), kept.At(4).end()), one.Latent(pictures.Tile(4)).values);
  (void)Table(pictures, two);
  EXPECT_EQ(two.asked, 9);
  Write(scratch_ / "p/a/new.png", Png(77));
  const DomainPictures more = Open();
  (void)Table(more, two);
  EXPECT_EQ(two.asked, 19);
  const Path file = scratch_ / "state" / "d.latents";
  std::string bytes = ReadFile(RealFileSystem(), file, 1 << 20);
  WriteFileAtomically(RealFileSystem(), file, bytes.substr(0, bytes.size() - 1));
  (void)Table(more, two);
  EXPECT_EQ(two.asked, 29);
  bytes[bytes.size() - 3] = static_cast<char>(bytes[bytes.size() - 3] ^ 1);
  WriteFileAtomically(RealFileSystem(), file, bytes);
  (void)Table(more, two);
  EXPECT_EQ(two.asked, 39);
}

TEST_F(LatentTableTest, RefusesTilesOfAnotherSizeAndStopsWhenAsked) {
  const DomainPictures pictures = Open();
  EXPECT_ERROR(ErrorCode::kInvalidInput, "takes pictures of 24 x 24 px", (void)Table(pictures, MeanColour("one", 24)));
  const MeanColour extractor("one");
  const auto stop_at_three = [](std::uint64_t done, std::uint64_t total) {
    EXPECT_EQ(total, 9u);
    return done < 3;
  };
  EXPECT_ERROR(ErrorCode::kInterrupted, "latents of d", (void)Table(pictures, extractor, stop_at_three));
  EXPECT_EQ(extractor.asked, 3);
  const LatentTable resumed = Table(pictures, extractor);
  EXPECT_EQ(extractor.asked, 9) << "what was done is not done again";
  for (std::uint32_t i = 0; i < 9; ++i) {
    EXPECT_EQ(std::vector<float>(resumed.At(i).begin(), resumed.At(i).end()),
              extractor.Latent(pictures.Tile(i)).values);
  }
  EXPECT_FALSE(RealFileSystem().Exists(scratch_ / "state" / "d.latents.part"));
}

TEST_F(LatentTableTest, TakesFromAPartOnlyRowsThatAreWholeAndItsOwn) {
  const DomainPictures pictures = Open();
  const MeanColour extractor("one"), other("two");
  const Path part = scratch_ / "state" / "d.latents.part";
  const auto stop_at_five = [](std::uint64_t done, std::uint64_t) { return done < 5; };
  const auto stop_at_once = [](std::uint64_t, std::uint64_t) { return false; };
  EXPECT_ERROR(ErrorCode::kInterrupted, "latents of d", (void)Table(pictures, extractor, stop_at_five));
  std::string bytes = ReadFile(RealFileSystem(), part, 1 << 20);
  ASSERT_EQ(bytes.size(), 64u + 5 * (3 * 4 + 1 + 32));
  // The third row is damaged and the last one cut: two are good.
  bytes[64 + 2 * 45 + 1] = static_cast<char>(bytes[64 + 2 * 45 + 1] ^ 8);
  WriteFileAtomically(RealFileSystem(), part, bytes.substr(0, bytes.size() - 3));
  EXPECT_ERROR(ErrorCode::kInterrupted, "latents of d", (void)Table(pictures, extractor, stop_at_once));
  EXPECT_EQ(ReadFile(RealFileSystem(), part, 1 << 20), bytes.substr(0, 64 + 2 * 45));
  // Another extractor begins anew.
  EXPECT_ERROR(ErrorCode::kInterrupted, "latents of d", (void)Table(pictures, other, stop_at_once));
  EXPECT_EQ(ReadFile(RealFileSystem(), part, 1 << 20).size(), 64u);
}

TEST_F(LatentTableTest, BatchesAreLatentsOfOnePlaceUnderThePlansLabels) {
  const DomainPictures pictures = Open();
  const MeanColour extractor("one");
  const LatentTable table = Table(pictures, extractor);
  LatentBatches source(table, pictures, {1, 4, 7});
  ASSERT_EQ(source.Size(), 3u);
  const std::vector<std::uint32_t> indices = {2, 0, 2};
  const Batch batch = source.Get(indices, AugmentationKey{.seed = 1, .step = 2});
  EXPECT_EQ(batch.images.sizes(), (std::vector<std::int64_t>{3, 3, 1, 1}));
  for (std::size_t k = 0; k < indices.size(); ++k) {
    const std::uint32_t position = std::vector<std::uint32_t>{1, 4, 7}[indices[k]];
    const auto row = static_cast<std::int64_t>(k);
    EXPECT_EQ(batch.labels[row].item<std::int64_t>(), pictures.Label(position));
    EXPECT_EQ(source.Label(indices[k]), pictures.Label(position));
    EXPECT_EQ(source.PictureDigest(indices[k]), pictures.index().pictures[position].digest);
    for (std::int64_t c = 0; c < 3; ++c) {
      EXPECT_EQ(batch.images[row][c][0][0].item<float>(), table.At(position)[static_cast<std::size_t>(c)]);
    }
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "must ascend", LatentBatches(table, pictures, {3, 3}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "must ascend", LatentBatches(table, pictures, {9}));
}

}  // namespace
}  // namespace hemafed::learning
