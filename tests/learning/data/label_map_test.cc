// SPDX-License-Identifier: Apache-2.0
#include "learning/data/label_map.h"

#include <gtest/gtest.h>

#include <set>

#include "learning/data/path_rules.h"
#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

constexpr char kMap[] = R"(name = "two"
unknown = "error"
dropped = ["none"]
[[class]]
name = "neutrophil"
labels = ["neutrophil_banded", "neutrophil_segmented"]
[[class]]
name = "basophil"
labels = ["BAS"]
)";

TEST(LabelMap, KeepsTheOrderOfClassesAndTellsDroppedFromUnknown) {
  const LabelMap map = LabelMap::Parse(kMap, "two.toml");
  EXPECT_EQ(map.classes(), (std::vector<std::string>{"neutrophil", "basophil"}));
  EXPECT_EQ(map.Find("neutrophil_segmented").verdict, LabelVerdict::kClass);
  EXPECT_EQ(map.Find("neutrophil_segmented").class_index, 0u);
  EXPECT_EQ(map.Find("BAS").class_index, 1u);
  EXPECT_EQ(map.Find("none").verdict, LabelVerdict::kDropped);
  EXPECT_EQ(map.Find("bas").verdict, LabelVerdict::kUnknown);
  EXPECT_EQ(map.Find("neutrophil").verdict, LabelVerdict::kUnknown) << "a class is a label only where it is listed";
  EXPECT_TRUE(map.unknown_is_error());
}

TEST(LabelMap, RefusesWhatIsAmbiguousOrMisspelt) {
  const auto with = [](const std::string& from, const std::string& to) {
    std::string text = kMap;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "stands twice", (void)LabelMap::Parse(with("\"BAS\"", "\"none\""), "m"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "repeats the class",
               (void)LabelMap::Parse(with("name = \"basophil\"", "name = \"neutrophil\""), "m"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "unknown", (void)LabelMap::Parse(with("\"error\"", "\"ignore\""), "m"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'dropped' is missing", (void)LabelMap::Parse(with("dropped", "droped"), "m"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "colour",
               (void)LabelMap::Parse(with("unknown =", "colour = 1\nunknown ="), "m"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "labels", (void)LabelMap::Parse(with("[\"BAS\"]", "[]"), "m"));
}

TEST(LabelMap, SaysHowTheFilesOfItsSetLie) {
  const LabelMap plain = LabelMap::Parse(kMap, "two.toml");
  EXPECT_EQ(plain.label_rule(), LabelRule::kFolder);
  EXPECT_FALSE(plain.LeavesOut("BAS_aug.png"));
  EXPECT_FALSE(plain.IsMisplaced("PMY", "BAS")) << "a map without folders compares nothing";
  const LabelMap map = LabelMap::Parse(R"(class_from = "prefix"
leave_out = ["_aug", ".tmp."]
folder = [{name = "BAS", holds = ["BAS"]}, {name = "n", holds = ["neutrophil_banded", "none"]}]
)" + std::string(kMap),
                                       "two.toml");
  EXPECT_EQ(map.label_rule(), LabelRule::kFilePrefix);
  EXPECT_TRUE(map.LeavesOut("BAS_0001_aug3.jpg"));
  EXPECT_TRUE(map.LeavesOut("a.tmp.png"));
  EXPECT_FALSE(map.LeavesOut("BAS_0001.jpg"));
  EXPECT_FALSE(map.IsMisplaced("BAS", "BAS"));
  EXPECT_FALSE(map.IsMisplaced("n", "none"));
  EXPECT_TRUE(map.IsMisplaced("n", "BAS"));
  EXPECT_TRUE(map.IsMisplaced("elsewhere", "BAS"));
}

TEST(LabelMap, RefusesLayoutsThatMakeNoSense) {
  const auto with = [](const std::string& lines) { (void)LabelMap::Parse(lines + kMap, "m"); };
  const std::string prefix = "class_from = \"prefix\"\n";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "class_from", with("class_from = \"name\"\n"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "leave_out", with("leave_out = [\"\"]\n"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "leave_out", with("leave_out = [\"a/b\"]\n"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "only with class_from",
               with("folder = [{name = \"a\", holds = [\"BAS\"]}]\n"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no label of this map",
               with(prefix + "folder = [{name = \"a\", holds = [\"XYZ\"]}]\n"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "repeats the folder",
               with(prefix + "folder = [{name = \"a\", holds = [\"BAS\"]}, {name = \"a\", holds = [\"BAS\"]}]\n"));
}

TEST(LabelMap, TakesAnotherOrderOfItsClassesOnly) {
  const LabelMap map = LabelMap::Parse(kMap, "two.toml");
  const LabelMap turned = map.InOrder({"basophil", "neutrophil"});
  EXPECT_EQ(turned.Find("BAS").class_index, 0u);
  EXPECT_EQ(turned.Find("neutrophil_banded").class_index, 1u);
  EXPECT_EQ(turned.Find("none").verdict, LabelVerdict::kDropped);
  for (const auto& order : std::vector<std::vector<std::string>>{
           {"basophil"}, {"basophil", "basophil"}, {"basophil", "monocyte"}, {"basophil", "neutrophil", "monocyte"}}) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "2 classes of the label map 'two'", (void)map.InOrder(order));
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "twice",
               (void)ParseClassOrder("name = \"o\"\nclasses = [\"a\", \"a\"]\n", "o.toml"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "colour",
               (void)ParseClassOrder("name = \"o\"\ncolour = 1\nclasses = [\"a\"]\n", "o.toml"));
}

class ShippedLabelMap : public testing::TestWithParam<const char*> {};

TEST_P(ShippedLabelMap, IsReadAndEndsAnImportOnUnknownLabels) {
  const Path path = Path(HEMAFED_SOURCE_DIR) / "configs/labels" / (std::string(GetParam()) + ".toml");
  const LabelMap map = LabelMap::Load(RealFileSystem(), path);
  EXPECT_EQ(map.name(), GetParam());
  EXPECT_TRUE(map.unknown_is_error());
  for (const std::string& name : map.classes()) {
    EXPECT_EQ(map.Find(name).verdict, LabelVerdict::kClass) << name << " must also be a label: manifests use it";
    EXPECT_EQ(map.classes()[map.Find(name).class_index], name);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ShippedLabelMap,
                         testing::Values("five_wbc", "common_wbc", "matek19", "matek19_uacl", "int20", "mll23",
                                         "acevedo20"));

TEST(ShippedLabelMaps, SayTheSameAboutEachPublishedCode) {
  const Path folder = Path(HEMAFED_SOURCE_DIR) / "configs/labels";
  const LabelMap five = LabelMap::Load(RealFileSystem(), folder / "five_wbc.toml");
  const LabelMap common = LabelMap::Load(RealFileSystem(), folder / "common_wbc.toml");
  // Codes of AML-Cytomorphology_LMU, MLL23's in-house form and PBC_dataset_normal_DIB.
  for (const char* code : {"NGS",
                           "NGB",
                           "LYT",
                           "LYA",
                           "MON",
                           "EOS",
                           "BAS",
                           "MYO",
                           "PMO",
                           "PMB",
                           "MYB",
                           "MMZ",
                           "MOB",
                           "EBO",
                           "KSC",
                           "01-NORMO",
                           "04-LGL",
                           "05-MONO",
                           "08-LYMPH-neo",
                           "09-BASO",
                           "10-EOS",
                           "11-STAB",
                           "12-LYMPH-reaktiv",
                           "13-MYBL",
                           "14-LYMPH-typ",
                           "15-SEG",
                           "16-PLZ",
                           "17-Kernschatten",
                           "18-PMYEL",
                           "19-MYEL",
                           "20-Meta",
                           "21-Haarzelle",
                           "22-Atyp-PMYEL",
                           "BA",
                           "EO",
                           "ERB",
                           "LY",
                           "MO",
                           "PMY",
                           "MY",
                           "MMY",
                           "IG",
                           "BNE",
                           "SNE",
                           "PLATELET"}) {
    const LabelMeaning in_five = five.Find(code);
    const LabelMeaning in_common = common.Find(code);
    ASSERT_NE(in_five.verdict, LabelVerdict::kUnknown) << code;
    ASSERT_NE(in_common.verdict, LabelVerdict::kUnknown) << code;
    if (in_five.verdict != LabelVerdict::kClass) continue;
    std::string of_common = common.classes()[in_common.class_index];
    if (of_common.starts_with("neutrophil_")) of_common = "neutrophil";
    EXPECT_EQ(five.classes()[in_five.class_index], of_common) << code;
  }
}

TEST(PicturePath, IsRefusedWhereItCouldLeaveTheFolderOrHide) {
  EXPECT_FALSE(CheckPicturePath("a/b.png"));
  EXPECT_FALSE(CheckPicturePath("BAS_0001 (2021_05_21 20_42_39 UTC).tiff"));
  EXPECT_FALSE(CheckPicturePath("a/b../c..png"));
  for (const char* path : {"../a.png", "a/../../b.png", "..", "/etc/passwd", "a/.."}) {
    EXPECT_EQ(CheckPicturePath(path), SkipReason::kEscapesFolder) << path;
  }
  for (const char* path : {".a.png", "a/.b/c.png", "./a.png"}) {
    EXPECT_EQ(CheckPicturePath(path), SkipReason::kHidden) << path;
  }
  for (const std::string& path : {std::string(""), std::string("a//b"), std::string("a/"), std::string("a\\b"),
                                  std::string("a\0b", 3), std::string("a\nb"), std::string("\xFF.png"),
                                  std::string("\xC2\x85"), std::string(kMaxPicturePathBytes + 1, 'a')}) {
    EXPECT_EQ(CheckPicturePath(path), SkipReason::kBadName) << Printable(path);
  }
}

TEST(Printable, ReplacesOnlyWhatCannotBeShown) {
  EXPECT_EQ(Printable("na\xC3\xAFve.png"), "na\xC3\xAFve.png");
  EXPECT_EQ(Printable("a\x1B[31mb\xC2\x9B"), "a?[31mb??");
  EXPECT_EQ(Printable("a\xFF\xC3\xA4"), "a???");
}

TEST(SkipReasons, HaveDistinctNames) {
  std::set<std::string_view> names;
  std::set<std::string_view> texts;
  for (std::size_t i = 0; i < kSkipReasonCount; ++i) {
    names.insert(SkipReasonName(static_cast<SkipReason>(i)));
    texts.insert(SkipReasonText(static_cast<SkipReason>(i)));
  }
  EXPECT_EQ(names.size(), kSkipReasonCount);
  EXPECT_EQ(texts.size(), kSkipReasonCount);
  EXPECT_FALSE(names.contains("unknown"));
}

}  // namespace
}  // namespace hemafed::learning
