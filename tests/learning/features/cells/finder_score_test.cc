// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/finder_score.h"

#include <gtest/gtest.h>

#include "tests/expect_error.h"
#include "tests/learning/features/cells/annotated_folder.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

using hemafed::testing_support::Scratch;
using testing_support::AddLymphocyte;
using testing_support::AnnotatedFolder;
using testing_support::DrawnSmear;
using testing_support::EmptySmear;
using testing_support::LevelsOf;

// Answers with lists given beforehand, picture by picture.
class ScriptedFinder final : public CellFinder {
 public:
  explicit ScriptedFinder(std::vector<std::vector<FoundCell>> answers) : answers_(std::move(answers)) {}
  std::vector<FoundCell> Find(const cv::Mat&) override { return answers_.at(next_++); }
  [[nodiscard]] std::string Description() const override { return "script"; }

 private:
  std::vector<std::vector<FoundCell>> answers_;
  std::size_t next_ = 0;
};

TEST(FinderScore, HandsOverEachPictureWithItsCellsInTheOrderOfTheDomain) {
  const Scratch scratch;
  AnnotatedFolder folder(scratch.path());
  DrawnSmear smear = EmptySmear(200, 200);
  AddLymphocyte(smear, {100, 100}, 40);
  for (const char* name : {"1", "2", "3"}) {
    folder.AddPicture(std::string(name) + ".png", smear.rgb);
    folder.AddMask(std::string(name) + ".png", LevelsOf(smear));
  }
  const AnnotatedDomain domain(RealFileSystem(), scratch.path());
  ScriptedFinder finder({{}, smear.cells, {smear.cells[0], smear.cells[0]}});
  std::vector<std::size_t> counts;
  FinderTally tally;
  const auto take = [&](const AnnotatedPicture& picture, const std::vector<FoundCell>& found) {
    EXPECT_EQ(picture.file, domain.entries()[counts.size()].file);
    counts.push_back(found.size());
    tally.Add(picture, found);
  };
  EXPECT_ERROR(
      ErrorCode::kInterrupted, "stopped after 3 of 3",
      FindInDomain(finder, domain, Split::kTrain, take, [](std::uint64_t done, std::uint64_t) { return done < 3; }));
  EXPECT_EQ(counts, (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_EQ(tally.Score().found, 2u);
  EXPECT_EQ(tally.Score().extra, 1u);
}

TEST(FinderScore, CountsFoundMissedAndExtraCells) {
  const Scratch scratch;
  AnnotatedFolder folder(scratch.path());
  DrawnSmear smear = EmptySmear(200, 200);
  AddLymphocyte(smear, {100, 100}, 40);
  for (const char* name : {"1", "2", "3"}) {
    folder.AddPicture(std::string(name) + ".png", smear.rgb);
    folder.AddMask(std::string(name) + ".png", LevelsOf(smear));
  }
  folder.AddPicture("4.png", smear.rgb, "neutrophil", Split::kTest);
  folder.AddMask("4.png", LevelsOf(smear));
  const AnnotatedDomain domain(RealFileSystem(), scratch.path());
  const FoundCell right{smear.cells[0].box, 0.9f, smear.cells[0].mask};
  const FoundCell wrong{cv::Rect2f(0, 0, 20, 20), 0.3f, cv::Mat::zeros(200, 200, CV_8UC1)};
  ScriptedFinder finder({{right}, {}, {right, wrong}});
  int calls = 0;
  const FinderScore score = ScoreFinder(finder, domain, Split::kTrain, [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_EQ(total, 3u);
    EXPECT_EQ(static_cast<int>(done), ++calls);
    return true;
  });
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(score.pictures, 3u);
  EXPECT_EQ(score.with_none, 1u);
  EXPECT_EQ(score.with_one, 1u);
  EXPECT_EQ(score.with_several, 1u);
  EXPECT_EQ(score.annotated, 3u);
  EXPECT_EQ(score.found, 2u);
  EXPECT_EQ(score.extra, 1u);
  EXPECT_NEAR(score.FoundShare(), 2.0 / 3.0, 1e-12);
  EXPECT_NEAR(score.MeanBoxIou(), 2.0 / 3.0, 1e-12);
  EXPECT_NEAR(score.MeanMaskIou(), 2.0 / 3.0, 1e-12);
  // Two of three are found before any false alarm: precision 1 at recalls 0 to 0.66, 67 of 101.
  EXPECT_NEAR(score.boxes.ap50, 67.0 / 101.0, 1e-9);
  EXPECT_NEAR(score.masks.ap, 67.0 / 101.0, 1e-9);
}

TEST(FinderScore, StopsWhenAskedTo) {
  const Scratch scratch;
  AnnotatedFolder folder(scratch.path());
  folder.AddPicture("1.png", EmptySmear().rgb, "none");
  folder.WriteBoxes("1.png,RBC,1,1,9,9\n");
  const AnnotatedDomain domain(RealFileSystem(), scratch.path());
  ScriptedFinder finder(std::vector<std::vector<FoundCell>>(1));
  EXPECT_ERROR(ErrorCode::kInterrupted, "1 of 1",
               (void)ScoreFinder(finder, domain, Split::kTrain, [](std::uint64_t, std::uint64_t) { return false; }));
}

}  // namespace
}  // namespace hemafed::learning
