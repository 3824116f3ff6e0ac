// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/segment.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "learning/data/csv.h"
#include "learning/data/picture.h"
#include "learning/features/cells/classical_segmenter.h"
#include "site_agent/trainer/segment_journal.h"
#include "tests/expect_error.h"
#include "tests/learning/data/picture_files.h"
#include "tests/learning/features/cells/drawn_cells.h"
#include "tests/scratch.h"

namespace hemafed::trainer {
namespace {

using hemafed::testing_support::Scratch;
using learning::FoundCell;
using learning::testing_support::AddLymphocyte;
using learning::testing_support::DrawnSmear;
using learning::testing_support::EmptySmear;
using learning::testing_support::Encode;
using learning::testing_support::Write;

// The classical segmenter that counts how often it is asked.
class CountingFinder final : public learning::CellFinder {
 public:
  std::vector<FoundCell> Find(const cv::Mat& rgb) override {
    ++calls;
    return segmenter_.Find(rgb);
  }
  [[nodiscard]] std::string Description() const override { return segmenter_.Description(); }
  int calls = 0;

 private:
  learning::ClassicalSegmenter segmenter_;
};

std::string PictureWith(int cells) {
  DrawnSmear smear = EmptySmear(500, 400);
  for (int i = 0; i < cells; ++i) AddLymphocyte(smear, {60 + 95 * (i % 5), 90 + 200 * (i / 5)}, 28);
  cv::Mat bgr;
  cv::cvtColor(smear.rgb, bgr, cv::COLOR_RGB2BGR);
  return Encode(".png", bgr);
}

class Segment : public testing::Test {
 protected:
  void SetUp() override {
    Write(Pictures() / "a/none.png", PictureWith(0));
    Write(Pictures() / "a/one.png", PictureWith(1));
    Write(Pictures() / "b/one more.png", PictureWith(1) + "trailing bytes make another digest");
    Write(Pictures() / "b/ten.png", PictureWith(10));
    Write(Pictures() / "b/text.jpg", "this is not a picture");
    Write(Pictures() / "manifest.csv", "file\n");
    Write(Pictures() / "masks/one.png", PictureWith(1));
    Write(Pictures() / ".hidden.png", PictureWith(1));
  }

  [[nodiscard]] Path Pictures() const { return scratch_ / "pictures"; }
  [[nodiscard]] Path Output() const { return scratch_ / "output"; }
  SegmentSummary Go(const SegmentProgress& progress = {}) {
    return SegmentFolder(RealFileSystem(), finder_, settings_, progress);
  }
  [[nodiscard]] std::string Content(const std::string& name) const {
    return ReadFile(RealFileSystem(), Output() / name, 1u << 24);
  }
  [[nodiscard]] bool Exists(const std::string& name) const { return RealFileSystem().Exists(Output() / name); }
  // Every file of the output folder with its content.
  [[nodiscard]] std::map<std::string, std::string> Everything() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(Output())) {
      if (!entry.is_regular_file()) continue;
      const std::string name = std::filesystem::relative(entry.path(), Output()).string();
      all[name] = Content(name);
    }
    return all;
  }

  Scratch scratch_;
  CountingFinder finder_;
  SegmentSettings settings_{.pictures = Pictures(), .output = Output()};
};

TEST_F(Segment, GoesOnWithPicturesOfOneCellAndSaysWhyTheOthersStay) {
  const SegmentSummary summary = Go();
  EXPECT_EQ(summary.pictures, 5u);
  EXPECT_EQ(summary.with_none, 1u);
  EXPECT_EQ(summary.with_one, 2u);
  EXPECT_EQ(summary.with_several, 1u);
  EXPECT_EQ(summary.unreadable, 1u);
  EXPECT_EQ(summary.used, 2u);
  EXPECT_EQ(summary.other_files, 3u);
  EXPECT_EQ(summary.pictures_by_detections, (std::map<std::uint64_t, std::uint64_t>{{0, 1}, {1, 2}, {10, 1}}));
  ASSERT_EQ(summary.left.size(), 3u);
  EXPECT_EQ(summary.left[0].file, "a/none.png");
  EXPECT_EQ(summary.left[0].reason, "no cell found");
  EXPECT_EQ(summary.left[1].reason, "10 cells found");
  EXPECT_EQ(summary.left[2].file, "b/text.jpg");
  EXPECT_EQ(summary.left[2].reason, "not a picture (JPEG, PNG, BMP or TIFF)");

  const std::string report = Content("report.txt");
  EXPECT_EQ(report, SegmentReport(summary));
  EXPECT_NE(report.find("b/ten.png: 10 cells found"), std::string::npos);
  EXPECT_NE(SegmentReport(summary, 1).find("and 2 more in report.txt"), std::string::npos);
  const auto json = nlohmann::json::parse(Content("report.json"));
  EXPECT_EQ(json.at("with_one"), 2);
  EXPECT_EQ(json.at("left").at(1).at("file"), "b/ten.png");
  EXPECT_EQ(json.at("pictures_by_detections").at("10"), 1);
}

TEST_F(Segment, WritesATableCropsDrawingsAndSheets) {
  (void)Go();
  const learning::CsvTable table = learning::ParseCsv(Content("cells.csv"), "cells.csv");
  ASSERT_EQ(table.rows.size(), 12u);
  EXPECT_EQ(table.header,
            (std::vector<std::string>{"file", "detections", "cell", "x0", "y0", "x1", "y1", "score", "crop"}));
  EXPECT_EQ(table.rows[0].fields[0], "a/one.png");
  EXPECT_EQ(table.rows[0].fields[8], "crops/a/one.png.png");
  EXPECT_NEAR(std::stod(table.rows[0].fields[3]), 60 - 28, 6);
  EXPECT_NEAR(std::stod(table.rows[0].fields[6]), 90 + 28, 6);
  EXPECT_EQ(table.rows[2].fields[1], "10");
  EXPECT_EQ(table.rows[2].fields[8], "");  // Of several cells none goes on.

  const auto decoded = learning::DecodePicture(AsBytes(Content("crops/a/one.png.png")));
  ASSERT_TRUE(std::holds_alternative<cv::Mat>(decoded));
  const cv::Mat& crop = std::get<cv::Mat>(decoded);
  EXPECT_EQ(crop.size(), cv::Size(128, 128));
  EXPECT_EQ(crop.at<cv::Vec3b>(55, 55), cv::Vec3b(84, 44, 130));  // The nucleus, in RGB.
  EXPECT_TRUE(Exists("overlays/b/ten.png.png"));
  EXPECT_FALSE(Exists("crops/b/ten.png.png"));
  EXPECT_FALSE(Exists("overlays/b/text.jpg.png"));
  EXPECT_TRUE(Exists("sheets/crops-001.png"));
  EXPECT_TRUE(Exists("sheets/left-001.png"));
}

TEST_F(Segment, TakesTheBestOfSeveralIfToldTo) {
  settings_.take_best = true;
  const SegmentSummary summary = Go();
  EXPECT_EQ(summary.used, 3u);
  EXPECT_TRUE(Exists("crops/b/ten.png.png"));
  ASSERT_EQ(summary.left.size(), 2u);
  const learning::CsvTable table = learning::ParseCsv(Content("cells.csv"), "cells.csv");
  EXPECT_EQ(table.rows[2].fields[8], "crops/b/ten.png.png");
  EXPECT_EQ(table.rows[3].fields[8], "");
  EXPECT_GE(std::stod(table.rows[2].fields[7]), std::stod(table.rows[3].fields[7]));
}

TEST_F(Segment, DoesNotCountCellsBelowTheSmallestScore) {
  settings_.min_score = 0.999;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "none of 5 pictures goes on", (void)Go());
  EXPECT_NE(Content("report.txt").find("b/ten.png: no cell found"), std::string::npos);  // Written all the same.
  EXPECT_TRUE(Exists("sheets/left-001.png"));
}

TEST_F(Segment, OnePictureThatCannotBeDrawnEndsNoRun) {
  // "<name>.png.tmp" is longer than a file system takes.
  const std::string name = std::string(250, 'x') + ".png";
  Write(Pictures() / name, PictureWith(1));
  const SegmentSummary summary = Go();
  EXPECT_EQ(summary.pictures, 6u);
  EXPECT_EQ(summary.used, 2u);
  EXPECT_EQ(summary.unreadable, 2u);
  EXPECT_TRUE(Exists("report.txt"));
}

TEST_F(Segment, MasksAreNoPicturesWhereverTheyLie) {
  Write(Pictures() / "a/masks/one.png", PictureWith(1));
  const SegmentSummary summary = Go();
  EXPECT_EQ(summary.pictures, 5u);
  EXPECT_EQ(summary.other_files, 4u);
}

TEST_F(Segment, AnOutputFolderIsOfOneFolderOfPictures) {
  (void)Go();
  std::filesystem::copy(Pictures(), scratch_ / "others", std::filesystem::copy_options::recursive);
  settings_.pictures = scratch_ / "others";
  EXPECT_ERROR(ErrorCode::kConflict, "", (void)Go());
  // Nor are its own crops pictures for it.
  settings_.pictures = Output() / "crops";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "lies within the output folder", (void)Go());
}

TEST_F(Segment, ACropOfAnotherPictureDoesNotStay) {
  (void)Go();
  ASSERT_TRUE(Exists("crops/a/one.png.png"));
  Write(Pictures() / "a/one.png", PictureWith(3));
  (void)Go();
  EXPECT_FALSE(Exists("crops/a/one.png.png"));
}

TEST_F(Segment, AStopWhileSheetsAreDrawnLosesNothingElse) {
  const auto stop_at_sheets = [sheets = 0](std::uint64_t done, std::uint64_t total) mutable {
    return done < total || ++sheets < 2;
  };
  EXPECT_ERROR(ErrorCode::kInterrupted, "reports and crops are complete", (void)Go(stop_at_sheets));
  EXPECT_TRUE(Exists("report.json"));
  EXPECT_TRUE(Exists("cells.csv"));
  EXPECT_EQ(Go().from_journal, 4u);
  EXPECT_TRUE(Exists("sheets/crops-001.png"));
}

TEST_F(Segment, GoesOnAfterAStopWithTheSameResult) {
  (void)Go();
  const auto whole = Everything();
  const int calls = finder_.calls;
  for (std::uint64_t stop_after = 1; stop_after <= 4; ++stop_after) {
    std::filesystem::remove_all(Output());
    finder_.calls = 0;
    EXPECT_ERROR(ErrorCode::kInterrupted, "the same command goes on",
                 (void)Go([&](std::uint64_t done, std::uint64_t) { return done < stop_after; }));
    EXPECT_FALSE(Exists("report.txt"));
    (void)Go();
    EXPECT_EQ(finder_.calls, calls);  // Nothing was found twice.
    auto again = Everything();
    again["report.txt"] = whole.at("report.txt");  // It says how much was there.
    EXPECT_EQ(again, whole) << "stopped after " << stop_after;
  }
}

TEST_F(Segment, FindsAgainWhatWasCutOffChangedOrRemoved) {
  (void)Go();
  const std::string journal = Content(std::string(kSegmentJournalFile));
  finder_.calls = 0;
  EXPECT_EQ(Go().from_journal, 4u);
  EXPECT_EQ(finder_.calls, 0);

  // The last line was being written.
  Write(Output() / kSegmentJournalFile, journal.substr(0, journal.size() - 5));
  EXPECT_EQ(Go().from_journal, 3u);
  EXPECT_EQ(Content(std::string(kSegmentJournalFile)), journal);
  // A drawing was removed.
  RealFileSystem().Remove(Output() / "overlays/a/one.png.png");
  EXPECT_EQ(Go().from_journal, 3u);
  EXPECT_TRUE(Exists("overlays/a/one.png.png"));
  // A picture was replaced.
  Write(Pictures() / "a/none.png", PictureWith(2));
  const SegmentSummary summary = Go();
  EXPECT_EQ(summary.from_journal, 3u);
  EXPECT_EQ(summary.with_several, 2u);
}

TEST_F(Segment, CountsAnewWithAnotherScoreOrChoiceAndFindsOnlyWhatIsDrawnOtherwise) {
  (void)Go();
  const auto first = Everything();
  const auto expect_as_first = [&] {
    auto now = Everything();
    // How much was there, and what was done again.
    for (const std::string& name : {std::string("report.txt"), std::string(kSegmentJournalFile)}) {
      now[name] = first.at(name);
    }
    EXPECT_EQ(now, first);
  };
  finder_.calls = 0;
  settings_.take_best = true;
  EXPECT_EQ(Go().used, 3u);
  EXPECT_EQ(finder_.calls, 1);  // The picture with ten cells had no crop.
  EXPECT_TRUE(Exists("crops/b/ten.png.png"));
  settings_.take_best = false;
  EXPECT_EQ(Go().used, 2u);
  EXPECT_EQ(finder_.calls, 1);
  expect_as_first();

  finder_.calls = 0;
  settings_.min_score = 0.999;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "none of 5 pictures goes on", (void)Go());
  EXPECT_EQ(finder_.calls, 3);  // All that had a cell.
  EXPECT_FALSE(Exists("crops/a/one.png.png"));
  settings_.min_score = 0;
  EXPECT_EQ(Go().used, 2u);
  expect_as_first();
}

TEST_F(Segment, TwoRunsOnOneOutputFolderExcludeEachOther) {
  CountingFinder second;
  const auto begin_another = [&](std::uint64_t, std::uint64_t) {
    EXPECT_ERROR(ErrorCode::kConflict, "another run of hemafed-train segment",
                 (void)SegmentFolder(RealFileSystem(), second, settings_));
    return true;
  };
  EXPECT_EQ(Go(begin_another).used, 2u);
  EXPECT_EQ(second.calls, 0);
  EXPECT_EQ(Go().from_journal, 4u);
}

TEST_F(Segment, RefusesAJournalOfOtherSettingsOrWithDamage) {
  (void)Go();
  settings_.crop.side = 64;
  EXPECT_ERROR(ErrorCode::kConflict, "other settings: side was 128, is 64. Name another output folder", (void)Go());
  settings_.crop.side = 128;
  std::string journal = Content(std::string(kSegmentJournalFile));
  for (const std::string& line : {std::string(R"({"settings":{},"version":1})"), std::string("not an object"),
                                  std::string(R"({"settings":[7],"version":2})")}) {
    Write(Output() / kSegmentJournalFile, line + journal.substr(journal.find('\n')));
    EXPECT_ERROR(ErrorCode::kConflict, "by another version of this program", (void)Go());
  }
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"\"cells\":[]", "\"cells\":7"},
                                                        {"\"cells\":[]", "\"cells\":[[1,2,3]]"},
                                                        {"\"file\"", "\"flie\""},
                                                        {"\"sha256\":\"", "\"sha256\":\"x"},
                                                        {"{\"cells\"", "\"cells\""},
                                                        {"\"cells\":[]", "\"cells\":[[9,2,3,4,1]]"},
                                                        {"\"drawn\":0", "\"drawn\":-1"},
                                                        {"\"drawn\":0", "\"drawn\":1"}}) {
    std::string damaged = journal;
    damaged.replace(damaged.find(from), from.size(), to);
    Write(Output() / kSegmentJournalFile, damaged);
    EXPECT_ERROR(ErrorCode::kCorrupt, "line ", (void)Go());
    EXPECT_ERROR(ErrorCode::kCorrupt, "to find all cells again", (void)Go());
  }
}

TEST_F(Segment, RefusesFoldersThatCannotBeMeant) {
  settings_.output = Pictures() / "results";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "within the folder of pictures", (void)Go());
  EXPECT_FALSE(RealFileSystem().Exists(settings_.output));
  settings_.output = Output();
  settings_.pictures = scratch_ / "missing";
  EXPECT_ERROR(ErrorCode::kNotFound, "missing", (void)Go());
  RealFileSystem().CreateFolders(scratch_ / "empty");
  settings_.pictures = scratch_ / "empty";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no file named like a picture", (void)Go());
}

}  // namespace
}  // namespace hemafed::trainer
