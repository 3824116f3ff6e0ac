// SPDX-License-Identifier: Apache-2.0
#include "learning/data/domain_pictures.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/expect_error.h"
#include "tests/learning/data/picture_files.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

using testing_support::Png;
using testing_support::Write;

class DomainPicturesTest : public testing::Test {
 protected:
  DomainPicturesTest() {
    for (std::uint64_t i = 0; i < 20; ++i) Write(scratch_ / ("p/a/" + std::to_string(i) + ".png"), Png(i));
    for (std::uint64_t i = 20; i < 50; ++i) Write(scratch_ / ("p/b/" + std::to_string(i) + ".png"), Png(i));
    Write(scratch_ / "p/b/broken.png", "not a picture");
    Write(scratch_ / "labels.toml",
          "name=\"t\"\nunknown=\"error\"\ndropped=[]\n[[class]]\nname=\"a\"\nlabels=[\"a\"]\n[[class]]\nname=\"b\"\n"
          "labels=[\"b\"]\n");
  }
  DomainPictures Open(const std::vector<std::string>& classes) {
    return {
        RealFileSystem(),
        {.name = "d", .folder = scratch_ / "p", .layout = PictureLayout::kFolders, .labels = scratch_ / "labels.toml"},
        scratch_ / "state",
        classes,
        20,
        {}};
  }
  hemafed::testing_support::Scratch scratch_;
};

TEST_F(DomainPicturesTest, PartsCoverTheDomainOnceAndTheValidationFifthIsOfTheTrainingPart) {
  const DomainPictures pictures = Open({"b", "a"});
  const auto train = pictures.Positions(DomainPart::kTrain);
  const auto test = pictures.Positions(DomainPart::kTest);
  const auto fit = pictures.Positions(DomainPart::kFit);
  const auto validation = pictures.Positions(DomainPart::kValidation);
  EXPECT_EQ(train.size(), 40u);
  EXPECT_EQ(test.size(), 10u);
  EXPECT_EQ(validation.size(), 8u);
  std::vector<std::uint32_t> both;
  std::merge(fit.begin(), fit.end(), validation.begin(), validation.end(), std::back_inserter(both));
  EXPECT_EQ(both, train);
  EXPECT_NE(pictures.report().find("broken.png"), std::string::npos) << pictures.report();
}

TEST_F(DomainPicturesTest, HandOutTheAskedLabelsOnlyUnderTheCallersOrderOfClasses) {
  const DomainPictures pictures = Open({"b", "a"});
  const std::vector<std::int64_t> only_a = {1};
  const auto positions = pictures.Positions(DomainPart::kTrain, only_a);
  ASSERT_EQ(positions.size(), 16u);
  const auto source = pictures.Batches(positions);
  for (std::size_t i = 0; i < source->Size(); ++i) {
    EXPECT_EQ(source->Label(i), 1);
    EXPECT_TRUE(pictures.index().pictures[positions[i]].file.starts_with("a/"));
    EXPECT_EQ(source->PictureDigest(i), pictures.index().pictures[positions[i]].digest);
  }
  EXPECT_EQ(pictures.Tile(positions[0]).rows, 20);
}

TEST_F(DomainPicturesTest, RefuseALabelMapWithAClassThatIsNotToBeLearned) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "the class 'b'", (void)Open({"a"}));
}

TEST_F(DomainPicturesTest, ForgetAPictureThatWasWithdrawnFromTheFolder) {
  const auto before = Open({"a", "b"}).index().pictures.size();
  RealFileSystem().Remove(scratch_ / "p/a/3.png");
  EXPECT_EQ(Open({"a", "b"}).index().pictures.size(), before - 1);
}

}  // namespace
}  // namespace hemafed::learning
