// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/select_exemplars.h"

#include <gtest/gtest.h>

#include "tests/expect_error.h"
#include "tests/learning/memory_source.h"

namespace hemafed::learning {
namespace {

using testing_support::EasyPictures;
using testing_support::MemorySource;
using testing_support::RecipeModel;

class SelectingExemplars : public testing::Test {
 protected:
  Classifier model_ = RecipeModel(Architecture::kSmallCnn, 3);
  MemorySource source_ = EasyPictures(20, 3, 32, 1);  // 7, 7 and 6 pictures.
  SelectionSettings settings_{{.passes = 10, .dropout = 0.3, .seed = 5, .batch = 4}, HerdingVariant::kNormalised};
};

TEST_F(SelectingExemplars, GivesEachClassItsHerdedAndItsMostUncertainPictures) {
  const std::vector<std::uint32_t> labels = {2, 0};
  const std::vector<ExemplarList> lists = SelectExemplars(model_, source_, "raabin", "import-1", labels, 5, settings_);
  ASSERT_EQ(lists.size(), 2u);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    EXPECT_EQ(lists[i].domain, "raabin");
    EXPECT_EQ(lists[i].label, labels[i]);
    std::vector<std::uint32_t> indices;
    for (std::uint32_t index = labels[i]; index < 20; index += 3) indices.push_back(index);
    const PictureScores scores = ScorePictures(model_, source_, indices, settings_.uncertainty);
    const ExemplarChoice want =
        ChooseExemplars({indices.size(), 128, scores.features}, scores.uncertainty, 5, HerdingVariant::kNormalised);
    ASSERT_EQ(lists[i].herding.size(), 3u);
    ASSERT_EQ(lists[i].uncertainty.size(), 2u);
    for (std::size_t k = 0; k < 3; ++k) {
      EXPECT_EQ(lists[i].herding[k].picture, source_.PictureDigest(indices[want.herding[k]]));
      EXPECT_EQ(lists[i].herding[k].source, "import-1");
    }
    for (std::size_t k = 0; k < 2; ++k) {
      EXPECT_EQ(lists[i].uncertainty[k].picture, source_.PictureDigest(indices[want.uncertainty[k]]));
    }
  }
}

TEST_F(SelectingExemplars, AClassWithFewPicturesGivesAllOfThem) {
  const std::vector<std::uint32_t> labels = {2};
  const ExemplarList list = SelectExemplars(model_, source_, "raabin", "x", labels, 20, settings_)[0];
  EXPECT_EQ(list.herding.size() + list.uncertainty.size(), 6u);
}

TEST_F(SelectingExemplars, AClassWithoutPicturesGivesAnEmptyList) {
  MemorySource two_classes = EasyPictures(6, 2, 32, 1);
  const std::vector<std::uint32_t> labels = {2};
  const ExemplarList list = SelectExemplars(model_, two_classes, "raabin", "x", labels, 20, settings_)[0];
  EXPECT_TRUE(list.herding.empty());
  EXPECT_TRUE(list.uncertainty.empty());
}

TEST_F(SelectingExemplars, AClassThatTheModelDoesNotKnowIsRefused) {
  const std::vector<std::uint32_t> labels = {3};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "class 3",
               (void)SelectExemplars(model_, source_, "raabin", "x", labels, 20, settings_));
}

}  // namespace
}  // namespace hemafed::learning
