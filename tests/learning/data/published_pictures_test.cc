// SPDX-License-Identifier: Apache-2.0
//
// Imports of the small multi-hospital picture set that may lie beside the repository (../shared/data, or the folder in
// HEMAFED_PICTURES). Its README states the counts that are expected here.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "learning/data/import.h"
#include "learning/data/tile_cache.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

Path Pictures() {
  const char* folder = std::getenv("HEMAFED_PICTURES");
  return folder != nullptr ? Path(folder) : Path(HEMAFED_SOURCE_DIR) / "../shared/data";
}

LabelMap Labels(const std::string& name) {
  return LabelMap::Load(RealFileSystem(), Path(HEMAFED_SOURCE_DIR) / "configs/labels" / (name + ".toml"));
}

struct Domain {
  const char* name;
  const char* label_map;
  std::vector<std::uint64_t> train;
  std::vector<std::uint64_t> test;
  std::uint64_t dropped;
  std::uint64_t duplicates = 0;  // The README counts files; an import keeps one of two identical ones.
};

class PublishedDomain : public testing::TestWithParam<Domain> {
 protected:
  void SetUp() override {
    if (!RealFileSystem().Exists(Pictures() / GetParam().name / "manifest.csv")) {
      GTEST_SKIP() << "no pictures in " << Pictures() << "; set HEMAFED_PICTURES to the folder that holds them";
    }
  }
};

TEST_P(PublishedDomain, HasTheCountsOfItsReadme) {
  const Domain& domain = GetParam();
  const Import got = ImportManifest(RealFileSystem(), Pictures() / domain.name, domain.name, Labels(domain.label_map));
  EXPECT_EQ(got.index.CountsPerClass(Split::kTrain), domain.train);
  EXPECT_EQ(got.index.CountsPerClass(Split::kTest), domain.test);
  EXPECT_EQ(got.report.Skipped(SkipReason::kDroppedLabel), domain.dropped);
  EXPECT_EQ(got.report.Skipped(SkipReason::kDuplicate), domain.duplicates);
  EXPECT_EQ(got.report.SkippedInAll(), domain.dropped + domain.duplicates) << got.report.ToText();
  // Pictures of one group are in one split, as the README says.
  std::map<std::string, Split> side;
  for (const PictureEntry& picture : got.index.pictures) {
    ASSERT_FALSE(picture.group.empty()) << picture.file;
    EXPECT_EQ(side.emplace(picture.group, picture.split).first->second, picture.split) << picture.file;
  }
  EXPECT_EQ(ParseIndex(FormatIndex(got.index), "again"), got.index);
}

// basophil, eosinophil, lymphocyte_typical, monocyte, neutrophil
INSTANTIATE_TEST_SUITE_P(
    Readme, PublishedDomain,
    testing::Values(Domain{"raabin", "five_wbc", {56, 57, 56, 56, 56}, {19, 18, 19, 19, 19}, 0},
                    Domain{"acevedo20_c128", "five_wbc", {113, 113, 113, 113, 226}, {37, 37, 37, 37, 74}, 600},
                    Domain{"bccd", "five_wbc", {2, 52, 21, 12, 127}, {0, 18, 7, 4, 42}, 0},
                    Domain{"jtsc", "five_wbc", {1, 14, 31, 28, 106}, {0, 4, 10, 10, 35}, 0, 1},
                    Domain{"cellavision", "five_wbc", {2, 8, 22, 9, 20}, {1, 2, 8, 3, 6}, 0},
                    Domain{"matek19",
                           "common_wbc",
                           {10, 10, 11, 8, 7, 11, 11, 10, 20, 12, 9, 6, 10},
                           {4, 4, 3, 2, 2, 4, 4, 2, 7, 4, 3, 1, 2},
                           8},
                    Domain{"acevedo20",
                           "common_wbc",
                           {38, 38, 38, 38, 38, 38, 38, 38, 38, 38, 0, 0, 0},
                           {12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 0, 0, 0},
                           0}),
    [](const auto& row) { return row.param.name; });

class PublishedFiles : public testing::Test {
 protected:
  void SetUp() override {
    if (!RealFileSystem().Exists(Pictures() / "README.md")) {
      GTEST_SKIP() << "no pictures in " << Pictures() << "; set HEMAFED_PICTURES to the folder that holds them";
    }
  }
};

TEST_F(PublishedFiles, OfMunichAreReadAsTheyWerePublished) {
  // Three uncompressed RGBA TIFFs of 400 x 400 pixels in folders named by their class code.
  const Import got =
      ImportTree(RealFileSystem(), Pictures() / "matek19/original_tiff_samples", "matek19", Labels("common_wbc"));
  ASSERT_EQ(got.index.pictures.size(), 3u);
  for (const PictureEntry& picture : got.index.pictures) {
    EXPECT_EQ(picture.width, 400u);
    EXPECT_EQ(picture.height, 400u);
  }
}

TEST_F(PublishedFiles, OfBarcelonaAreToldApartByTheirPrefix) {
  const TreeSettings by_prefix{.label_rule = LabelRule::kFilePrefix, .test_percent = 20, .split_seed = 0};
  // manifest.csv and its companions lie there too; their names carry no prefix.
  const Import got =
      ImportTree(RealFileSystem(), Pictures() / "acevedo20", "acevedo20", Labels("common_wbc"), by_prefix);
  EXPECT_EQ(got.index.pictures.size(), 500u);
  EXPECT_EQ(got.index.Positions(Split::kTest).size(), 100u);
  EXPECT_EQ(got.report.Skipped(SkipReason::kNoClass), 3u);
}

TEST_F(PublishedFiles, OfBothSetsFollowTheirOwnLabelMapsAsTrees) {
  const Import barcelona = ImportTree(RealFileSystem(), Pictures() / "acevedo20", "acevedo20", Labels("acevedo20"));
  EXPECT_EQ(barcelona.index.pictures.size(), 500u);
  EXPECT_EQ(barcelona.report.Misplaced(), 0u);
  ASSERT_EQ(barcelona.report.sizes().size(), 1u) << "its second look was left out of this folder";
  EXPECT_EQ(barcelona.report.sizes().begin()->first, (std::pair{360u, 363u}));
  // 185 JPEGs and three TIFFs; 76 of them, which another repository distorted, carry "_aug" in their names.
  const Import munich = ImportTree(RealFileSystem(), Pictures() / "matek19", "matek19", Labels("matek19"));
  EXPECT_EQ(munich.report.Skipped(SkipReason::kLeftOut), 76u);
  EXPECT_EQ(munich.index.pictures.size() + munich.report.Skipped(SkipReason::kDroppedLabel) +
                munich.report.Skipped(SkipReason::kDuplicate),
            112u);
  EXPECT_EQ(munich.report.Misplaced(), 0u);
  EXPECT_EQ(munich.report.Skipped(SkipReason::kNoClass), 2u) << "manifest.csv, sources.csv";
}

TEST_F(PublishedFiles, BecomeTiles) {
  const hemafed::testing_support::Scratch scratch;
  const Import got = ImportManifest(RealFileSystem(), Pictures() / "bccd", "bccd", Labels("five_wbc"));
  const TileCache cache =
      TileCache::OpenOrBuild(RealFileSystem(), Pictures() / "bccd", got.index, {.side = 128}, scratch / "cache");
  EXPECT_EQ(cache.size(), 285u);
  const TileCache again =
      TileCache::OpenOrBuild(RealFileSystem(), Pictures() / "bccd", got.index, {.side = 128}, scratch / "cache");
  EXPECT_TRUE(again.was_ready());
}

}  // namespace
}  // namespace hemafed::learning
