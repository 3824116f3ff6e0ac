// SPDX-License-Identifier: Apache-2.0
#include "learning/data/dataset_index.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/expect_error.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

DatasetIndex SomeIndex() {
  DatasetIndex index;
  index.domain = "raabin";
  index.label_map = "five_wbc";
  index.classes = {"basophil", "neutrophil"};
  for (std::uint32_t i = 0; i < 3; ++i) {
    PictureEntry picture;
    picture.file = "Basophil/" + std::to_string(i) + ".jpg";
    picture.label = "Basophil";
    picture.class_index = i % 2;
    picture.split = i == 1 ? Split::kTest : Split::kTrain;
    picture.width = 360;
    picture.height = 363;
    picture.bytes = 1000 + i;
    picture.digest.bytes[0] = static_cast<std::uint8_t>(i + 1);
    picture.group = i == 0 ? "field \"7\"" : "";
    picture.patient = i == 2 ? "P\xC3\xA4" : "";
    index.pictures.push_back(picture);
  }
  return index;
}

TEST(DatasetIndex, ReadsBackAsItWasSaved) {
  const hemafed::testing_support::Scratch scratch;
  const DatasetIndex index = SomeIndex();
  SaveIndex(RealFileSystem(), scratch / "raabin.index", index);
  EXPECT_EQ(LoadIndex(RealFileSystem(), scratch / "raabin.index"), index);
}

TEST(DatasetIndex, HasOneTextAndADigestThatSeesEveryField) {
  const DatasetIndex index = SomeIndex();
  EXPECT_EQ(FormatIndex(index), FormatIndex(ParseIndex(FormatIndex(index), "again")));
  const auto changed = [&](auto change) {
    DatasetIndex other = index;
    change(other);
    return IndexDigest(other);
  };
  EXPECT_EQ(changed([](DatasetIndex&) {}), IndexDigest(index));
  EXPECT_NE(changed([](DatasetIndex& i) { i.pictures[1].class_index = 0; }), IndexDigest(index));
  EXPECT_NE(changed([](DatasetIndex& i) { i.pictures[1].split = Split::kTrain; }), IndexDigest(index));
  EXPECT_NE(changed([](DatasetIndex& i) { i.pictures[1].patient = "x"; }), IndexDigest(index));
  EXPECT_NE(changed([](DatasetIndex& i) { i.pictures.pop_back(); }), IndexDigest(index));
}

TEST(DatasetIndex, CountsAndListsBySplit) {
  const DatasetIndex index = SomeIndex();
  EXPECT_EQ(index.CountsPerClass(Split::kTrain), (std::vector<std::uint64_t>{2, 0}));
  EXPECT_EQ(index.CountsPerClass(Split::kTest), (std::vector<std::uint64_t>{0, 1}));
  EXPECT_EQ(index.Positions(Split::kTrain), (std::vector<std::uint32_t>{0, 2}));
}

struct BadIndex {
  const char* name;
  const char* from;
  std::string to;
  const char* words;
};

class IndexRefuses : public testing::TestWithParam<BadIndex> {};

TEST_P(IndexRefuses, AndNamesTheField) {
  std::string text = FormatIndex(SomeIndex());
  const std::size_t at = text.find(GetParam().from);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, std::string(GetParam().from).size(), GetParam().to);
  EXPECT_ERROR(ErrorCode::kInvalidInput, GetParam().words, (void)ParseIndex(text, "x.index"));
}

INSTANTIATE_TEST_SUITE_P(Table, IndexRefuses,
                         testing::ValuesIn(std::vector<BadIndex>{
                             {"LaterVersion", "\"version\":1", "\"version\":2", "import the pictures again"},
                             {"UnknownField", "\"version\":1", "\"version\":1,\"more\":0", "'more' is not known"},
                             {"EscapingPath", "Basophil/1.jpg", "../1.jpg", "pictures[1]: field 'file' is no path"},
                             {"AbsolutePath", "Basophil/1.jpg", "/etc/x.jpg", "field 'file' is no path"},
                             {"ClassOutOfRange", "\"class\":1", "\"class\":2", "field 'class'"},
                             {"UnknownSplit", "\"test\"", "\"dev\"", "field 'split'"},
                             {"PictureTwice", "020000", "010000", "field 'sha256' is not larger"},
                             {"TooSmall", "\"width\":360", "\"width\":1", "field 'width'"},
                             {"TooManyPixels", "\"width\":360", "\"width\":16777216", "field 'width'"},
                             {"FractionalSize", "\"width\":360", "\"width\":360.5", "field 'width'"},
                             {"RepeatedClass", "[\"basophil\",\"neutrophil\"]", "[\"basophil\",\"basophil\"]",
                              "field 'classes'"},
                             {"NoClass", "[\"basophil\",\"neutrophil\"]", "[]", "field 'classes'"},
                             {"DomainWithSlash", "\"raabin\"", "\"a/b\"", "field 'domain'"},
                             {"ControlInGroup", "field \\\"7\\\"", "\\u0007", "field 'group'"},
                             {"NotJson", "{\"classes\"", "[\"classes\"", "is not JSON"}}),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace hemafed::learning
