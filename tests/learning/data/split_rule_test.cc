// SPDX-License-Identifier: Apache-2.0
#include "learning/data/split_rule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <string>

#include "common/random.h"
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

std::vector<std::int64_t> HeldOutPerClass(const std::vector<PictureEntry>& pictures, std::size_t classes,
                                          const std::vector<bool>& held_out) {
  std::vector<std::int64_t> counts(classes);
  for (std::size_t i = 0; i < pictures.size(); ++i) counts[pictures[i].class_index] += held_out[i] ? 1 : 0;
  return counts;
}

TEST(Split, HoldsOutTheTestCountsThatUaclPrints) {
  // Matek-19 after UACL's filter (published-systems, data-count puzzles): 15,053 pictures, 3,011 of them test.
  const std::vector<std::uint32_t> matek = {79, 424, 78, 42, 8484, 109, 15, 1789, 3937, 11, 15, 70};
  ASSERT_EQ(std::accumulate(matek.begin(), matek.end(), 0u), 15'053u);
  const auto pictures = Pictures(matek);
  const auto held_out = HoldOut(pictures, matek.size(), 20, 0);
  EXPECT_EQ(std::count(held_out.begin(), held_out.end(), true), 3'011);
  const auto counts = HeldOutPerClass(pictures, matek.size(), held_out);
  for (std::size_t c = 0; c < matek.size(); ++c)
    EXPECT_LT(std::abs(5.0 * static_cast<double>(counts[c]) - matek[c]), 5.0);
  const std::vector<std::uint32_t> acevedo = {1218, 3117, 1551, 1214, 1420, 592, 1137, 1015, 1633, 1646};
  const auto barcelona = HoldOut(Pictures(acevedo), acevedo.size(), 20, 0);
  EXPECT_EQ(std::count(barcelona.begin(), barcelona.end(), true), 2'909);
}

TEST(Split, DependsOnTheSeedAndNotOnTheOrderOfPictures) {
  std::vector<PictureEntry> pictures = Pictures({30, 20});
  const auto one = HoldOut(pictures, 2, 20, 1);
  EXPECT_EQ(one, HoldOut(pictures, 2, 20, 1));
  EXPECT_NE(one, HoldOut(pictures, 2, 20, 2));
  std::map<Digest, bool> by_digest;
  for (std::size_t i = 0; i < pictures.size(); ++i) by_digest[pictures[i].digest] = one[i];
  std::reverse(pictures.begin(), pictures.end());
  const auto reversed = HoldOut(pictures, 2, 20, 1);
  for (std::size_t i = 0; i < pictures.size(); ++i) EXPECT_EQ(reversed[i], by_digest[pictures[i].digest]);
}

TEST(Split, KeepsPatientsAndGroupsWhole) {
  RandomStream random(5);
  for (int trial = 0; trial < 50; ++trial) {
    auto pictures = Pictures({40, 25, 10});
    for (PictureEntry& picture : pictures) {
      picture.patient = random.NextBelow(3) == 0 ? "" : "p" + std::to_string(random.NextBelow(12));
      picture.group = random.NextBelow(2) == 0 ? "" : "g" + std::to_string(random.NextBelow(8));
    }
    const auto held_out = HoldOut(pictures, 3, 20, static_cast<std::uint64_t>(trial));
    std::map<std::string, bool> side;
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      const PictureEntry& p = pictures[i];
      if (p.patient.empty() && p.group.empty()) continue;
      const std::string unit = p.patient.empty() ? "group " + p.group : "patient " + p.patient;
      const auto [found, fresh] = side.emplace(unit, held_out[i]);
      EXPECT_EQ(found->second, held_out[i]) << unit << " is on both sides in trial " << trial;
    }
    EXPECT_GT(std::count(held_out.begin(), held_out.end(), true), 0);
    EXPECT_GT(std::count(held_out.begin(), held_out.end(), false), 0);
  }
}

TEST(Split, TakesAWholePatientWhereThatIsCloserToTheShare) {
  auto pictures = Pictures({90});
  for (std::size_t i = 0; i < pictures.size(); ++i) pictures[i].patient = "p" + std::to_string(i % 3);
  const auto held_out = HoldOut(pictures, 1, 20, 0);
  EXPECT_EQ(std::count(held_out.begin(), held_out.end(), true), 30) << "18 is the share; 30 is closer to it than 0";
}

TEST(Split, NeverTakesTheLastPictureOfAClass) {
  const auto held_out = HoldOut(Pictures({1, 1, 1, 2}), 4, 99, 0);
  EXPECT_EQ(HeldOutPerClass(Pictures({1, 1, 1, 2}), 4, held_out), (std::vector<std::int64_t>{0, 0, 0, 1}));
  EXPECT_TRUE(HoldOut({}, 3, 20, 0).empty());
}

TEST(Split, RefusesToHoldOutEverythingOrNothing) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 to 99 percent", (void)HoldOut({}, 1, 0, 0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 to 99 percent", (void)HoldOut({}, 1, 100, 0));
}

}  // namespace
}  // namespace hemafed::learning
