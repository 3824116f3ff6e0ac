// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/uncertainty.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "learning/models/dropout.h"
#include "tests/expect_error.h"
#include "tests/learning/memory_source.h"

namespace hemafed::learning {
namespace {

using testing_support::EasyPictures;
using testing_support::MemorySource;
using testing_support::RecipeModel;

TEST(Uncertainty, MatchesTheWorkedExamples) {
  // published-systems 2.9, check 4.
  std::vector<double> halves;
  for (int i = 0; i < 5; ++i) halves.insert(halves.end(), {1, 0});
  for (int i = 0; i < 5; ++i) halves.insert(halves.end(), {0, 1});
  EXPECT_NEAR(UncertaintyOf(halves, 2), 1.0, 1e-12);
  EXPECT_NEAR(UncertaintyOf(std::vector<double>{.6, .3, .1, .4, .4, .2}, 3), 0.2, 1e-12);  // Not 0.282843.
  EXPECT_NEAR(UncertaintyOf(std::vector<double>{.9, .1, 0, .7, .2, .1, .8, .1, .1, .6, .3, .1}, 3), 0.238020, 5e-7);
  std::vector<double> identity(100);
  for (std::size_t i = 0; i < 10; ++i) identity[i * 11] = 1.0;
  EXPECT_NEAR(UncertaintyOf(identity, 10), 3.0, 1e-12);
  std::vector<double> constant;
  for (int i = 0; i < 10; ++i) constant.insert(constant.end(), {.7, .2, .1});
  EXPECT_LT(UncertaintyOf(constant, 3), 1e-12);
}

TEST(Uncertainty, RowsThatAreNotWholeAreRefused) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "whole rows", (void)UncertaintyOf(std::vector<double>{1, 2, 3}, 2));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "whole rows", (void)UncertaintyOf({}, 2));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "whole rows", (void)UncertaintyOf(std::vector<double>{1}, 0));
}

class Scores : public testing::Test {
 protected:
  Scores() { std::iota(indices_.begin(), indices_.end(), 0u); }

  Classifier model_ = RecipeModel(Architecture::kSmallCnn, 4);
  MemorySource source_ = EasyPictures(7, 4, 32, 1);
  std::vector<std::uint32_t> indices_ = std::vector<std::uint32_t>(7);
  UncertaintySettings settings_{.passes = 10, .dropout = 0.2, .seed = 11, .batch = 3};
};

TEST_F(Scores, EqualWholeForwardPassesPictureByPicture) {
  const PictureScores scores = ScorePictures(model_, source_, indices_, settings_);
  ASSERT_EQ(scores.uncertainty.size(), 7u);
  ASSERT_EQ(scores.features.size(), 7u * 128);
  const at::NoGradGuard no_gradients;
  for (std::uint32_t i = 0; i < 7; ++i) {
    const at::Tensor picture = source_.Get(std::vector<std::uint32_t>{i}, std::nullopt).images;
    std::vector<double> outputs;
    for (std::uint32_t pass = 0; pass < settings_.passes; ++pass) {
      const at::Tensor h = model_.TrunkBefore(picture);
      const std::uint64_t key = LoadLittleEndian<std::uint64_t>(source_.PictureDigest(i).bytes.data());
      const at::Tensor mask = DropoutMask(11, pass, {&key, 1}, h.size(1), h.size(2), h.size(3), 0.2);
      const at::Tensor p = model_.Head(model_.TrunkAfter(h * mask)).to(at::kDouble).softmax(1);
      for (std::int64_t j = 0; j < 4; ++j) outputs.push_back(p[0][j].item<double>());
    }
    EXPECT_NEAR(scores.uncertainty[i], UncertaintyOf(outputs, 4), 1e-6);
    EXPECT_GT(scores.uncertainty[i], 0.0);
    EXPECT_LE(scores.uncertainty[i], std::sqrt(3.0));
    const at::Tensor features = model_.Features(picture)[0];
    for (std::int64_t j = 0; j < 128; ++j) {
      EXPECT_NEAR(scores.features[i * 128 + static_cast<std::size_t>(j)], features[j].item<float>(), 1e-5);
    }
  }
}

TEST_F(Scores, WithoutDropoutNothingIsUncertain) {
  settings_.dropout = 0.0;
  for (const double u : ScorePictures(model_, source_, indices_, settings_).uncertainty) EXPECT_LT(u, 1e-12);
}

TEST_F(Scores, DoNotDependOnBatchesOrNeighbours) {
  const PictureScores all = ScorePictures(model_, source_, indices_, settings_);
  settings_.batch = 100;
  const std::vector<std::uint32_t> some = {6, 2};
  const PictureScores few = ScorePictures(model_, source_, some, settings_);
  EXPECT_NEAR(few.uncertainty[0], all.uncertainty[6], 1e-6);
  EXPECT_NEAR(few.uncertainty[1], all.uncertainty[2], 1e-6);
}

TEST_F(Scores, WithoutPassesAreTheFeaturesAlone) {
  const PictureScores all = ScorePictures(model_, source_, indices_, settings_);
  settings_.passes = 0;
  const PictureScores features = ScorePictures(model_, source_, indices_, settings_);
  EXPECT_EQ(features.features, all.features);
  EXPECT_TRUE(features.uncertainty.empty());
}

TEST_F(Scores, PicturesAreNotAugmented) {
  (void)ScorePictures(model_, source_, indices_, settings_);
  EXPECT_TRUE(source_.augmentations.empty());
}

TEST_F(Scores, SettingsOutOfRangeAreRefused) {
  const auto with = [&](const auto& change) {
    UncertaintySettings settings = settings_;
    change(settings);
    return ScorePictures(model_, source_, indices_, settings);
  };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1001 passes", (void)with([](auto& s) { s.passes = 1001; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "at least one picture", (void)with([](auto& s) { s.batch = 0; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "dropout probability", (void)with([](auto& s) { s.dropout = 1.0; }));
}

}  // namespace
}  // namespace hemafed::learning
