// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/annotated_picture.h"

#include <gtest/gtest.h>

#include "tests/expect_error.h"
#include "tests/learning/features/cells/annotated_folder.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

using hemafed::testing_support::Scratch;
using testing_support::AddCell;
using testing_support::AddLymphocyte;
using testing_support::AnnotatedFolder;
using testing_support::DrawnSmear;
using testing_support::EmptySmear;
using testing_support::LevelsOf;

AnnotatedDomain Open(const Scratch& scratch) { return AnnotatedDomain(RealFileSystem(), scratch.path()); }

DrawnSmear OneCell(int width = 120, int height = 100) {
  DrawnSmear smear = EmptySmear(width, height);
  AddLymphocyte(smear, {50, 50}, 30);
  return smear;
}

TEST(CellsOfMask, AreItsRegionsWithANucleus) {
  cv::Mat levels = cv::Mat::zeros(100, 140, CV_8UC1);
  levels(cv::Rect(10, 10, 40, 30)).setTo(128);
  levels(cv::Rect(15, 15, 8, 8)).setTo(255);    // two lobes
  levels(cv::Rect(35, 20, 8, 8)).setTo(200);    // stray level: nucleus from 192 on
  levels(cv::Rect(100, 60, 40, 40)).setTo(64);  // cut by the border
  levels(cv::Rect(110, 70, 5, 5)).setTo(192);
  levels(cv::Rect(70, 10, 20, 20)).setTo(128);  // no nucleus
  levels(cv::Rect(5, 90, 4, 4)).setTo(255);     // a speck
  levels(cv::Rect(0, 0, 9, 9)).setTo(63);       // background
  const MaskCells got = CellsOfMask(levels);
  ASSERT_EQ(got.cells.size(), 2u);
  EXPECT_EQ(got.cells[0].box, cv::Rect2f(10, 10, 40, 30));
  EXPECT_EQ(cv::countNonZero(got.cells[0].mask), 40 * 30);
  EXPECT_EQ(got.cells[1].box, cv::Rect2f(100, 60, 40, 40));
  EXPECT_EQ(cv::countNonZero(got.nuclei), 64 + 64 + 25);
  EXPECT_TRUE(CellsOfMask(cv::Mat::zeros(9, 9, CV_8UC1)).cells.empty());
  EXPECT_ERROR(ErrorCode::kInvalidInput, "one channel", (void)CellsOfMask(cv::Mat::zeros(9, 9, CV_8UC3)));
}

TEST(AnnotatedDomain, ReadsMasks) {
  const Scratch scratch;
  AnnotatedFolder folder(scratch.path());
  const DrawnSmear smear = OneCell();
  folder.AddPicture("neutrophil/001.png", smear.rgb);
  folder.AddPicture("neutrophil/002.png", EmptySmear().rgb, "neutrophil", Split::kTest);  // not annotated
  folder.AddPicture("monocyte/003.png", smear.rgb, "monocyte", Split::kTest);
  folder.AddMask("001.png", LevelsOf(smear));
  folder.AddMask("003.png", LevelsOf(smear));
  const AnnotatedDomain domain = Open(scratch);
  ASSERT_EQ(domain.entries().size(), 2u);
  EXPECT_EQ(domain.Positions(Split::kTest), std::vector<std::size_t>{1});
  const AnnotatedPicture picture = domain.Read(0);
  EXPECT_TRUE(picture.has_masks);
  EXPECT_EQ(cv::norm(picture.rgb, smear.rgb, cv::NORM_INF), 0.0);
  ASSERT_EQ(picture.cells.size(), 1u);
  EXPECT_EQ(picture.cells[0].box, smear.cells[0].box);
  EXPECT_DOUBLE_EQ(MaskIou(picture.cells[0].mask, smear.cells[0].mask), 1.0);
  EXPECT_GT(cv::countNonZero(picture.nuclei), 100);
}

TEST(AnnotatedDomain, ReadsBoxesAndKeepsOtherLabelsApart) {
  const Scratch scratch;
  AnnotatedFolder folder(scratch.path());
  folder.AddPicture("a.png", OneCell().rgb);
  folder.AddPicture("none.png", EmptySmear().rgb, "none");
  folder.WriteBoxes("a.png,RBC,0,0,20,20\na.png,WBC,20.5,20,80,81\nnone.png,Platelets,1,1,9,9\n");
  const AnnotatedDomain domain = Open(scratch);
  ASSERT_EQ(domain.entries().size(), 2u);
  const AnnotatedPicture picture = domain.Read(0);
  EXPECT_FALSE(picture.has_masks);
  ASSERT_EQ(picture.cells.size(), 1u);
  EXPECT_EQ(picture.cells[0].box, cv::Rect2f(20.5f, 20, 59.5f, 61));
  EXPECT_TRUE(picture.cells[0].mask.empty());
  ASSERT_EQ(picture.others.size(), 1u);
  EXPECT_EQ(picture.others[0].label, "RBC");
  EXPECT_TRUE(domain.Read(1).cells.empty());  // A picture without a cell is an annotated picture too.
  EXPECT_TRUE(domain.notes().empty());
}

TEST(AnnotatedDomain, LeavesOutDoubleMarksAndContradictionsAndNamesThem) {
  const Scratch scratch;
  AnnotatedFolder folder(scratch.path());
  folder.AddPicture("a.png", OneCell().rgb);
  folder.AddPicture("b.png", OneCell().rgb);
  folder.WriteBoxes(
      "a.png,WBC,20,20,80,50\na.png,WBC,20,20,80,80\na.png,WBC,20,20,80,80\na.png,WBC,75,20,115,60\n"
      "b.png,RBC,1,1,9,9\n");
  const AnnotatedDomain domain = Open(scratch);
  ASSERT_EQ(domain.entries().size(), 1u);
  EXPECT_EQ(domain.entries()[0].cells, (std::vector<cv::Rect2f>{{20, 20, 60, 60}, {75, 20, 40, 40}}));
  ASSERT_EQ(domain.notes().size(), 2u);
  EXPECT_EQ(domain.notes()[0], "a.png: 2 box(es) mark a cell that another box marks; left out");
  EXPECT_EQ(domain.notes()[1], "b.png: class neutrophil, but no WBC box; left out");
}

TEST(AnnotatedDomain, TakesTheMaskWhereAPictureHasBoth) {
  const Scratch scratch;
  AnnotatedFolder folder(scratch.path());
  const DrawnSmear smear = OneCell();
  folder.AddPicture("001.png", smear.rgb);
  folder.AddMask("001.png", LevelsOf(smear));
  folder.WriteBoxes("001.png,WBC,1,1,9,9\n001.png,RBC,90,1,99,9\n");
  const AnnotatedPicture picture = Open(scratch).Read(0);
  ASSERT_EQ(picture.cells.size(), 1u);
  EXPECT_EQ(picture.cells[0].box, smear.cells[0].box);
  EXPECT_EQ(picture.others.size(), 1u);
}

struct BadBox {
  const char* name;
  const char* row;
  const char* words;
};
class BadBoxes : public testing::TestWithParam<BadBox> {};

TEST_P(BadBoxes, AreRefusedWithTheirLine) {
  const Scratch scratch;
  AnnotatedFolder folder(scratch.path());
  folder.AddPicture("a.png", OneCell(120, 100).rgb);
  folder.WriteBoxes(std::string("a.png,WBC,1,1,9,9\n") + GetParam().row + "\n");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "boxes.csv line 3", (void)Open(scratch));
  EXPECT_ERROR(ErrorCode::kInvalidInput, GetParam().words, (void)Open(scratch));
}

INSTANTIATE_TEST_SUITE_P(Table, BadBoxes,
                         testing::Values(BadBox{"RightOfThePicture", "a.png,WBC,100,1,120.5,9",
                                                "outside the picture, which is 120x100"},
                                         BadBox{"BelowThePicture", "a.png,RBC,1,1,9,101", "outside the picture"},
                                         BadBox{"LeftOfThePicture", "a.png,WBC,-1,1,9,9", "outside the picture"},
                                         BadBox{"Empty", "a.png,WBC,9,1,9,9", "the box is empty"},
                                         BadBox{"TurnedOver", "a.png,WBC,9,9,1,1", "the box is empty"},
                                         BadBox{"NotANumber", "a.png,WBC,one,1,9,9", "'one' is not a coordinate"},
                                         BadBox{"Infinite", "a.png,WBC,1,1,inf,9", "not a coordinate"},
                                         BadBox{"UnitsBehind", "a.png,WBC,1px,1,9,9", "not a coordinate"},
                                         BadBox{"TooFewFields", "a.png,WBC,1,1,9", "field"},
                                         BadBox{"NoSuchPicture", "b.png,WBC,1,1,9,9", "'b.png' is not in manifest.csv"},
                                         BadBox{"OddLabel", "a.png,W BC,1,1,9,9", "'W BC' is no label"}),
                         [](const auto& row) { return row.param.name; });

TEST(AnnotatedDomain, RefusesAMaskOfAnotherSize) {
  const Scratch scratch;
  AnnotatedFolder folder(scratch.path());
  folder.AddPicture("001.png", OneCell(120, 100).rgb);
  folder.AddMask("001.png", LevelsOf(OneCell(100, 120)));
  const AnnotatedDomain domain = Open(scratch);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "masks/001.png is 100x120 pixels, but its picture is 120x100",
               (void)domain.Read(0));
}

TEST(AnnotatedDomain, RefusesColouredMasksAndFilesThatAreNoPictures) {
  const Scratch scratch;
  AnnotatedFolder folder(scratch.path());
  folder.AddPicture("001.png", OneCell().rgb);
  folder.AddPicture("002.png", OneCell().rgb);
  folder.AddMask("001.png", OneCell().rgb);
  testing_support::Write(scratch / "masks/002.png", "not a picture");
  const AnnotatedDomain domain = Open(scratch);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "001.png is coloured", (void)domain.Read(0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "masks/002.png: not a picture", (void)domain.Read(1));
}

TEST(AnnotatedDomain, RefusesFoldersThatSayNothingOrTwoThings) {
  const Scratch scratch;
  EXPECT_ERROR(ErrorCode::kNotFound, "manifest.csv is missing", (void)Open(scratch));
  AnnotatedFolder folder(scratch.path());
  folder.AddPicture("a/001.png", OneCell().rgb);
  EXPECT_ERROR(ErrorCode::kNotFound, "neither masks/ nor boxes.csv", (void)Open(scratch));
  folder.AddPicture("b/001.png", OneCell().rgb);
  folder.AddMask("001.png", LevelsOf(OneCell()));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "belongs to a/001.png and to b/001.png", (void)Open(scratch));
  EXPECT_ERROR(ErrorCode::kNotFound, "", (void)AnnotatedDomain(RealFileSystem(), scratch / "missing"));
}

}  // namespace
}  // namespace hemafed::learning
