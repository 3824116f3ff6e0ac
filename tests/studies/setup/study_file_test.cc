// SPDX-License-Identifier: Apache-2.0
#include "studies/setup/study_file.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/expect_error.h"
#include "tests/studies/uacl/study_fixture.h"

namespace hemafed::studies {
namespace {

using testing_support::ClassesOf;
using testing_support::kDomains;
using testing_support::StudyText;

StudyFile Parse(const std::string& text) { return StudyFile::Parse(text, "study.toml", "/studies"); }

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(StudyFile, ListsItsRunsSeedByExperimentByMethod) {
  const StudyFile study = Parse(Replaced(StudyText(kDomains + ClassesOf("C_M", "matek-19")), "[7]", "[7, 8]"));
  const auto runs = study.Runs();
  ASSERT_EQ(runs.size(), 2u * 2u * 5u);
  EXPECT_EQ(study.RunName(runs[0]), "D/finetuning/seed-7");
  EXPECT_EQ(study.RunName(runs[9]), "C_M/joint/seed-7");
  EXPECT_EQ(study.RunName(runs[10]), "D/finetuning/seed-8");
}

TEST(StudyFile, GivesEachRunItsExperimentsSettings) {
  const StudyFile study = Parse(StudyText(kDomains + ClassesOf("C_M", "matek-19")));
  const auto domains = study.SettingsOf({.experiment = 0, .method = 3, .budget = {}, .seed = 7});
  EXPECT_EQ(domains.strategy, "uacl");
  EXPECT_EQ(domains.method.gamma, 1.0);
  EXPECT_EQ(domains.exemplars.kind, learning::ExemplarLimit::Kind::kPerList);
  EXPECT_EQ(domains.exemplars.value, 4u);
  EXPECT_EQ(domains.seed, 7u);
  const auto classes = study.SettingsOf({.experiment = 1, .method = 3, .budget = {}, .seed = 7});
  EXPECT_EQ(classes.method.gamma, 5.0);
  EXPECT_EQ(classes.exemplars.kind, learning::ExemplarLimit::Kind::kBudget);
  EXPECT_EQ(classes.exemplars.value, 20u);
  EXPECT_EQ(study.experiments[1].tasks[0].classes, (std::vector<std::int64_t>{0, 3}));
}

TEST(StudyFile, AMethodOverridesWhatItsExperimentSays) {
  const StudyFile study =
      Parse(StudyText(ClassesOf("C_M", "matek-19"),
                      "[[method]]\nname = \"gentle\"\nstrategy = \"uacl\"\ngamma = 0.25\nlearning_rate = 0.5\n"
                      "prediction = \"nearest_mean\"\nexemplar_mix = \"random\"\n"));
  const auto settings = study.SettingsOf({.experiment = 0, .method = 0, .budget = {}, .seed = 0});
  EXPECT_EQ(settings.method.gamma, 0.25);
  EXPECT_EQ(settings.optimiser.learning_rate, 0.5);
  EXPECT_EQ(settings.prediction, learning::Prediction::kNearestMean);
  EXPECT_EQ(settings.mix, learning::ExemplarMix::kRandom);
}

TEST(StudyFile, ComparesBudgets) {
  const StudyFile study =
      Parse(StudyText(Replaced(kDomains, "published = \"D\"", "budgets = [10, 20]\nmethods = [\"uacl\"]")));
  const auto runs = study.Runs();
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(study.RunName(runs[1]), "D/uacl-K20/seed-7");
  EXPECT_EQ(study.SettingsOf(runs[1]).exemplars.value, 20u);
}

struct BadStudy {
  const char* name;
  const char* from;
  const char* to;
  const char* says;
};
class Bad : public testing::TestWithParam<BadStudy> {};
TEST_P(Bad, StudyIsRefusedWithItsPlace) {
  const std::string text = Replaced(StudyText(kDomains), GetParam().from, GetParam().to);
  EXPECT_ERROR(ErrorCode::kInvalidInput, GetParam().says, (void)Parse(text));
}
INSTANTIATE_TEST_SUITE_P(
    Kinds, Bad,
    testing::Values(BadStudy{"UnknownKey", "epochs = 2", "epochs = 2\nepoch = 3", "'training.epoch'"},
                    BadStudy{"UnknownStrategy", "strategy = \"ewc\"", "strategy = \"ewk\"", "ewk"},
                    BadStudy{"UnknownClass", "domain = \"int-20\"", "domain = \"int-20\"\nclasses = [\"blast\"]",
                             "'blast' is not a class"},
                    BadStudy{"UnknownDomain", "domain = \"int-20\"", "domain = \"int-21\"", "no domain 'int-21'"},
                    BadStudy{"SameClassTwice", "domain = \"int-20\"", "domain = \"matek-19\"", "learn the same class"},
                    BadStudy{"UnknownArchitecture", "small_cnn", "smaller_cnn", "smaller_cnn"},
                    BadStudy{"TwoLimits", "per_list = 4", "per_list = 4\nbudget = 9", "only one of"},
                    BadStudy{"NoLimit", "per_list = 4\n", "", "is missing"},
                    BadStudy{"OtherFormat", "format = 1", "format = 2", "format"},
                    BadStudy{"SameMethodTwice", "name = \"ewc\"", "name = \"uacl\"", "is there already"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(StudyFile, EveryStudyOfTheRepositoryIsReadable) {
  FileSystem& files = RealFileSystem();
  const Path folder = Path(HEMAFED_SOURCE_DIR) / "configs/studies";
  std::size_t studies = 0;
  for (const std::string& name : files.List(folder)) {
    EXPECT_NO_THROW((void)StudyFile::Load(files, folder / name)) << name;
    ++studies;
  }
  EXPECT_GT(studies, 0u);
}

}  // namespace
}  // namespace hemafed::studies
