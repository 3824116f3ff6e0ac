// SPDX-License-Identifier: Apache-2.0
//
// What a study makes of bad input: every bad picture is left out, counted and named; what a person must decide ends the
// study before anything is trained; a full disk ends it with the last checkpoint intact.
#include <gtest/gtest.h>

#include "common/error.h"
#include "learning/models/model_file.h"
#include "studies/uacl/study_run.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/learning/data/picture_files.h"
#include "tests/studies/uacl/study_fixture.h"
#include "tests/studies/uacl/study_folder.h"

namespace hemafed::studies {
namespace {

using learning::testing_support::CmykJpeg;
using learning::testing_support::Encode;
using learning::testing_support::Png;
using learning::testing_support::SomePicture;
using learning::testing_support::Write;
using testing_support::kDomains;
using testing_support::Replaced;
using testing_support::Smears;
using testing_support::StudyText;

class BadInput : public testing_support::StudyFolder {
 protected:
  // Two classes of one hospital in folders, ten good pictures each, and the label map that fits.
  BadInput() {
    for (std::uint64_t i = 0; i < 10; ++i) {
      Add("basophil/" + std::to_string(i) + ".png", Png(i));
      Add("monocyte/" + std::to_string(i) + ".png", Png(100 + i));
    }
    Write(scratch_ / "study/labels.toml",
          "name = \"two\"\nunknown = \"error\"\ndropped = []\n[[class]]\nname = \"basophil\"\nlabels = "
          "[\"basophil\"]\n[[class]]\nname = \"monocyte\"\nlabels = [\"monocyte\"]\n");
  }
  void Add(const std::string& file, const std::string& bytes) { Write(scratch_ / ("data/lab/" + file), bytes); }
  // Writes the study beside the label map; only `finetuning` runs.
  UaclOptions Study(const std::string& classes = "") {
    std::string text = StudyText("");
    text = text.substr(0, text.find("[[domain]]")) +
           "[[domain]]\nname = \"lab\"\nfolder = \"lab\"\nlayout = \"folders\"\ncrop = 0\nlabels = \"labels.toml\"\n"
           "[[method]]\nname = \"finetuning\"\nstrategy = \"finetuning\"\n"
           "[[experiment]]\nname = \"E\"\ntitle = \"one\"\n[[experiment.task]]\ndomain = \"lab\"\n" +
           classes;
    return Options(
        Replaced(text, R"(classes = ["basophil", "eosinophil", "lymphocyte_typical", "monocyte", "neutrophil"])",
                 R"(classes = ["basophil", "monocyte"])"),
        scratch_ / "data");
  }
};

TEST_F(BadInput, EveryBadPictureIsLeftOutCountedAndNamedAndTheStudyRuns) {
  cv::Mat alpha;
  cv::merge(std::vector<cv::Mat>{SomePicture(40, 32, 7), cv::Mat(32, 40, CV_8UC1, cv::Scalar(9))}, alpha);
  cv::Mat deep;
  SomePicture(40, 32, 8).convertTo(deep, CV_16UC3, 257);
  const std::string jpeg = Encode(".jpg", SomePicture(40, 32, 9));
  Add("basophil/rgba.png", Encode(".png", alpha));   // Read: alpha is dropped.
  Add("basophil/deep.tiff", Encode(".tiff", deep));  // Read: scaled to 8 bits.
  Add("monocyte/cut.jpg", jpeg.substr(0, jpeg.size() / 2));
  Add("monocyte/inks.jpg", CmykJpeg());
  Add("monocyte/dot.png", Png(10, 1, 1));
  Add("monocyte/words.jpg", "not a picture");
  EXPECT_EQ(RunUaclStudy(Study()), 0);
  const std::string imports = Output("imports.txt");
  EXPECT_EQ(imports.rfind("lab: 22 pictures\n", 0), 0u) << imports;
  EXPECT_NE(imports.find("4 files were left out:"), std::string::npos) << imports;
  for (const char* line : {"1  file ends before the picture does\n           monocyte/cut.jpg",
                           "1  a variant of the format that is not read\n           monocyte/inks.jpg",
                           "1  too few pixels\n           monocyte/dot.png",
                           "1  not a picture (JPEG, PNG, BMP or TIFF)\n           monocyte/words.jpg"}) {
    EXPECT_NE(imports.find(line), std::string::npos) << line << "\n" << imports;
  }
  const std::string predictions = Output("predictions.csv");
  for (const char* file : {"cut.jpg", "inks.jpg", "dot.png", "words.jpg"}) {
    EXPECT_EQ(predictions.find(file), std::string::npos) << file;
  }
}

TEST_F(BadInput, AClassWithoutPicturesIsRefusedByName) {
  std::filesystem::remove_all(scratch_ / "data/lab/monocyte");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "lab has no training picture of the class 'monocyte'",
               (void)RunUaclStudy(Study()));
  EXPECT_FALSE(RealFileSystem().Exists(scratch_ / "out/runs"));
  EXPECT_EQ(RunUaclStudy(Study("classes = [\"basophil\"]\n")), 0);
}

TEST_F(BadInput, AFolderThatTheLabelMapMissesIsNamedWithItsFiles) {
  for (std::uint64_t i = 0; i < 3; ++i) Add("megakaryocyte/" + std::to_string(i) + ".png", Png(200 + i));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'megakaryocyte' (3 files)", (void)RunUaclStudy(Study()));
  EXPECT_FALSE(RealFileSystem().Exists(scratch_ / "out/runs"));
}

TEST_F(BadInput, AnUnknownKeyOfTheStudyFileIsNamedWithItsPlace) {
  const UaclOptions options = Options(Replaced(StudyText(kDomains), "epochs = 2", "epochs = 2\nepoch = 3"), Smears());
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'training.epoch'", (void)RunUaclStudy(options));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "study.toml:", (void)RunUaclStudy(options));
}

TEST_F(BadInput, AFullDiskNamesTheCheckpointAndTheRunGoesOnFromTheOneBefore) {
  const StudyFile study = StudyFile::Parse(StudyText(kDomains), "study.toml", scratch_ / "");
  SystemClock clock;
  DescriptorOutput nowhere(-1);
  Progress progress(clock, nowhere);
  const StudyData data(RealFileSystem(), study, {0}, Smears(), scratch_ / "cache", progress);
  const learning::Classifier initial = learning::InitialModel(study.model.architecture, 7, study.model.normalisation);
  const RunKey key{.experiment = 0, .method = study.MethodNamed("uacl"), .budget = {}, .seed = 7};
  const auto run = [&](testing_support::FaultFileSystem& files, const RunObserver& observer) {
    const RunPlace place{.files = &files, .clock = &clock, .study = &study, .data = &data, .folder = "/runs"};
    return MakeRun(place, key, initial, MadeFrom(place, key, Digest{}), observer);
  };
  testing_support::FaultFileSystem roomy;
  const RunResult whole = run(roomy, [](const RunProgress&) {});

  testing_support::FaultFileSystem files;
  // Room for a part of what the second task's checkpoint takes.
  const auto fill = [&](const RunProgress& at) {
    if (at.task == 1) files.SetFreeBytes(10'000);
  };
  EXPECT_ERROR(ErrorCode::kNoSpace, "the disk is full: the checkpoint in /runs/D/uacl/seed-7/checkpoint",
               (void)run(files, fill));
  files.SetFreeBytes(std::nullopt);
  std::set<std::size_t> tasks;
  const RunResult resumed = run(files, [&](const RunProgress& at) { tasks.insert(at.task); });
  EXPECT_EQ(tasks, (std::set<std::size_t>{1, 2}));  // The first task is not learned again.
  EXPECT_EQ(resumed.answers, whole.answers);
  EXPECT_EQ(resumed.model, whole.model);
}

}  // namespace
}  // namespace hemafed::studies
