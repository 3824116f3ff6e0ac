// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/classical_segmenter.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

#include "tests/expect_error.h"
#include "tests/learning/features/cells/drawn_cells.h"

namespace hemafed::learning {
namespace {

using testing_support::AddCell;
using testing_support::AddLymphocyte;
using testing_support::AddRedCell;
using testing_support::DrawnSmear;
using testing_support::EmptySmear;

std::vector<FoundCell> Find(const cv::Mat& rgb) { return ClassicalSegmenter().Find(rgb); }

// Each drawn cell is found, nothing else is, and masks agree.
void ExpectExactly(const DrawnSmear& smear, double min_mask_iou) {
  const std::vector<FoundCell> found = Find(smear.rgb);
  EXPECT_EQ(found.size(), smear.cells.size());
  const std::vector<int> match = MatchCells(smear.cells, found);
  for (std::size_t i = 0; i < match.size(); ++i) {
    ASSERT_GE(match[i], 0) << "cell " << i;
    const FoundCell& cell = found[static_cast<std::size_t>(match[i])];
    EXPECT_EQ(cell.mask.size(), smear.rgb.size());
    EXPECT_EQ(cell.box, BoxOfMask(cell.mask));
    EXPECT_GT(cell.score, 0.0f);
    EXPECT_LE(cell.score, 1.0f);
    EXPECT_GE(MaskIou(cell.mask, smear.cells[i].mask), min_mask_iou) << "cell " << i;
  }
}

DrawnSmear SmearWithRedCells() {
  DrawnSmear smear = EmptySmear();
  for (const cv::Point at : {cv::Point(40, 50), {250, 40}, {60, 250}, {245, 255}, {150, 30}, {30, 150}}) {
    AddRedCell(smear, at);
  }
  return smear;
}

TEST(ClassicalSegmenter, FindsACellAmongRedCells) {
  DrawnSmear smear = SmearWithRedCells();
  AddLymphocyte(smear, {150, 150});
  ExpectExactly(smear, 0.9);
}

TEST(ClassicalSegmenter, TakesTheLobesOfANucleusForOneCell) {
  DrawnSmear smear = SmearWithRedCells();
  AddCell(smear, {150, 150}, 48, {{-20, -12}, {20, -8}, {0, 22}}, 13);
  ExpectExactly(smear, 0.85);
}

TEST(ClassicalSegmenter, LeavesMostOfARedCellThatTouchesOutside) {
  DrawnSmear smear = SmearWithRedCells();
  AddRedCell(smear, {150 + 40 + 22, 150});
  AddLymphocyte(smear, {150, 150});
  ExpectExactly(smear, 0.75);
}

TEST(ClassicalSegmenter, SplitsCellsThatTouch) {
  DrawnSmear smear = SmearWithRedCells();
  AddLymphocyte(smear, {112, 150}, 38);
  AddLymphocyte(smear, {188, 150}, 38);
  ExpectExactly(smear, 0.85);
}

TEST(ClassicalSegmenter, SplitsNucleiThatTouch) {
  DrawnSmear smear = SmearWithRedCells();
  AddCell(smear, {115, 150}, 38, {{0, 0}}, 36);
  AddCell(smear, {187, 150}, 38, {{0, 0}}, 36);
  ExpectExactly(smear, 0.8);
}

TEST(ClassicalSegmenter, FindsTenCellsInOnePicture) {
  DrawnSmear smear = EmptySmear(500, 400);
  for (int i = 0; i < 10; ++i) AddLymphocyte(smear, {60 + 95 * (i % 5), 90 + 200 * (i / 5)}, 28);
  ExpectExactly(smear, 0.85);
}

TEST(ClassicalSegmenter, FindsNoCellWhereThereIsNone) {
  EXPECT_TRUE(Find(SmearWithRedCells().rgb).empty());
  EXPECT_TRUE(Find(EmptySmear().rgb).empty());
}

TEST(ClassicalSegmenter, ScoresACellThatTheBorderCutsBelowAWholeOne) {
  DrawnSmear smear = SmearWithRedCells();
  AddLymphocyte(smear, {150, 150});
  AddLymphocyte(smear, {292, 150});
  const std::vector<FoundCell> found = Find(smear.rgb);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_GT(found[0].score, found[1].score);
  EXPECT_LT(found[0].box.x, 150.0f);
  EXPECT_EQ(Right(found[1].box), 300.0f);
}

TEST(ClassicalSegmenter, TakesAnyPictureWithoutTrouble) {
  for (const cv::Scalar& colour : {cv::Scalar::all(0), cv::Scalar::all(255), cv::Scalar(84, 44, 130)}) {
    EXPECT_LE(Find(cv::Mat(90, 120, CV_8UC3, colour)).size(), 1u);
  }
  cv::Mat noise(120, 90, CV_8UC3);
  cv::RNG random(4);
  random.fill(noise, cv::RNG::UNIFORM, 0, 256);
  for (const FoundCell& cell : Find(noise)) EXPECT_EQ(cell.mask.size(), noise.size());
  EXPECT_NO_THROW((void)Find(cv::Mat(16, 4000, CV_8UC3, cv::Scalar(246, 232, 214))));
  EXPECT_NO_THROW((void)Find(cv::Mat(1, 1, CV_8UC3, cv::Scalar(9, 9, 9))));
}

TEST(ClassicalSegmenter, GivesTheSameBitsEachTime) {
  DrawnSmear smear = SmearWithRedCells();
  AddLymphocyte(smear, {150, 150});
  const std::vector<FoundCell> first = Find(smear.rgb), second = Find(smear.rgb);
  ASSERT_EQ(first.size(), second.size());
  EXPECT_EQ(first[0].score, second[0].score);
  EXPECT_EQ(cv::norm(first[0].mask, second[0].mask, cv::NORM_INF), 0.0);
}

TEST(ClassicalSegmenter, IsAnotherFinderWithAnySettingChanged) {
  const std::string usual = ClassicalSegmenter().Description();
  EXPECT_EQ(ClassicalSegmenter(ClassicalSettings{}).Description(), usual);
  EXPECT_EQ(usual.find('\n'), std::string::npos);
  std::set<std::string> all = {usual};
  const auto with = [&](const auto& change) {
    ClassicalSettings settings;
    change(settings);
    all.insert(ClassicalSegmenter(settings).Description());
  };
  with([](ClassicalSettings& s) { s.working_side = 255; });
  with([](ClassicalSettings& s) { s.red_density += 1e-12; });
  with([](ClassicalSettings& s) { s.plain_density = 0.5; });
  with([](ClassicalSettings& s) { std::swap(s.min_solidity, s.plain_from); });
  with([](ClassicalSettings& s) { s.min_cell_side_share = 0.11; });
  EXPECT_EQ(all.size(), 6u);
}

TEST(ClassicalSegmenter, RefusesWhatIsNotAColourPictureAndImpossibleSettings) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "8-bit RGB", (void)Find(cv::Mat()));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "8-bit RGB", (void)Find(cv::Mat(20, 20, CV_8UC1)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "64 to 1024", ClassicalSegmenter({.working_side = 32}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "above 0", ClassicalSegmenter({.reach_share = 0.0}));
}

}  // namespace
}  // namespace hemafed::learning
