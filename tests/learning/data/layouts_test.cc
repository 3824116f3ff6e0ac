// SPDX-License-Identifier: Apache-2.0
//
// The published sets as their files lie on disk, as generated trees: true folder and file names, small pictures, counts
// divided by a hundred (rounded up). What the layouts are is told in docs/pictures.md.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <opencv2/imgproc.hpp>
#include <string>
#include <vector>

#include "learning/data/import.h"
#include "learning/data/tile_cache.h"
#include "tests/expect_error.h"
#include "tests/learning/data/picture_files.h"
#include "tests/learning/data/published_layouts.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

using hemafed::testing_support::Scratch;
using testing_support::Encode;
using testing_support::Int20;
using testing_support::kAcevedo;
using testing_support::kMatek;
using testing_support::kMll23;
using testing_support::Published;
using testing_support::SomePicture;
using testing_support::Write;

const Path kConfigs = Path(HEMAFED_SOURCE_DIR) / "configs";

LabelMap Labels(const std::string& name) {
  return LabelMap::Load(RealFileSystem(), kConfigs / "labels" / (name + ".toml"));
}

std::uint64_t FilesOf(const std::vector<Published>& classes, bool only_kept) {
  std::uint64_t files = 0;
  for (const Published& one : classes) files += only_kept && *one.common == '\0' ? 0 : one.files;
  return files;
}

// What a map makes of the full published counts, by our class name; dropped ones under "".
std::map<std::string, std::uint64_t> MappedCounts(const std::vector<Published>& classes, const LabelMap& labels) {
  std::map<std::string, std::uint64_t> counts;
  for (const Published& one : classes) {
    const LabelMeaning meaning = labels.Find(labels.label_rule() == LabelRule::kFilePrefix ? one.prefix : one.folder);
    EXPECT_NE(meaning.verdict, LabelVerdict::kUnknown) << one.prefix;
    counts[meaning.verdict == LabelVerdict::kClass ? labels.classes()[meaning.class_index] : ""] += one.files;
  }
  return counts;
}

TEST(PublishedLabelMaps, KeepThePublishedNumbersOfPictures) {
  const auto kept = [](const std::vector<Published>& classes, const char* name) {
    std::map<std::string, std::uint64_t> want;
    for (const Published& one : classes) want[one.common] += one.files;
    const LabelMap labels = Labels(name);
    const auto got = MappedCounts(classes, labels);
    EXPECT_EQ(got, want) << name;
    // The classes that the generic map makes of the same labels.
    EXPECT_EQ(labels.classes(), Labels("common_wbc").classes()) << name;
    std::uint64_t sum = 0;
    for (const auto& [common, files] : got) sum += common.empty() ? 0 : files;
    return sum;
  };
  EXPECT_EQ(FilesOf(kMatek, false), 18'365u);
  EXPECT_EQ(FilesOf(kMll23, false), 41'621u);
  EXPECT_EQ(FilesOf(kAcevedo, false), 17'092u);
  EXPECT_EQ(kept(kMatek, "matek19"), 18'347u);
  EXPECT_EQ(kept(kMll23, "mll23"), 32'816u);
  EXPECT_EQ(kept(Int20(), "int20"), 32'816u);
  EXPECT_EQ(kept(kAcevedo, "acevedo20"), 14'543u) << "UACL's Table 1";
}

TEST(PublishedLabelMaps, OfUaclLeaveTheMatekPicturesOfItsTableOne) {
  const auto counts = MappedCounts(kMatek, Labels("matek19_uacl"));
  std::uint64_t kept = 0;
  for (const auto& [common, files] : counts) kept += common.empty() ? 0 : files;
  EXPECT_EQ(kept, 15'053u);
  EXPECT_FALSE(counts.contains("myeloblast"));
  EXPECT_EQ(counts.at("monocyte"), 1789u) << "no monoblasts";
}

TEST(PublishedLabelMaps, ComeInBothClassOrders) {
  const auto uacl = LoadClassOrder(RealFileSystem(), kConfigs / "class_orders/uacl.toml");
  const auto ae_cfe = LoadClassOrder(RealFileSystem(), kConfigs / "class_orders/ae_cfe.toml");
  EXPECT_EQ(uacl.size(), 13u);
  EXPECT_EQ(ae_cfe[3], "myeloblast");
  for (const char* name : {"matek19", "matek19_uacl", "int20", "mll23", "acevedo20", "common_wbc"}) {
    const LabelMap labels = Labels(name);
    EXPECT_EQ(labels.classes(), uacl) << name;
    const LabelMap ordered = labels.InOrder(ae_cfe);
    EXPECT_EQ(ordered.classes(), ae_cfe) << name;
    for (const std::string& common : uacl) {
      EXPECT_EQ(ae_cfe[ordered.Find(common).class_index], common) << name;
    }
    EXPECT_EQ(ordered.Find("none").verdict, LabelVerdict::kDropped) << name;
    EXPECT_EQ(ordered.label_rule(), labels.label_rule()) << name;
  }
  // Acevedo-20's ten classes are 0 to 9 in UACL's order.
  for (const Published& one : kAcevedo) {
    if (*one.common != '\0') {
      EXPECT_LT(Labels("acevedo20").Find(one.prefix).class_index, 10u) << one.prefix;
    }
  }
}

// Every hundredth picture of a set, rounded up, at the size `width` x `height`; returns how many of each class.
class Tree {
 public:
  Tree(std::string extension, int width, int height)
      : extension_(std::move(extension)), width_(width), height_(height) {}

  [[nodiscard]] const Path& path() const { return scratch_.path(); }
  void Add(const std::string& file) { Write(scratch_ / file, Picture()); }
  void AddText(const std::string& file, const std::string& text) { Write(scratch_ / file, text); }
  [[nodiscard]] std::string Picture(int wider = 0) {
    cv::Mat picture = SomePicture(width_ + wider, height_, ++made_);
    if (extension_ == ".tiff") cv::cvtColor(picture, picture, cv::COLOR_BGR2BGRA);
    const std::string type = extension_ == ".TIF" ? ".tif" : extension_;
    return Encode(type, picture,
                  type == ".jpg" ? std::vector<int>{} : std::vector<int>{cv::IMWRITE_TIFF_COMPRESSION, 1});
  }
  // <folder>/<prefix>_0001<extension>, ...; `folder_suffix` doubles folders where wanted.
  void AddSet(const std::vector<Published>& classes, bool doubled = false) {
    for (const Published& one : classes) {
      const std::string folder = doubled ? std::string(one.folder) + "/" + one.folder : one.folder;
      for (std::uint64_t i = 1; i <= Scaled(one.files); ++i) {
        std::string number = std::to_string(i);
        number.insert(0, 4 - number.size(), '0');
        Add(std::string(folder).append("/").append(one.prefix).append("_").append(number).append(extension_));
      }
    }
  }
  [[nodiscard]] static std::uint64_t Scaled(std::uint64_t files) { return (files + 99) / 100; }
  [[nodiscard]] static std::map<std::string, std::uint64_t> Want(const std::vector<Published>& classes) {
    std::map<std::string, std::uint64_t> want;
    for (const Published& one : classes) want[one.common] += Scaled(one.files);
    return want;
  }

 private:
  Scratch scratch_;
  std::string extension_;
  int width_;
  int height_;
  std::uint64_t made_ = 0;
};

// Pictures by class name, dropped ones under "".
std::map<std::string, std::uint64_t> Got(const Import& import) {
  std::map<std::string, std::uint64_t> counts;
  for (const PictureEntry& picture : import.index.pictures) ++counts[import.index.classes[picture.class_index]];
  counts[""] = import.report.Skipped(SkipReason::kDroppedLabel);
  return counts;
}

TEST(MatekLayout, IsReadWithItsAnnotationsItsMirrorsNamesAndAMisnamedFolder) {
  Tree tree(".tiff", 24, 24);
  tree.AddSet(kMatek);
  // One mirror adds the time to the name; another keeps monoblasts in a folder PMY; one ships PNG bytes as .tiff.
  tree.Add("BAS/BAS_0002 (2021_05_21 20_42_39 UTC).tiff");
  tree.Add("PMY/MOB_0002.tiff");
  tree.AddText("EOS/EOS_0099.tiff", testing_support::Png(12'345, 24, 24));
  tree.AddText("annotations.dat", "BAS/BAS_0001.tiff BAS nan nan\n");
  tree.AddText("BAS/.DS_Store", "x");
  tree.AddText("BAS/BAS_0003_aug1.tiff", tree.Picture());
  const Import got = ImportTree(RealFileSystem(), tree.path(), "matek19", Labels("matek19"));
  auto want = Tree::Want(kMatek);
  want["basophil"] += 1;
  want["monocyte"] += 1;
  want["eosinophil"] += 1;
  EXPECT_EQ(Got(got), want);
  EXPECT_EQ(got.report.Skipped(SkipReason::kNoClass), 1u) << "annotations.dat";
  EXPECT_EQ(got.report.Skipped(SkipReason::kHidden), 1u);
  EXPECT_EQ(got.report.Skipped(SkipReason::kLeftOut), 1u);
  EXPECT_EQ(got.report.SkippedInAll(), 3u + want[""]);
  EXPECT_EQ(got.report.Misplaced(), 1u);
  EXPECT_NE(got.report.ToText().find("PMY/MOB_0002.tiff (in 'PMY', named MOB)"), std::string::npos)
      << got.report.ToText();
  EXPECT_EQ(got.report.ToJson()["misplaced"], 1);
  EXPECT_EQ(got.index.pictures.front().width, 24u);
}

TEST(Mll23Layout, IsReadWithUpperCaseExtensionsAndDoubledFolders) {
  for (const bool doubled : {false, true}) {
    Tree tree(".TIF", 20, 20);
    tree.AddSet(kMll23, doubled);
    tree.AddText("basophil.zip", "PK");
    const Import got = ImportTree(RealFileSystem(), tree.path(), "mll23", Labels("mll23"));
    EXPECT_EQ(Got(got), Tree::Want(kMll23));
    EXPECT_EQ(got.report.Misplaced(), 0u);
    EXPECT_EQ(got.report.Skipped(SkipReason::kNoClass), 1u);
  }
}

TEST(Int20Layout, IsReadByItsGermanFolders) {
  Tree tree(".TIF", 20, 20);
  tree.AddSet(Int20());
  tree.Add("05-MONO/20190101_1272-1272.TIF");
  const Import got = ImportTree(RealFileSystem(), tree.path(), "int20", Labels("int20"));
  auto want = Tree::Want(kMll23);
  want["monocyte"] += 1;
  EXPECT_EQ(Got(got), want);
}

TEST(AcevedoLayout, IsReadByThePrefixWithHiddenFilesDuplicatesAndASecondSizeInTheReport) {
  Tree tree(".jpg", 24, 26);
  tree.AddSet(kAcevedo);
  tree.AddText("ig/.jpg", "x");
  tree.AddText("neutrophil/._SNE_1.jpg", "x");
  const std::string twin = tree.Picture();
  tree.AddText("basophil/BA_900001.jpg", twin);
  tree.AddText("basophil/BA_900002.jpg", twin);
  for (int i = 0; i < 3; ++i) tree.AddText("monocyte/MO_90000" + std::to_string(i) + ".jpg", tree.Picture(4));
  const Import got = ImportTree(RealFileSystem(), tree.path(), "acevedo20", Labels("acevedo20"));
  auto want = Tree::Want(kAcevedo);
  want["basophil"] += 1;
  want["monocyte"] += 3;
  EXPECT_EQ(Got(got), want);
  EXPECT_EQ(got.report.Skipped(SkipReason::kHidden), 2u);
  EXPECT_EQ(got.report.Skipped(SkipReason::kDuplicate), 1u);
  EXPECT_EQ(got.report.Misplaced(), 0u) << "ig holds four prefixes";
  ASSERT_EQ(got.report.sizes().size(), 2u);
  EXPECT_EQ(got.report.sizes().at({28, 26}), 3u);
  EXPECT_NE(got.report.ToText().find("28x26 (3)"), std::string::npos) << got.report.ToText();
  EXPECT_NE(got.report.ToText().find("without any picture: myeloblast, lymphocyte_atypical, smudge_cell"),
            std::string::npos)
      << got.report.ToText();
}

TEST(Layouts, EndTheImportWhereTheMapMissesAFolder) {
  Tree tree(".TIF", 20, 20);
  tree.AddSet(kMll23);
  tree.Add("megakaryocyte/megakaryocyte_0001.TIF");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'megakaryocyte' (1 files)",
               (void)ImportTree(RealFileSystem(), tree.path(), "mll23", Labels("mll23")));
}

// 25 um are 345, 288 and 250 pixels: after an equal-physical-size crop, the same thing on the slide covers the same
// part of the tile, whatever the microscope. Without it, a tile shows what the whole picture shows.
TEST(EqualScaleCrop, ShowsTheSameMicrometresFromEveryMicroscope) {
  struct Microscope {
    int width, height;
    double pixels_per_um;
    std::uint32_t crop;
  };
  const auto disc_share = [](const Microscope& scope, std::uint32_t crop) {
    cv::Mat picture(scope.height, scope.width, CV_8UC3, cv::Scalar(0, 0, 0));
    const cv::Point middle(scope.width / 2, scope.height / 2);
    cv::circle(picture, middle, static_cast<int>(std::lround(6.0 * scope.pixels_per_um)), cv::Scalar(255, 255, 255),
               cv::FILLED);  // A cell of 12 um.
    return cv::mean(MakeTile(picture, {.side = 128, .crop = crop}))[0] / 255.0;
  };
  const double want = 3.14159265 * 6.0 * 6.0 / (25.0 * 25.0);
  for (const Microscope& scope :
       {Microscope{400, 400, 13.8, 345}, Microscope{288, 288, 11.52, 288}, Microscope{360, 363, 10.0, 250}}) {
    EXPECT_NEAR(disc_share(scope, scope.crop), want, 0.02 * want) << scope.crop;
    EXPECT_EQ(std::lround(25.0 * scope.pixels_per_um), static_cast<long>(scope.crop));
  }
  EXPECT_LT(disc_share({360, 363, 10.0, 250}, 0), 0.6 * want) << "the whole Barcelona picture shows 36 um";
}

}  // namespace
}  // namespace hemafed::learning
