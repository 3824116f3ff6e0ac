// SPDX-License-Identifier: Apache-2.0
//
// The study file of the paper on generated trees of the published sets' true layout: C_M and C_I, which the small
// picture sets have too few classes for. Only what costs hours is changed: the network, its input and the epochs.
#include <gtest/gtest.h>

#include <opencv2/imgproc.hpp>

#include "studies/setup/study_file.h"
#include "studies/uacl/run_result.h"
#include "tests/learning/data/picture_files.h"
#include "tests/learning/data/published_layouts.h"
#include "tests/studies/uacl/study_folder.h"

namespace hemafed::studies {
namespace {

using learning::testing_support::Encode;
using learning::testing_support::Int20;
using learning::testing_support::kMatek;
using learning::testing_support::kMll23;
using learning::testing_support::Published;
using learning::testing_support::SomePicture;
using learning::testing_support::Write;
using nlohmann::json;
using testing_support::Replaced;

constexpr int kFilesOfAClass = 5;  // four to train, one to test

class PublishedLayout : public testing_support::StudyFolder {
 protected:
  // <folder>/<prefix>_0001<extension>, ..; Matek-19's files have an alpha channel.
  void Plant(const std::string& domain, const std::vector<Published>& classes, const std::string& extension) {
    for (const Published& one : classes) {
      for (int i = 1; i <= kFilesOfAClass; ++i) {
        cv::Mat picture = SomePicture(40, 40, ++made_);
        if (extension == ".tiff") cv::cvtColor(picture, picture, cv::COLOR_BGR2BGRA);
        Write(scratch_ /
                  ("data/" + domain + "/" + one.folder + "/" + one.prefix + "_000" + std::to_string(i) + extension),
              Encode(".tiff", picture, {cv::IMWRITE_TIFF_COMPRESSION, 1}));
      }
    }
  }
  UaclOptions PaperStudy() {
    const Path configs = Path(HEMAFED_SOURCE_DIR) / "configs";
    std::string text =
        ReadFile(RealFileSystem(), configs / "studies/uacl_paper.toml", testing_support::kMaxOutputBytes);
    text = Replaced(text, "resnext50_32x4d\"\nnormalisation = \"batch\"", "small_cnn\"\nnormalisation = \"group_ws\"");
    text = Replaced(text, "../../build/weights/resnext50_32x4d.safetensors", "random");
    text = Replaced(text, "input = 224", "input = 32");
    text = Replaced(text, "epochs = 30", "epochs = 1");
    text = Replaced(text, "threads = 2", "threads = 1");
    text = Replaced(text, "seeds = [1, 2, 3]", "seeds = [1]");
    text = Replaced(text, "../labels", (configs / "labels").string());
    UaclOptions options = Options(text, scratch_ / "data");
    options.methods = {"finetuning", "icarl", "uacl"};
    return options;
  }

 private:
  std::uint64_t made_ = 0;
};

TEST_F(PublishedLayout, OfMatek19AndInt20RunsTheClassIncrementalExperimentsOfThePaper) {
  Plant("matek-19", kMatek, ".tiff");
  Write(scratch_ / "data/matek-19/annotations.dat", "BAS/BAS_0001.tiff BAS nan nan\n");
  Plant("int-20", kMll23, ".TIF");
  UaclOptions options = PaperStudy();
  options.experiments = {"C_M", "C_I"};
  EXPECT_EQ(RunUaclStudy(options), 0);

  const json summary = Summary();
  for (const char* name : {"C_M", "C_I"}) {
    const std::string domain = name == std::string("C_M") ? "matek-19" : "int-20";
    const json& experiment = summary.at(name);
    EXPECT_EQ(experiment.at("columns"), (json{domain + " 1", domain + " 2", domain + " 3", domain + " 4"}));
    EXPECT_EQ(experiment.at("methods").size(), 3u);
    const RunResult result =
        RunResult::FromText(Output("runs/" + std::string(name) + "/uacl/seed-1/result.json"), "result.json");
    // All thirteen classes, in the order in which they were learned.
    ASSERT_EQ(result.score_classes.size(), 13u);
    for (std::int64_t c = 0; c < 13; ++c) EXPECT_EQ(result.score_classes[static_cast<std::size_t>(c)], c);
    // K = 125 over 13 lists is 9 a list; these classes have fewer.
    EXPECT_EQ(result.exemplars.lists.size(), 13u);
    EXPECT_LE(learning::StoredCount(result.exemplars), 125u);
    // Monoblasts are monocytes in Matek-19; two kinds of lymphocytes are one class in INT-20. One test picture of each
    // five.
    std::size_t pictures = 0;
    for (const auto& column : result.columns) pictures += column.size();
    EXPECT_EQ(pictures, 14u) << name;
  }
  // The published numbers stand beside ours.
  EXPECT_NE(Output("tables.md").find("UACL, Table 2"), std::string::npos);
  const std::string imports = Output("imports.txt");
  EXPECT_NE(imports.find("matek-19: 70 pictures"), std::string::npos) << imports;
  EXPECT_NE(imports.find("int-20: 70 pictures"), std::string::npos) << imports;
  EXPECT_NE(imports.find("PMB 5;"), std::string::npos) << imports;
}

// The in-house form of INT-20 has folders of its own and a label map of its own.
TEST_F(PublishedLayout, OfTheInHouseInt20RunsByItsOwnLabelMap) {
  Plant("int-20", Int20(), ".TIF");
  UaclOptions options = PaperStudy();
  const std::string text = ReadFile(RealFileSystem(), options.study, testing_support::kMaxOutputBytes);
  options = Options(Replaced(text, "labels/mll23.toml", "labels/int20.toml"), scratch_ / "data");
  options.methods = {"uacl"};
  options.experiments = {"C_I"};
  EXPECT_EQ(RunUaclStudy(options), 0);
  EXPECT_NE(Output("imports.txt").find("int-20: 70 pictures"), std::string::npos) << Output("imports.txt");
  EXPECT_EQ(Summary().at("C_I").at("methods").at("uacl").at("runs").at(0).at("matrix").size(), 4u);
}

}  // namespace
}  // namespace hemafed::studies
