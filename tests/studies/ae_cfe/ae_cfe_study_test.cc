// tests/studies/ae_cfe/ae_cfe_study_test.cc
// SPDX-License-Identifier: Apache-2.0
//
// The whole command over drawn smears of three hospitals.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "learning/features/autoencoder/autoencoder_file.h"
#include "learning/features/autoencoder/cell_batches.h"
#include "learning/features/detection/detector_file.h"
#include "learning/models/model_file.h"
#include "studies/ae_cfe/ae_cfe_command.h"
#include "tests/expect_error.h"
#include "tests/scratch.h"
#include "tests/studies/uacl/study_fixture.h"

namespace hemafed::studies {
namespace {

using testing_support::kHospitals;
using testing_support::Scratch;
using testing_support::Smears;

std::string StudyText(const std::string& arms) {
  std::string text = R"(
format = 1
name = "small"
title = "A small study"
part = "test"
seeds = [3, 4]
[matrix]
split = "own"
shared_classes_only = true
[forest]
trees = 20
depth = 16
[map]
rows = 60
perplexity = 5.0
steps = 30
[drift]
permutations = 19
rows = 100
seed = 1
)";
  for (const char* hospital : kHospitals) {
    text += "[[domain]]\nname = \"" + std::string(hospital) + "\"\nfolder = \"" + hospital +
            "\"\nlayout = \"manifest\"\nlabels = \"" + HEMAFED_SOURCE_DIR +
            "/configs/labels/five_wbc.toml\"\ncrop = 0\n";
  }
  return text + arms;
}

const char* kPixels = "[[arm]]\nname = \"pixels\"\ntitle = \"Pixels\"\nkind = \"flattened\"\nside = 16\n";

AeCfeOptions Options(const Scratch& scratch, const std::string& arms) {
  WriteFileAtomically(RealFileSystem(), scratch / "study.toml", StudyText(arms));
  AeCfeOptions options;
  options.study = scratch / "study.toml";
  options.data = Smears();
  options.output = scratch / "out";
  options.jobs = 2;
  options.command_line = {"hemafed-study", "ae-cfe"};
  return options;
}

std::string Output(const Scratch& scratch, const std::string& name) {
  return ReadFile(RealFileSystem(), scratch / "out" / name, 64u << 20);
}

TEST(AeCfeStudy, MakesTheMatrixMapsAndDriftOfEveryArm) {
  const Scratch scratch;
  ASSERT_EQ(RunAeCfeMatrix(Options(scratch, kPixels)), 0);
  const auto summary = nlohmann::json::parse(Output(scratch, "summary.json"));
  const auto& arm = summary.at("arms").at("pixels");
  EXPECT_EQ(arm.at("features"), 16 * 16 * 3);
  ASSERT_EQ(arm.at("cells").size(), 9u);
  EXPECT_EQ(arm.at("in_domain").at("runs"), 2);
  EXPECT_EQ(arm.at("drift").size(), 3u);
  const std::string csv = Output(scratch, "matrix.csv");
  EXPECT_NE(csv.find("pixels,3,matek-19,int-20,whole,"), std::string::npos);
  EXPECT_NE(csv.find(",40\n"), std::string::npos) << "the whole of a domain has 40 pictures";
  // The summary's figures again, from the counts: 3 domains at home, 6 pairs, 2 seeds each.
  double home = 0, across = 0;
  std::istringstream lines(csv);
  std::string line;
  for (std::getline(lines, line); std::getline(lines, line);) {
    std::vector<std::string> fields;
    std::istringstream row(line);
    for (std::string field; std::getline(row, field, ',');) fields.push_back(field);
    ASSERT_EQ(fields.size(), 7u) << line;
    const double part = std::stod(fields[5]) / std::stod(fields[6]);
    if (fields[2] == fields[3]) home += part / 6;
    if (fields[4] == "whole") across += part / 12;
  }
  EXPECT_NEAR(arm.at("in_domain").at("mean"), home, 1e-12);
  EXPECT_NEAR(arm.at("across_whole").at("mean"), across, 1e-12);
  EXPECT_GT(home, 0);
  for (const char* name : {"report.html", "tables.md", "tables.txt", "record.json", "plots/pixels-tsne.svg",
                           "plots/pixels-components.svg", "plots/pixels-confusion.svg", "plots/accuracy.svg"}) {
    EXPECT_FALSE(Output(scratch, name).empty()) << name;
  }
}

TEST(AeCfeStudy, GoesOnFromKeptFeaturesAndAnswersAndGivesTheSameBytes) {
  const Scratch scratch;
  const AeCfeOptions options = Options(scratch, kPixels);
  ASSERT_EQ(RunAeCfeMatrix(options), 0);
  const std::string summary = Output(scratch, "summary.json");
  const std::string report = Output(scratch, "report.html");
  const Path features = scratch / "out" / "features/pixels/int-20.safetensors";
  const auto made = std::filesystem::last_write_time(features);
  // One run is lost; the other and the features are there.
  std::filesystem::remove(scratch / "out" / "runs/pixels/seed-4.json");
  const auto kept = std::filesystem::last_write_time(scratch / "out" / "runs/pixels/seed-3.json");
  ASSERT_EQ(RunAeCfeMatrix(options), 0);
  EXPECT_EQ(Output(scratch, "summary.json"), summary);
  EXPECT_EQ(Output(scratch, "report.html"), report);
  EXPECT_EQ(std::filesystem::last_write_time(features), made) << "features were extracted again";
  EXPECT_EQ(std::filesystem::last_write_time(scratch / "out" / "runs/pixels/seed-3.json"), kept);
  EXPECT_TRUE(std::filesystem::exists(scratch / "out" / "runs/pixels/seed-4.json"));
}

// The features that one arm left are another arm's files: same features, same answers.
TEST(AeCfeStudy, TakesFeatureFilesOfOtherPrograms) {
  const Scratch scratch;
  ASSERT_EQ(RunAeCfeMatrix(Options(scratch, kPixels)), 0);
  const std::string files = "[[arm]]\nname = \"files\"\ntitle = \"Files\"\nkind = \"files\"\nfolder = \"" +
                            (scratch / "out/features/pixels").string() + "\"\n";
  ASSERT_EQ(RunAeCfeMatrix(Options(scratch, kPixels + files)), 0);
  const auto summary = nlohmann::json::parse(Output(scratch, "summary.json"));
  EXPECT_EQ(summary.at("arms").at("files").at("cells"), summary.at("arms").at("pixels").at("cells"));
  EXPECT_EQ(summary.at("across_whole_differences").at(0).at("difference"), 0.0);
}

TEST(AeCfeStudy, RefusesFeatureFilesOfOtherPictures) {
  const Scratch scratch;
  learning::DomainFeatures other{.domain = "x",
                                 .classes = {"basophil", "eosinophil", "lymphocyte_typical", "monocyte", "neutrophil"}};
  other.features = learning::FeatureMatrix(40, 2);
  for (std::uint32_t i = 0; i < 40; ++i) {
    other.features.values[2 * i] = static_cast<float>(i);
    other.labels.push_back(i % 5);
    other.test.push_back(i % 4 == 0 ? 1 : 0);
  }
  std::filesystem::create_directories(scratch / "latents");
  for (const char* hospital : kHospitals) {
    other.domain = hospital;
    learning::SaveFeatures(RealFileSystem(), scratch / "latents" / (std::string(hospital) + ".safetensors"), other);
  }
  const std::string arm = "[[arm]]\nname = \"files\"\ntitle = \"Files\"\nkind = \"files\"\nfolder = \"latents\"\n";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "other classes, labels or test pictures than the study's",
               (void)RunAeCfeMatrix(Options(scratch, kPixels + arm)));
}

TEST(AeCfeStudy, ValidationLeavesTheTestPicturesAlone) {
  const Scratch scratch;
  AeCfeOptions options = Options(scratch, kPixels);
  std::string text = StudyText(kPixels);
  text.replace(text.find("part = \"test\""), 13, "part = \"validation\"");
  WriteFileAtomically(RealFileSystem(), options.study, text);
  options.seeds = {3};
  ASSERT_EQ(RunAeCfeMatrix(options), 0);
  // 30 training pictures a hospital, 6 of them the validation fifth; its 10 test pictures are in no cell.
  const std::string csv = Output(scratch, "matrix.csv");
  EXPECT_NE(csv.find(",whole,"), std::string::npos);
  std::istringstream lines(csv);
  std::string line;
  for (std::getline(lines, line); std::getline(lines, line);)
    EXPECT_TRUE(line.ends_with(line.find("whole") != std::string::npos ? ",30" : ",6")) << line;
}

// Random weights find something in any picture as long as every score counts.
void WriteSomeDetector(const Path& file) {
  learning::DetectorSettings settings = learning::SmallMachineDetector();
  settings.frame.min_side = settings.frame.max_side = 96;
  settings.detections.min_score = 0;
  learning::SaveDetector(RealFileSystem(), file, learning::InitialDetector(settings, 3));
}

std::string CellArm(const std::string& name, const std::string& kind, const std::string& more = "") {
  return "[[arm]]\nname = \"" + name + "\"\ntitle = \"" + name + "\"\nkind = \"" + kind +
         "\"\nside = 96\ndetector = \"detector.safetensors\"\n" + more;
}

const char* kAligned =
    "target = \"cell\"\ncells = \"train\"\nbottlenecks = [8]\npicture_loss = \"mse\"\ndomains = \"alignment\"\n"
    "beta = 5.0\nsource = \"matek-19\"\nepochs = 1\nbatch = 45\nlearning_rate = 1e-3\nseed = 0\n";

TEST(AeCfeStudy, TrainsAnAutoencoderOnTheCellsThatADetectorFinds) {
  const Scratch scratch;
  const std::string arms = CellArm("raw", "detector") + CellArm("latents", "autoencoder", kAligned);
  AeCfeOptions options = Options(scratch, arms);
  EXPECT_ERROR(ErrorCode::kNotFound, "'hemafed-study ae-cfe detect' trains one", (void)RunAeCfeMatrix(options));
  WriteSomeDetector(scratch / "detector.safetensors");
  ASSERT_EQ(RunAeCfeMatrix(options), 0);
  const auto summary = nlohmann::json::parse(Output(scratch, "summary.json"));
  EXPECT_EQ(summary.at("arms").at("raw").at("features"), 256 * 14 * 14);
  EXPECT_EQ(summary.at("arms").at("latents").at("features"), 8);

  std::vector<std::string> runs;
  for (const auto& entry : std::filesystem::directory_iterator(scratch / "out/arms/latents"))
    runs.push_back(entry.path().filename().string());
  ASSERT_EQ(runs.size(), 1u);
  const std::string run = "arms/latents/" + runs.front();
  const auto training = nlohmann::json::parse(Output(scratch, run + "/training.json"));
  EXPECT_EQ(training.at("cells"), 120) << "40 pictures of each of three hospitals";
  EXPECT_EQ(training.at("learned_from"), 90) << "30 of them are training pictures";
  ASSERT_EQ(training.at("epochs").size(), 1u);
  EXPECT_EQ(training.at("epochs")[0].at("terms"), 4) << "two pairs of domains in each of two batches";

  // A row of the features is the encoder's word about the record of the same picture.
  const auto model = learning::LoadAutoencoder(RealFileSystem(), scratch / "out" / run / "autoencoder.safetensors");
  std::vector<Path> caches;
  for (const auto& entry : std::filesystem::directory_iterator(scratch / "out/cells"))
    if (entry.path().extension() == ".hfc") caches.push_back(entry.path());
  ASSERT_EQ(caches.size(), 1u) << "one for both arms";
  const auto cells = learning::FeatureCache::Open(RealFileSystem(), caches.front());
  const at::NoGradGuard no_gradients;
  const at::Tensor latent =
      model.Encode(learning::ReadCells(cells, std::vector<std::uint32_t>{47}, at::kCPU).features).flatten();
  const auto rows = learning::LoadFeatures(RealFileSystem(), scratch / "out/features/latents/int-20.safetensors");
  for (std::size_t i = 0; i < 8; ++i)
    EXPECT_NEAR(rows.features.Row(7)[i], latent[static_cast<std::int64_t>(i)].item<float>(), 1e-5);

  // Lost features come back from the autoencoder, not from another training.
  const std::string before = Output(scratch, "features/latents/int-20.safetensors");
  std::filesystem::remove_all(scratch / "out/features/latents");
  const auto trained = std::filesystem::last_write_time(scratch / "out" / run / "autoencoder.safetensors");
  options.arms = {"latents"};
  ASSERT_EQ(RunAeCfeMatrix(options), 0);
  EXPECT_EQ(Output(scratch, "features/latents/int-20.safetensors"), before);
  EXPECT_EQ(std::filesystem::last_write_time(scratch / "out" / run / "autoencoder.safetensors"), trained);
}

// One picture, normalised by hand (ImageNet's mean and standard deviation), through the network by itself.
TEST(AeCfeStudy, TrunkFeaturesAreThoseOfTheNetworkForEachPicture) {
  const Scratch scratch;
  (void)learning::WriteInitialModel(RealFileSystem(), scratch / "small.safetensors", learning::Architecture::kSmallCnn,
                                    9);
  WriteFileAtomically(RealFileSystem(), scratch / "study.toml",
                      StudyText("[[arm]]\nname = \"trunk\"\ntitle = \"Trunk\"\nkind = \"trunk\"\nside = 32\n"
                                "weights = \"small.safetensors\"\n"));
  const AeCfeFile study = AeCfeFile::Load(RealFileSystem(), scratch / "study.toml");
  const ArmTalk quiet = [](const std::string&, std::uint64_t, std::uint64_t) {};
  StudyPictures pictures(RealFileSystem(), study, Smears(), scratch / "cache", quiet);
  const auto arm = MakePictureArm(RealFileSystem(), study.arms.front(), pictures);
  const auto domains = arm->Extract(0, quiet);
  ASSERT_EQ(domains.size(), 3u);
  EXPECT_EQ(domains[1].features.rows, 40u);
  ASSERT_EQ(domains[1].features.columns, 128u);

  const learning::Classifier model = learning::LoadModel(RealFileSystem(), scratch / "small.safetensors");
  const auto& source = pictures.Open(1, 32);
  const auto part = pictures.PartOf(source);
  const float mean[] = {0.485f, 0.456f, 0.406f}, deviation[] = {0.229f, 0.224f, 0.225f};
  for (const std::size_t row : {std::size_t{0}, std::size_t{17}, std::size_t{39}}) {
    const cv::Mat tile = source.Tile(part.positions[row]);
    at::Tensor image = at::empty({1, 3, 32, 32});
    for (int y = 0; y < 32; ++y) {
      for (int x = 0; x < 32; ++x) {
        for (int c = 0; c < 3; ++c)
          image[0][c][y][x] = (static_cast<float>(tile.at<cv::Vec3b>(y, x)[c]) / 255 - mean[c]) / deviation[c];
      }
    }
    const at::NoGradGuard no_gradients;
    const at::Tensor features = model.Features(image).contiguous();
    for (std::size_t i = 0; i < 128; ++i)
      EXPECT_NEAR(domains[1].features.Row(row)[i], features.const_data_ptr<float>()[i], 1e-4) << row << " " << i;
  }
}

TEST(AeCfeStudy, RefusesAnArmThatIsNotThere) {
  const Scratch scratch;
  AeCfeOptions options = Options(scratch, kPixels);
  options.arms = {"latents"};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no arm 'latents'", (void)RunAeCfeMatrix(options));
}

}  // namespace
}  // namespace hemafed::studies
