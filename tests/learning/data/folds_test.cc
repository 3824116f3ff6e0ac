// SPDX-License-Identifier: Apache-2.0
#include "learning/data/folds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "common/random.h"
#include "learning/data/split_rule.h"
#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

std::vector<PictureEntry> Pictures(const std::vector<std::uint32_t>& sizes) {
  std::vector<PictureEntry> pictures;
  for (std::uint32_t c = 0; c < sizes.size(); ++c) {
    for (std::uint32_t i = 0; i < sizes[c]; ++i) {
      PictureEntry picture;
      picture.class_index = c;
      picture.digest = Sha256Of(std::to_string(c) + "/" + std::to_string(i));
      pictures.push_back(picture);
    }
  }
  return pictures;
}

// [fold][class]
std::vector<std::vector<std::uint32_t>> Counts(const std::vector<PictureEntry>& pictures,
                                               const std::vector<std::uint32_t>& fold_of, std::uint32_t folds,
                                               std::size_t classes) {
  std::vector<std::vector<std::uint32_t>> counts(folds, std::vector<std::uint32_t>(classes));
  for (std::size_t i = 0; i < pictures.size(); ++i) ++counts.at(fold_of[i])[pictures[i].class_index];
  return counts;
}

TEST(Folds, HaveClassCountsThatDifferByOneAtMost) {
  // Matek-19's fifteen classes; 11 atypical lymphocytes give folds of 2 or 3.
  const std::vector<std::uint32_t> matek = {8484, 109, 3937, 11, 1789, 424, 79, 3268, 70, 18, 42, 15, 26, 78, 15};
  for (const auto& [sizes, folds] : {std::pair{matek, 5u}, std::pair{std::vector<std::uint32_t>{126, 124}, 10u},
                                     std::pair{std::vector<std::uint32_t>{7, 1, 3, 2}, 4u}}) {
    const auto pictures = Pictures(sizes);
    const auto fold_of = AssignFolds(pictures, sizes.size(), folds, 0);
    const auto counts = Counts(pictures, fold_of, folds, sizes.size());
    for (std::size_t c = 0; c < sizes.size(); ++c) {
      for (std::uint32_t f = 0; f < folds; ++f) {
        EXPECT_GE(counts[f][c], sizes[c] / folds) << "class " << c << ", fold " << f;
        EXPECT_LE(counts[f][c], (sizes[c] + folds - 1) / folds) << "class " << c << ", fold " << f;
      }
    }
  }
}

TEST(Folds, DependOnTheSeedAndNotOnTheOrderOfPictures) {
  auto pictures = Pictures({30, 20});
  for (std::size_t i = 0; i < 12; ++i) pictures[4 * i].group = "g" + std::to_string(i % 5);
  const auto one = AssignFolds(pictures, 2, 4, 1);
  EXPECT_EQ(one, AssignFolds(pictures, 2, 4, 1));
  EXPECT_NE(one, AssignFolds(pictures, 2, 4, 2));
  std::map<Digest, std::uint32_t> by_digest;
  for (std::size_t i = 0; i < pictures.size(); ++i) by_digest[pictures[i].digest] = one[i];
  std::reverse(pictures.begin(), pictures.end());
  const auto reversed = AssignFolds(pictures, 2, 4, 1);
  for (std::size_t i = 0; i < pictures.size(); ++i) EXPECT_EQ(reversed[i], by_digest[pictures[i].digest]);
}

TEST(Folds, KeepPatientsAndGroupsWholeAndStayEven) {
  RandomStream random(5);
  for (int trial = 0; trial < 30; ++trial) {
    auto pictures = Pictures({200, 120, 40});
    for (PictureEntry& picture : pictures) {
      picture.patient = random.NextBelow(3) == 0 ? "" : "p" + std::to_string(random.NextBelow(60));
      picture.group = random.NextBelow(2) == 0 ? "" : "g" + std::to_string(random.NextBelow(30));
    }
    const auto fold_of = AssignFolds(pictures, 3, 5, static_cast<std::uint64_t>(trial));
    std::map<std::string, std::uint32_t> fold_of_unit;
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      const auto [found, fresh] = fold_of_unit.emplace(UnitName(pictures[i]), fold_of[i]);
      EXPECT_EQ(found->second, fold_of[i]) << UnitName(pictures[i]) << " is in two folds in trial " << trial;
    }
    const auto counts = Counts(pictures, fold_of, 5, 3);
    for (const auto& fold : counts) {
      EXPECT_NEAR(fold[0], 40, 8);
      EXPECT_NEAR(fold[1], 24, 8);
      EXPECT_NEAR(fold[2], 8, 6);
    }
  }
}

TEST(Folds, AreNeverEmptyAndRefuseWhatCannotBeDealt) {
  auto pictures = Pictures({3, 3});
  const auto fold_of = AssignFolds(pictures, 2, 6, 0);
  EXPECT_EQ(std::set(fold_of.begin(), fold_of.end()).size(), 6u) << "six pictures, six folds";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "7 folds of 6", (void)AssignFolds(pictures, 2, 7, 0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 folds", (void)AssignFolds(pictures, 2, 1, 0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "101 folds", (void)AssignFolds(Pictures({200}), 1, 101, 0));
  for (PictureEntry& picture : pictures) picture.patient = "one";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "2 folds of 1", (void)AssignFolds(pictures, 2, 2, 0));
}

TEST(SplitTraining, HoldsOutAFifthOfTheTrainingPicturesAndNeverATestPicture) {
  DatasetIndex index;
  index.classes = {"a", "b"};
  index.pictures = Pictures({60, 40});
  for (std::size_t i = 0; i < index.pictures.size(); i += 5) index.pictures[i].split = Split::kTest;
  const TrainingParts parts = SplitTraining(index);
  EXPECT_EQ(parts.validation.size(), 16u) << "of 80";
  EXPECT_EQ(parts.train.size(), 64u);
  EXPECT_TRUE(std::is_sorted(parts.train.begin(), parts.train.end()));
  std::set<std::uint32_t> seen(parts.train.begin(), parts.train.end());
  seen.insert(parts.validation.begin(), parts.validation.end());
  EXPECT_EQ(std::vector<std::uint32_t>(seen.begin(), seen.end()), index.Positions(Split::kTrain));
  std::uint32_t of_b = 0;
  for (const std::uint32_t position : parts.validation) of_b += index.pictures[position].class_index;
  EXPECT_NEAR(of_b, 6.4, 1.0);
  // Groups stay whole.
  for (std::size_t i = 0; i < index.pictures.size(); ++i) index.pictures[i].group = "g" + std::to_string(i / 4);
  const TrainingParts grouped = SplitTraining(index);
  for (const std::uint32_t v : grouped.validation) {
    for (const std::uint32_t t : grouped.train) EXPECT_NE(index.pictures[v].group, index.pictures[t].group);
  }
  EXPECT_FALSE(grouped.validation.empty());
}

}  // namespace
}  // namespace hemafed::learning
