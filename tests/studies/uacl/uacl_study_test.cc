// SPDX-License-Identifier: Apache-2.0
#include "studies/uacl/uacl_command.h"

#include <gtest/gtest.h>
#include <torch/cuda.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "learning/data/csv.h"
#include "learning/models/model_file.h"
#include "studies/uacl/run_all.h"
#include "tests/expect_error.h"
#include "tests/studies/uacl/study_fixture.h"
#include "tests/studies/uacl/study_folder.h"

namespace hemafed::studies {
namespace {

using nlohmann::json;
using testing_support::ClassesOf;
using testing_support::kDomains;
using testing_support::Mixed;
using testing_support::Smears;
using testing_support::StudyText;

class UaclStudy : public testing_support::StudyFolder {
 protected:
  UaclOptions Options(const std::string& study_text) { return StudyFolder::Options(study_text, Smears()); }
};

TEST_F(UaclStudy, RunsTheFiveExperimentsAndWritesEveryFigure) {
  UaclOptions options = Options(StudyText(kDomains + ClassesOf("C_M", "matek-19") + ClassesOf("C_I", "int-20") +
                                          ClassesOf("C_A", "acevedo-20") + Mixed()));
  EXPECT_EQ(RunUaclStudy(options), 0);
  const json summary = Summary();
  ASSERT_EQ(summary.size(), 5u);
  EXPECT_EQ(summary.at("DC").at("columns").size(), 6u);
  EXPECT_EQ(summary.at("C_I").at("columns"), (json{"int-20 1", "int-20 2"}));
  for (const auto& [name, experiment] : summary.items()) {
    EXPECT_EQ(experiment.at("methods").size(), 5u) << name;
    EXPECT_EQ(experiment.at("average_accuracy_differences").size(), 10u) << name;
    for (const auto& [method, figures] : experiment.at("methods").items()) {
      // The figure that everything hangs on, computed again from the matrix.
      const json& matrix = figures.at("runs").at(0).at("matrix");
      double sum = 0;
      for (const json& accuracy : matrix.back()) sum += accuracy.get<double>();
      EXPECT_NEAR(figures.at("average_accuracy").at("mean").get<double>(), sum / static_cast<double>(matrix.size()),
                  1e-12);
    }
  }
  for (const char* file : {"report.html", "tables.md", "tables.txt", "record.json", "plots/DC-average.svg",
                           "plots/DC-average.png", "plots/C_A-confusion-uacl.svg", "plots/D-exemplars-uacl.png"}) {
    EXPECT_TRUE(RealFileSystem().Exists(scratch_ / "out" / file)) << file;
  }
  const json record = json::parse(Output("record.json"));
  EXPECT_EQ(record.at("machine").at("device"), "cpu");
  // Predictions and matrix say the same.
  const auto predictions = learning::ParseCsv(Output("predictions.csv"), "predictions.csv");
  std::size_t right = 0, pictures = 0;
  for (const auto& row : predictions.rows) {
    if (row.fields[0] != "D" || row.fields[1] != "uacl" || row.fields[3] != "int-20") continue;
    ++pictures;
    right += row.fields[5] == row.fields[6] ? 1 : 0;
  }
  ASSERT_EQ(pictures, 10u);
  EXPECT_NEAR(summary.at("D").at("methods").at("uacl").at("runs").at(0).at("matrix").at(2).at(1).get<double>(),
              static_cast<double>(right) / 10, 1e-12);
}

TEST_F(UaclStudy, DoesNotMakeARunTwiceAndRefusesResultsOfOtherSettings) {
  UaclOptions options = Options(StudyText(kDomains));
  options.methods = {"uacl"};
  EXPECT_EQ(RunUaclStudy(options), 0);
  const json before = Summary();
  EXPECT_EQ(RunUaclStudy(options), 0);
  EXPECT_EQ(Summary(), before);  // Seconds of training included.
  std::string text = StudyText(kDomains);
  text.replace(text.find("learning_rate = 0.01"), 20, "learning_rate = 0.02");
  options = Options(text);
  options.methods = {"uacl"};
  EXPECT_ERROR(ErrorCode::kConflict, "other settings", (void)RunUaclStudy(options));
}

TEST_F(UaclStudy, ComparesBudgetsWithListsThatNeverExceedThem) {
  UaclOptions options =
      Options(StudyText("[[experiment]]\nname = \"K\"\ntitle = \"how many exemplars\"\nmethods = [\"icarl\", "
                        "\"uacl\"]\nbudgets = [10, 20, "
                        "45]\n[[experiment.task]]\ndomain = \"matek-19\"\n[[experiment.task]]\ndomain = \"int-20\"\n"));
  EXPECT_EQ(RunUaclStudy(options), 0);
  const json methods = Summary().at("K").at("methods");
  EXPECT_EQ(methods.size(), 6u);
  for (const char* method : {"icarl", "uacl"}) {
    for (const std::size_t budget : {10u, 20u, 45u}) {
      const std::string run = std::string(method) + "-K" + std::to_string(budget);
      const RunResult result = RunResult::FromText(Output("runs/K/" + run + "/seed-7/result.json"), run);
      // Five lists after the first hospital, ten after the second; six pictures in each class. The first lists were
      // chosen with twice the room and then cut at both ends, never filled up again.
      const auto kept = [&](std::size_t room_then, std::size_t room_now) {
        if (method == std::string("icarl")) return std::min<std::size_t>(6, std::min(room_then, room_now));
        const std::size_t herding = std::min<std::size_t>(6, room_then - room_then / 2);
        const std::size_t uncertain = std::min(6 - herding, room_then / 2);
        return std::min(herding, room_now - room_now / 2) + std::min(uncertain, room_now / 2);
      };
      EXPECT_LE(learning::StoredCount(result.exemplars), budget) << run;
      ASSERT_EQ(result.exemplars.lists.size(), 10u);
      for (const learning::ExemplarList& list : result.exemplars.lists) {
        EXPECT_EQ(list.herding.size() + list.uncertainty.size(),
                  kept(list.domain == "matek-19" ? budget / 5 : budget / 10, budget / 10))
            << run << " " << list.domain;
        EXPECT_TRUE(method == std::string("uacl") || list.uncertainty.empty()) << run;
      }
      EXPECT_TRUE(methods.contains(std::string(method) + " K=" + std::to_string(budget)));
      EXPECT_NE(Output("tables.md").find(std::string(method) + " K=" + std::to_string(budget)), std::string::npos);
    }
  }
  EXPECT_NE(Output("plots/K-budgets.svg").find("exemplars kept in all (K)"), std::string::npos);
  EXPECT_GT(Output("plots/K-budgets.png").size(), 1000u);
}

TEST_F(UaclStudy, ScoresAHospitalThatNeverTrainsInAColumnOfItsOwn) {
  UaclOptions options = Options(StudyText(
      "[[experiment]]\nname = \"D\"\ntitle = \"two, and one more to look at\"\nunseen = [\"acevedo-20\"]\nmethods = "
      "[\"finetuning\", \"icarl\"]\n[[experiment.task]]\ndomain = \"matek-19\"\n[[experiment.task]]\ndomain = "
      "\"int-20\"\n"));
  options.seeds = {1, 2};
  EXPECT_EQ(RunUaclStudy(options), 0);
  const json experiment = Summary().at("D");
  EXPECT_EQ(experiment.at("columns"), (json{"matek-19", "int-20", "acevedo-20 (unseen)"}));
  const json& runs = experiment.at("methods").at("icarl").at("runs");
  ASSERT_EQ(runs.size(), 2u);
  double mean = 0;
  for (const json& run : runs) {
    ASSERT_EQ(run.at("matrix").size(), 2u);
    ASSERT_EQ(run.at("matrix").at(1).size(), 3u);
    // The unseen hospital does not count in the average.
    mean += (run.at("matrix").at(1).at(0).get<double>() + run.at("matrix").at(1).at(1).get<double>()) / 4;
  }
  EXPECT_NEAR(experiment.at("methods").at("icarl").at("average_accuracy").at("mean").get<double>(), mean, 1e-12);
}

TEST_F(UaclStudy, RefusesADeviceThatIsNotThereBeforeItReadsAnything) {
  UaclOptions options = Options(StudyText(kDomains));
  options.device = "cuda:99";
  EXPECT_ERROR(ErrorCode::kUnavailable, "cuda:99 is not there", (void)RunUaclStudy(options));
  options.device = "tpu";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "there are cpu, cuda and cuda:N", (void)RunUaclStudy(options));
  EXPECT_FALSE(RealFileSystem().Exists(scratch_ / "out"));
}

TEST_F(UaclStudy, RunsOnAGpuAndSaysSo) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "this machine has no GPU that LibTorch can use";
  UaclOptions options = Options(StudyText(kDomains));
  options.device = "cuda";
  EXPECT_EQ(RunUaclStudy(options), 0);
  const json record = json::parse(Output("record.json"));
  EXPECT_EQ(record.at("machine").at("device").get<std::string>().substr(0, 6), "cuda:0");
  options.device = "cpu";
  EXPECT_ERROR(ErrorCode::kConflict, "other settings", (void)RunUaclStudy(options));
}

TEST_F(UaclStudy, NamesWhatTheStudyDoesNotHave) {
  UaclOptions options = Options(StudyText(kDomains));
  options.methods = {"magic"};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no method 'magic'", (void)RunUaclStudy(options));
  options.methods.clear();
  options.experiments = {"E"};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no experiment 'E'", (void)RunUaclStudy(options));
}

// A run stopped at every kind of moment ends with the answers and the model of one that was not.
TEST_F(UaclStudy, AStoppedRunEndsWithTheSameAnswers) {
  const StudyFile study = StudyFile::Parse(StudyText(kDomains), "study.toml", scratch_ / "");
  SystemClock clock;
  DescriptorOutput output(-1);
  Progress progress(clock, output);
  const StudyData data(RealFileSystem(), study, {0}, Smears(), scratch_ / "cache", progress);
  const learning::Classifier initial = learning::InitialModel(study.model.architecture, 7, study.model.normalisation);
  const RunKey key{.experiment = 0, .method = study.MethodNamed("uacl"), .budget = {}, .seed = 7};
  const auto place = [&](const char* folder) {
    return RunPlace{&RealFileSystem(), &clock, &study, &data, scratch_ / folder};
  };
  const RunPlace whole_place = place("whole");
  const Digest made_from = MadeFrom(whole_place, key, Digest{});
  int calls = 0;
  const RunResult whole = MakeRun(whole_place, key, initial, made_from, [&](const RunProgress&) { ++calls; });
  ASSERT_GT(calls, 20);

  const RunPlace broken_place = place("broken");
  std::optional<RunResult> result;
  for (int stop = 3; !result; stop += 7) {
    int left = stop;
    try {
      result = MakeRun(broken_place, key, initial, made_from, [&](const RunProgress&) {
        if (--left == 0) throw Error(ErrorCode::kInterrupted, "stopped");
      });
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::kInterrupted) << error.what();
    }
    ASSERT_LT(stop, 10 * calls);
  }
  EXPECT_EQ(result->answers, whole.answers);
  EXPECT_EQ(result->scores_millionths, whole.scores_millionths);
  EXPECT_EQ(result->exemplars, whole.exemplars);
  EXPECT_EQ(result->model, whole.model);
  EXPECT_FALSE(learning::HasCheckpoint(RealFileSystem(), scratch_ / "broken/D/uacl/seed-7/checkpoint"));
}

TEST_F(UaclStudy, ARunStoppedInItsFirstTaskIsNotGoneOnWithAsAnother) {
  const StudyFile study = StudyFile::Parse(StudyText(kDomains), "study.toml", scratch_ / "");
  SystemClock clock;
  DescriptorOutput output(-1);
  Progress progress(clock, output);
  const StudyData data(RealFileSystem(), study, {0}, Smears(), scratch_ / "cache", progress);
  const learning::Classifier initial = learning::InitialModel(study.model.architecture, 7, study.model.normalisation);
  const RunKey key{.experiment = 0, .method = study.MethodNamed("uacl"), .budget = {}, .seed = 7};
  RunPlace place{&RealFileSystem(), &clock, &study, &data, scratch_ / "runs"};
  const Digest on_processor = MadeFrom(place, key, Digest{});
  const auto stop = [](const RunProgress&) { throw Error(ErrorCode::kInterrupted, "stopped"); };
  EXPECT_ERROR(ErrorCode::kInterrupted, "stopped", (void)MakeRun(place, key, initial, on_processor, stop));
  place.loaders = 3;
  EXPECT_EQ(MadeFrom(place, key, Digest{}), on_processor);  // How many loaders there are is nobody's business.
  place.device = c10::Device(c10::kCUDA, 0);
  const Digest on_gpu = MadeFrom(place, key, Digest{});
  EXPECT_NE(on_gpu, on_processor);
  place.device = c10::Device(c10::kCUDA, 1);
  EXPECT_EQ(MadeFrom(place, key, Digest{}), on_gpu);  // Nor which GPU it is.
  EXPECT_ERROR(ErrorCode::kConflict, "was begun with other settings",
               (void)MakeRun(place, key, initial, on_gpu, [](const RunProgress&) {}));
}

TEST(RunResult, ReadsBackWhatItWrites) {
  RunResult result;
  result.columns = {{0, 1, 1}, {2}};
  result.answers = {{{0, 1, 0}, {2}}};
  result.score_classes = {0, 1, 2};
  result.scores_millionths = {{1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 3}};
  result.train_pictures = 9;
  const RunResult read = RunResult::FromText(result.ToText(), "result.json");
  EXPECT_EQ(read.ToText(), result.ToText());
  EXPECT_NEAR(read.Accuracy(0, 0), 2.0 / 3, 1e-15);
  result.answers[0][0].pop_back();
  EXPECT_ERROR(ErrorCode::kInvalidInput, "another number of answers",
               (void)RunResult::FromText(result.ToText(), "result.json"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "result.json", (void)RunResult::FromText("{", "result.json"));
}

}  // namespace
}  // namespace hemafed::studies
