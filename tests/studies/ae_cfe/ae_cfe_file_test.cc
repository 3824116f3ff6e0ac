// tests/studies/ae_cfe/ae_cfe_file_test.cc
// SPDX-License-Identifier: Apache-2.0
#include "studies/ae_cfe/ae_cfe_file.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "learning/data/label_map.h"
#include "learning/features/autoencoder/autoencoder_settings.h"
#include "tests/expect_error.h"

namespace hemafed::studies {
namespace {

AeCfeFile Thesis() {
  return AeCfeFile::Load(RealFileSystem(), Path(HEMAFED_SOURCE_DIR) / "configs/ae_cfe/thesis_ae_cfe.toml");
}

std::string Sample() {
  return ReadFile(RealFileSystem(), Path(HEMAFED_SOURCE_DIR) / "configs/ae_cfe/sample_ae_cfe.toml", 1 << 16);
}

AeCfeFile Parsed(const std::string& text) { return AeCfeFile::Parse(text, "study.toml", "/studies"); }

std::string With(const std::string& from, const std::string& to) {
  std::string text = Sample();
  const std::size_t at = text.find(from);
  if (at == std::string::npos) ADD_FAILURE() << "there is no '" << from << "'";
  return text.replace(at, from.size(), to);
}

TEST(AeCfeFile, SampleStudyHasThePublishedForestAndFiveArms) {
  const AeCfeFile study = Parsed(Sample());
  EXPECT_EQ(study.matrix.forest, learning::ForestSettings{});
  EXPECT_EQ(study.matrix.split, learning::MatrixSplit::kOwn);
  EXPECT_EQ(study.seeds.size(), 5u);
  ASSERT_EQ(study.domains.size(), 3u);
  EXPECT_EQ(study.domains[1].published, AeCfeDomain::kAcevedo20);
  EXPECT_EQ(study.domains[0].labels, Path("/studies/../labels/five_wbc.toml"));
  ASSERT_EQ(study.arms.size(), 5u);
  EXPECT_EQ(study.arms[0].kind, ArmKind::kFlattened);
  EXPECT_EQ(study.arms[1].description.published, AeCfeMethod::kResNetRf);
  ASSERT_TRUE(study.map && study.drift);
  EXPECT_EQ(study.arms[2].kind, ArmKind::kDetector);
  EXPECT_EQ(study.arms[2].cells.detector, Path("/studies/../../build/studies/detect/detector.safetensors"));
  const AutoencoderChoice& without = study.arms[3].autoencoder;
  const AutoencoderChoice& with = study.arms[4].autoencoder;
  EXPECT_EQ(without.settings.method, learning::DomainMethod::kNone);
  EXPECT_EQ(with.settings.method, learning::DomainMethod::kAlignment);
  EXPECT_EQ(with.settings.beta, learning::kPublishedAlignmentWeight);
  EXPECT_EQ(with.source, "raabin");
  EXPECT_EQ(with.settings.source, 0u);
  EXPECT_EQ(study.arms[4].description.bottleneck, 50u);
  EXPECT_EQ(with.seed, 0u);
  // The two differ in nothing else.
  auto aligned = with.settings;
  aligned.method = learning::DomainMethod::kNone;
  EXPECT_EQ(learning::ToJson(aligned), learning::ToJson(without.settings));
}

TEST(AeCfeFile, KnowsTheSourcesNumberAndTheSweepsOtherLossAndTarget) {
  const AeCfeFile study =
      Parsed(Sample() +
             "\n[[arm]]\nname = \"sweep\"\ntitle = \"MSE\"\nkind = \"autoencoder\"\nside = 400\n"
             "detector = \"d\"\ntarget = \"picture\"\ncells = \"all\"\nbottlenecks = [5, 50]\npicture_loss = \"mse\"\n"
             "domains = \"alignment\"\nbeta = 1\nsource = \"bccd\"\nepochs = 150\nbatch = 1500\n"
             "learning_rate = 1e-3\nsweep = \"MSE R101\"\n");
  ASSERT_EQ(study.arms.size(), 7u);
  EXPECT_EQ(study.arms[5].description.name, "sweep-5");
  EXPECT_EQ(study.arms[5].description.bottleneck, 5u);
  const ArmChoice& arm = study.arms.back();
  EXPECT_EQ(arm.description.title, "MSE, 50");
  EXPECT_EQ(arm.autoencoder.settings.source, 2u);
  EXPECT_EQ(arm.autoencoder.settings.picture_loss.kind, learning::PictureLossKind::kSquaredError);
  EXPECT_FALSE(arm.cells.crop_to_box);
  EXPECT_TRUE(arm.autoencoder.all_cells);
  EXPECT_EQ(arm.autoencoder.seed, std::nullopt);
}

TEST(AeCfeFile, TakesThePublishedSplit) {
  std::string text = With("split = \"own\" ", "split = \"shuffled\"\nsplit_seed = 42\ntest_percent = 20 ");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "take \"all\"", (void)Parsed(text));
  const std::string train = "cells = \"train\"";
  for (std::size_t at = text.find(train); at != std::string::npos; at = text.find(train))
    text.replace(at, train.size(), "cells = \"all\"");
  const AeCfeFile study = Parsed(text);
  EXPECT_EQ(study.matrix.split, learning::MatrixSplit::kShuffled);
  EXPECT_EQ(study.matrix.split_seed, 42u);
}

TEST(AeCfeFile, TakesFeatureFilesOfALatentOfSomeSize) {
  const AeCfeFile study = Parsed(Sample() +
                                 "\n[[arm]]\nname = \"ae50\"\ntitle = \"AE\"\nkind = \"files\"\nfolder = \"latents\"\n"
                                 "bottleneck = 50\nsweep = \"SSIM-BB R101\"\npublished = \"AE-CFE\"\n");
  const ArmChoice& arm = study.arms.back();
  EXPECT_EQ(arm.folder, Path("/studies/latents"));
  EXPECT_EQ(arm.description.bottleneck, 50u);
  EXPECT_EQ(arm.description.sweep_column, 6u);
}

TEST(AeCfeFile, ThesisStudyHasThePublishedSplitForestAndDomains) {
  const AeCfeFile study = Thesis();
  EXPECT_FALSE(study.validation);
  EXPECT_EQ(study.matrix.split, learning::MatrixSplit::kShuffled);
  EXPECT_EQ(study.matrix.split_seed, 42u);
  EXPECT_EQ(study.matrix.test_percent, 20u);
  EXPECT_FALSE(study.matrix.shared_classes_only);
  EXPECT_EQ(study.matrix.forest, learning::ForestSettings{});
  EXPECT_EQ(study.seeds.size(), 5u);
  ASSERT_EQ(study.domains.size(), kAeCfeDomains.size());
  const auto classes = learning::LabelMap::Load(RealFileSystem(), study.domains[0].labels).classes();
  EXPECT_EQ(classes.size(), 13u);
  for (std::size_t d = 0; d < study.domains.size(); ++d) {
    EXPECT_EQ(study.domains[d].published, kAeCfeDomains[d]);
    EXPECT_EQ(study.domains[d].layout, "folders");
    EXPECT_EQ(learning::LabelMap::Load(RealFileSystem(), study.domains[d].labels).classes(), classes);
  }
}

TEST(AeCfeFile, ThesisStudyTrainsTheAutoencodersOfTable32WithThePublishedSettings) {
  using learning::AutoencoderSettings;
  const std::vector<std::pair<AeCfeMethod, AutoencoderSettings>> wanted = {
      {AeCfeMethod::kAeRf, AutoencoderSettings::WithoutAlignment()},
      {AeCfeMethod::kNdAeDa, AutoencoderSettings::NormalVariant()},
      {AeCfeMethod::kAaeDa, AutoencoderSettings::AdversarialVariant()},
      {AeCfeMethod::kAeCfe, AutoencoderSettings::AeCfe()}};
  const AeCfeFile study = Thesis();
  ASSERT_FALSE(study.arms.empty());
  EXPECT_EQ(study.arms[0].description.published, AeCfeMethod::kResNetRf);
  for (const auto& [method, settings] : wanted) {
    std::size_t arms = 0;
    for (const ArmChoice& arm : study.arms) {
      if (arm.description.published != method) continue;
      ++arms;
      EXPECT_EQ(arm.kind, ArmKind::kAutoencoder);
      EXPECT_EQ(arm.side, 400u);
      EXPECT_TRUE(arm.cells.crop_to_box);
      EXPECT_TRUE(arm.autoencoder.all_cells);
      EXPECT_EQ(arm.description.bottleneck, 50u);
      EXPECT_EQ(learning::ToJson(arm.autoencoder.settings), learning::ToJson(settings));
    }
    EXPECT_EQ(arms, 1u) << NameOf(method);
  }
}

TEST(AeCfeFile, ThesisStudyMeasuresEverySizeOfTable31OnceForEachLossAndTarget) {
  const AeCfeFile study = Thesis();
  std::set<std::pair<std::size_t, std::size_t>> seen;  // Column, size.
  for (const ArmChoice& arm : study.arms) {
    if (!arm.description.sweep_column) continue;
    const std::size_t column = *arm.description.sweep_column;
    ASSERT_TRUE(arm.description.bottleneck);
    EXPECT_TRUE(seen.emplace(column, *arm.description.bottleneck).second) << arm.description.name << " is there twice";
    EXPECT_EQ(SweepColumns()[column].backbone, 101);
    EXPECT_EQ(arm.cells.crop_to_box, SweepColumns()[column].box) << arm.description.name;
    learning::AutoencoderSettings settings = learning::AutoencoderSettings::WithoutAlignment();
    if (!SweepColumns()[column].ssim) settings.picture_loss.kind = learning::PictureLossKind::kSquaredError;
    EXPECT_EQ(learning::ToJson(arm.autoencoder.settings), learning::ToJson(settings)) << arm.description.name;
  }
  std::set<std::pair<std::size_t, std::size_t>> wanted;
  for (std::size_t column = 0; column < SweepColumns().size(); ++column) {
    if (SweepColumns()[column].backbone != 101) continue;
    for (const int size : SweepSizes()) wanted.emplace(column, static_cast<std::size_t>(size));
  }
  EXPECT_EQ(seen, wanted);
}

struct BadStudy {
  const char* name;
  const char* from;
  const char* to;
  const char* words;
};

class AeCfeFileRefuses : public testing::TestWithParam<BadStudy> {};

TEST_P(AeCfeFileRefuses, AndNamesThePlace) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, GetParam().words, (void)Parsed(With(GetParam().from, GetParam().to)));
}

INSTANTIATE_TEST_SUITE_P(
    Table, AeCfeFileRefuses,
    testing::ValuesIn(std::vector<BadStudy>{
        {"UnknownKey", "trees = 100", "trees = 100\ntree = 1", "tree"},
        {"UnknownKind", "kind = \"flattened\"", "kind = \"flat\"", "flattened"},
        {"UnknownSplit", "split = \"own\"", "split = \"random\"", "shuffled"},
        {"DomainTwice", "name = \"bccd\"", "name = \"raabin\"", "is there already"},
        {"ArmTwice", "name = \"imagenet\"", "name = \"flattened\"", "is there already"},
        {"SeedTwice", "seeds = [0, 1, 2, 3, 4]", "seeds = [1, 1]", "is there twice"},
        {"UnknownPublishedSet", "published = \"Acevedo-20\"", "published = \"Acevedo\"", "there are Matek-19"},
        {"UnknownPublishedMethod", "published = \"ResNet-RF\"", "published = \"ResNet\"", "there are ResNet-RF"},
        {"TooDeep", "depth = 16", "depth = 26", "depth"},
        {"TooLargeToFlatten", "side = 128", "side = 148", "side"},
        {"SweepWithoutSize", "side = 128", "side = 128\nsweep = \"MSE R50\"", "bottleneck"},
        {"TooManyRowsToMap", "rows = 1000\nperplexity", "rows = 2001\nperplexity", "rows"}}),
    [](const auto& row) { return row.param.name; });

TEST(AeCfeFile, ValidationNeedsTheOwnSplit) {
  std::string text = With("part = \"test\"", "part = \"validation\"");
  EXPECT_TRUE(Parsed(text).validation);
  const std::string own = "split = \"own\" ";
  text.replace(text.find(own), own.size(), "split = \"shuffled\"\nsplit_seed = 1\ntest_percent = 20 ");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "validation leaves the test pictures out", (void)Parsed(text));
}

}  // namespace
}  // namespace hemafed::studies
