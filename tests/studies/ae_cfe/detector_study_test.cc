// SPDX-License-Identifier: Apache-2.0
//
// `hemafed-study ae-cfe detect` over a few drawn cells: what it writes, stopping and going on, and what it refuses.
#include "studies/ae_cfe/detector_study.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/digest_of_file.h"
#include "common/folder_lock.h"
#include "learning/features/detection/detector_file.h"
#include "learning/models/model_file.h"
#include "tests/expect_error.h"
#include "tests/learning/features/cells/annotated_folder.h"
#include "tests/learning/philox_tensors.h"
#include "tests/scratch.h"

namespace hemafed::studies {
namespace {

using hemafed::testing_support::Scratch;
using learning::Split;
using learning::testing_support::AddLymphocyte;
using learning::testing_support::AnnotatedFolder;
using learning::testing_support::DrawnSmear;
using learning::testing_support::EmptySmear;
using learning::testing_support::LevelsOf;

// Two training pictures and a test picture with masks, as many with a box, a test picture without annotations, and
// made-up weights: one folder for all tests.
const Path& Data() {
  static const Scratch scratch;
  static const Path folder = [] {
    AnnotatedFolder masked(scratch / "masked"), boxed(scratch / "boxed"), plain(scratch / "plain");
    std::string boxes;
    for (int i = 0; i < 3; ++i) {
      DrawnSmear smear = EmptySmear(96, 96);
      AddLymphocyte(smear, {40 + 8 * i, 48}, 22 + 2 * i);
      const std::string file = std::to_string(i) + ".png";
      const Split split = i == 2 ? Split::kTest : Split::kTrain;
      masked.AddPicture(file, smear.rgb, "lymphocyte", split);
      masked.AddMask(file, LevelsOf(smear));
      boxed.AddPicture(file, smear.rgb, "lymphocyte", split);
      const cv::Rect2f& box = smear.cells.front().box;
      boxes += file + ",WBC," + std::to_string(box.x) + "," + std::to_string(box.y) + "," +
               std::to_string(learning::Right(box)) + "," + std::to_string(learning::Bottom(box)) + "\n";
      if (i == 2) plain.AddPicture(file, smear.rgb, "lymphocyte", split);
    }
    boxed.WriteBoxes(boxes);
    (void)learning::SaveModel(RealFileSystem(), scratch / "lite0.safetensors",
                              learning::testing_support::RecipeModel(learning::Architecture::kEfficientNetLite0, 0),
                              {});
    return scratch / "";
  }();
  return folder;
}

class DetectorStudy : public testing::Test {
 protected:
  DetectorStudyOptions Options(const std::string& output) {
    DetectorStudyOptions options;
    options.data = Data();
    options.output = scratch_ / output;
    options.weights = Data() / "lite0.safetensors";
    options.annotated = {"masked", "boxed"};
    options.others = {"plain"};
    options.steps = 2;
    options.threads = 1;
    options.min_score = 0.1;
    options.stop = [] { return false; };
    return options;
  }
  [[nodiscard]] std::string Content(const std::string& name) const {
    return ReadFile(RealFileSystem(), scratch_ / name, 1u << 20);
  }

  Scratch scratch_;
};

TEST_F(DetectorStudy, StoppedAfterAStepGoesOnToTheSameDetectorAndScores) {
  ASSERT_EQ(RunDetectorStudy(Options("whole")), 0);
  DetectorStudyOptions broken = Options("broken");
  int asked = 0;
  broken.stop = [&] { return ++asked == 2; };
  EXPECT_ERROR(ErrorCode::kInterrupted, "stopped after 1 steps", (void)RunDetectorStudy(broken));
  EXPECT_TRUE(RealFileSystem().Exists(scratch_ / "broken/checkpoint"));
  EXPECT_FALSE(RealFileSystem().Exists(scratch_ / "broken/detector.safetensors"));
  ASSERT_EQ(RunDetectorStudy(Options("broken")), 0);
  EXPECT_EQ(DigestOfFile(RealFileSystem(), scratch_ / "broken/detector.safetensors"),
            DigestOfFile(RealFileSystem(), scratch_ / "whole/detector.safetensors"));
  for (const char* name : {"detection.json", "detection.txt", "detection.md"}) {
    EXPECT_EQ(Content("broken/" + std::string(name)), Content("whole/" + std::string(name))) << name;
  }

  // Both finders on all three domains; what is written is what was trained.
  const auto summary = nlohmann::json::parse(Content("whole/detection.json"));
  ASSERT_EQ(summary.at("scores").size(), 6u);
  EXPECT_EQ(summary.at("detector_sha256"),
            DigestOfFile(RealFileSystem(), scratch_ / "whole/detector.safetensors").Hex());
  const auto& classical = summary.at("scores").at(3);
  EXPECT_EQ(classical.at("finder"), "classical");
  EXPECT_EQ(classical.at("domain"), "masked");
  EXPECT_EQ(classical.at("pictures"), 1);
  EXPECT_EQ(classical.at("found_cells"), 1);
  EXPECT_FALSE(summary.at("scores").at(4).contains("mask_precision"));
  EXPECT_FALSE(summary.at("scores").at(5).contains("annotated_cells"));
  const learning::Detector trained = learning::LoadDetector(RealFileSystem(), scratch_ / "whole/detector.safetensors");
  EXPECT_EQ(trained.settings().body, learning::DetectorBody::kEfficientNetLite0);
}

TEST_F(DetectorStudy, AnOtherFolderThatIsNotThereIsSaidBeforeTraining) {
  DetectorStudyOptions options = Options("run");
  options.others = {"plain", "nowhere"};
  options.stop = [] {
    ADD_FAILURE() << "training began";
    return true;
  };
  EXPECT_ERROR(ErrorCode::kNotFound, "nowhere", (void)RunDetectorStudy(options));
  EXPECT_FALSE(RealFileSystem().Exists(options.output / "checkpoint"));
}

TEST_F(DetectorStudy, AFolderHoldsOneRunButAnotherScoreIsNoOtherRun) {
  DetectorStudyOptions options = Options("run");
  options.steps = 1;
  ASSERT_EQ(RunDetectorStudy(options), 0);
  const Digest digest = DigestOfFile(RealFileSystem(), scratch_ / "run/detector.safetensors");
  const auto expect_refused = [&](const char* words, const auto& change) {
    DetectorStudyOptions other = options;
    change(other);
    EXPECT_ERROR(ErrorCode::kConflict, words, (void)RunDetectorStudy(other));
    EXPECT_EQ(DigestOfFile(RealFileSystem(), scratch_ / "run/detector.safetensors"), digest);
  };
  expect_refused("is of another run", [](DetectorStudyOptions& o) { o.seed = 2; });
  expect_refused("is of another run", [](DetectorStudyOptions& o) { o.steps = 2; });
  expect_refused("is of another run", [](DetectorStudyOptions& o) { o.annotated = {"masked"}; });
  expect_refused("is of another run", [](DetectorStudyOptions& o) { o.masked_times = 4; });

  DetectorStudyOptions surer = options;
  surer.min_score = 1;
  surer.others = {};
  ASSERT_EQ(RunDetectorStudy(surer), 0);
  EXPECT_EQ(DigestOfFile(RealFileSystem(), scratch_ / "run/detector.safetensors"), digest);
  EXPECT_EQ(nlohmann::json::parse(Content("run/detection.json")).at("scores").size(), 4u);
}

TEST_F(DetectorStudy, RefusesAFolderInUseAndADomainThatIsNotThere) {
  const DetectorStudyOptions options = Options("run");
  RealFileSystem().CreateFolders(options.output);
  {
    const FolderLock lock(options.output);
    EXPECT_ERROR(ErrorCode::kConflict, "another study runs on", (void)RunDetectorStudy(options));
  }
  DetectorStudyOptions missing = options;
  missing.annotated.emplace_back("nowhere");
  EXPECT_ERROR(ErrorCode::kNotFound, "nowhere", (void)RunDetectorStudy(missing));
  EXPECT_FALSE(RealFileSystem().Exists(options.output / "run.json"));
}

}  // namespace
}  // namespace hemafed::studies
