// SPDX-License-Identifier: Apache-2.0
#include "studies/ae_cfe/detector_scores.h"

#include <gtest/gtest.h>

#include "tests/expect_error.h"
#include "tests/learning/features/cells/annotated_folder.h"
#include "tests/scratch.h"

namespace hemafed::studies {
namespace {

using hemafed::testing_support::Scratch;
using learning::FoundCell;
using learning::Split;
using learning::testing_support::AddLymphocyte;
using learning::testing_support::AnnotatedFolder;
using learning::testing_support::DrawnSmear;
using learning::testing_support::EmptySmear;
using learning::testing_support::LevelsOf;

// The cell with score 0.9, and something else with score 0.2.
class TwoAnswers final : public learning::CellFinder {
 public:
  explicit TwoAnswers(FoundCell cell) : cell_(std::move(cell)) { cell_.score = 0.9F; }
  [[nodiscard]] std::vector<FoundCell> Find(const cv::Mat& rgb) override {
    return {cell_, {.box = {0, 0, 12, 12}, .score = 0.2F, .mask = cv::Mat::zeros(rgb.size(), CV_8UC1)}};
  }
  [[nodiscard]] std::string Description() const override { return "two answers"; }

 private:
  FoundCell cell_;
};

class DetectorScores : public testing::Test {
 protected:
  void SetUp() override {
    smear_ = EmptySmear(120, 120);
    AddLymphocyte(smear_, {60, 60}, 30);
  }
  // Two test pictures and a training picture; with masks if asked for.
  Path Folder(bool masks) {
    const Path path = scratch_.path() / (masks ? "masked" : "plain");
    AnnotatedFolder folder(path);
    for (const char* name : {"1", "2", "3"}) {
      folder.AddPicture(std::string(name) + ".png", smear_.rgb, "neutrophil",
                        name[0] == '3' ? Split::kTrain : Split::kTest);
      if (masks) folder.AddMask(std::string(name) + ".png", LevelsOf(smear_));
    }
    folder.AddPicture("4_aug1.png", smear_.rgb, "neutrophil", Split::kTest);
    if (masks) folder.AddMask("4_aug1.png", LevelsOf(smear_));
    return path;
  }

  Scratch scratch_;
  DrawnSmear smear_;
};

TEST_F(DetectorScores, UnsureDetectionsCountForPrecisionAlone) {
  TwoAnswers finder(smear_.cells.front());
  const learning::AnnotatedDomain domain(RealFileSystem(), Folder(true));
  const DomainScore score = ScoreDomain(finder, "drawn", domain, 0.5, {});
  EXPECT_EQ(score.domain, "masked");
  EXPECT_EQ(score.counts.pictures, 3u);
  EXPECT_EQ(score.detections, 3u);
  EXPECT_EQ(score.counts.with_one, 3u);
  EXPECT_EQ(score.counts.extra, 0u);
  EXPECT_EQ(score.counts.found, 3u);
  EXPECT_NEAR(score.counts.MeanMaskIou(), 1.0, 1e-12);
  EXPECT_NEAR(score.boxes.ap, 1.0, 1e-12);

  const DomainScore all = ScoreDomain(finder, "drawn", domain, 0.1, {});
  EXPECT_EQ(all.detections, 6u);
  EXPECT_EQ(all.counts.with_several, 3u);
  EXPECT_EQ(all.counts.extra, 3u);
  EXPECT_EQ(all.DetectionsPerPicture(), 2.0);
  EXPECT_EQ(all.boxes.ap, score.boxes.ap);
}

TEST_F(DetectorScores, WithoutAnnotationsDetectionsOfOriginalTestPicturesAreCounted) {
  TwoAnswers finder(smear_.cells.front());
  std::uint64_t last = 0;
  const auto progress = [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_EQ(total, 2u);  // Neither the training picture nor the resampled one.
    last = done;
    return true;
  };
  const Path folder = Folder(false);
  const DomainScore score = CountDetections(finder, "drawn", RealFileSystem(), folder, 0.5, progress);
  EXPECT_EQ(last, 2u);
  EXPECT_EQ(score.counts.pictures, 2u);
  EXPECT_EQ(score.detections, 2u);
  EXPECT_EQ(score.counts.with_one, 2u);
  EXPECT_FALSE(score.annotated);
  EXPECT_ERROR(ErrorCode::kInterrupted, "stopped",
               (void)CountDetections(finder, "drawn", RealFileSystem(), folder, 0.5,
                                     [](std::uint64_t, std::uint64_t) { return false; }));
}

TEST_F(DetectorScores, TablesLeaveOutWhatADomainCannotHave) {
  TwoAnswers finder(smear_.cells.front());
  const learning::AnnotatedDomain domain(RealFileSystem(), Folder(true));
  const std::vector<DomainScore> scores = {ScoreDomain(finder, "drawn", domain, 0.5, {}),
                                           CountDetections(finder, "drawn", RealFileSystem(), Folder(false), 0.5, {})};
  const report::Table table = ScoreTable(scores);
  ASSERT_EQ(table.rows.size(), 2u);
  for (const auto& row : table.rows) EXPECT_EQ(row.size(), table.columns.size());
  EXPECT_NE(report::TextTable(table).find("1.000"), std::string::npos);
  const nlohmann::json json = ScoresToJson(scores);
  EXPECT_EQ(json[0].at("found_cells"), 3);
  EXPECT_EQ(json[0].at("mean_mask_iou"), 1.0);
  EXPECT_EQ(json[0].at("mask_precision").at("ap"), 1.0);
  EXPECT_FALSE(json[1].contains("found_share"));
  EXPECT_FALSE(json[1].contains("mean_mask_iou"));
  EXPECT_EQ(json[1].at("detections"), 2);
}

}  // namespace
}  // namespace hemafed::studies
