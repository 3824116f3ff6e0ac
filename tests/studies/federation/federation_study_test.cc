// SPDX-License-Identifier: Apache-2.0
//
// The whole command on small federations over drawn smears.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "auditor/audit.h"
#include "codec/evaluation.h"
#include "common/json_fields.h"
#include "learning/data/csv.h"
#include "studies/federation/federation_command.h"
#include "studies/uacl/uacl_command.h"
#include "tests/expect_error.h"
#include "tests/studies/federation/simulation_fixture.h"

namespace hemafed::studies {
namespace {

using nlohmann::json;
using testing_support::kHospitals;
using testing_support::Scratch;
using testing_support::SimulatedPlan;
using testing_support::Smears;
using testing_support::World;

std::string Read(const Path& path) { return ReadFile(RealFileSystem(), path, 64u << 20); }

constexpr const char* kLabels = HEMAFED_SOURCE_DIR "/configs/labels/five_wbc.toml";

// Three hospitals, the last of them unseen.
std::string Sites() {
  std::string text = "format = 1\n";
  for (const std::string hospital : kHospitals) {
    text += "[[site]]\nname = \"" + hospital + "\"\nfolder = \"" + hospital + "\"\nlayout = \"manifest\"\nlabels = \"" +
            kLabels + "\"\n";
  }
  return text + "scored = \"all\"\nwithout = [\"_aug\"]\n";
}

// The plan without its last hospital.
std::string TwoHospitals(bool rehearses) {
  std::string text = SimulatedPlan(7, rehearses);
  return text.substr(0, text.rfind("[[task]]"));
}

class FederationStudy : public testing::Test {
 protected:
  FederationStudy() {
    WriteFileAtomically(RealFileSystem(), scratch_ / "federated.toml", TwoHospitals(true));
    WriteFileAtomically(RealFileSystem(), scratch_ / "sequential.toml", TwoHospitals(false));
    WriteFileAtomically(RealFileSystem(), scratch_ / "sites.toml", Sites());
    options_.plans = {scratch_ / "federated.toml", scratch_ / "sequential.toml"};
    options_.data = Smears();
    options_.output = scratch_ / "out";
    options_.sites = scratch_ / "sites.toml";
    options_.weights = {World().weights};
    options_.seeds = {3, 4};
    options_.command_line = {"test"};
  }
  json Summary() {
    return json::parse(Read(scratch_ / "out" / "summary.json")).at("experiments").at("matek-19_int-20");
  }
  Path Run(const std::string& arm, int seed) {
    return scratch_ / "out" / "runs" / arm / ("seed-" + std::to_string(seed));
  }

  Scratch scratch_;
  FederationOptions options_;
};

TEST_F(FederationStudy, LeavesForEachPlanAndSeedALogThatAnAuditorReplays) {
  ASSERT_EQ(RunFederationStudy(options_), 0);
  for (const std::string arm : {"federated", "sequential"}) {
    for (const int seed : {3, 4}) {
      const Path run = Run(arm, seed);
      const auto trust = auditor::Trust::Load(RealFileSystem(), run / "trust.json");
      const auto audit = auditor::Audit(RealFileSystem(), trust,
                                        {.folder = run / "consortium", .scratch = scratch_ / "s", .replay = true});
      ASSERT_FALSE(audit.finding.has_value()) << audit.finding->message;
      const json said = Summary().at("federated").at(arm).at(static_cast<std::size_t>(seed - 3));
      EXPECT_EQ(said.at("seed"), seed);
      EXPECT_EQ(said.at("audit"), "ok");
      EXPECT_EQ(said.at("log_root"), audit.root.Hex());
      EXPECT_EQ(said.at("model_digest"), audit.model.Hex());
      EXPECT_EQ(said.at("rounds"), audit.aggregates);
      const double average = static_cast<double>(audit.matrix.AverageAccuracyMillionths().value()) / 1e6;
      EXPECT_DOUBLE_EQ(said.at("average_accuracy").get<double>(), average);
      EXPECT_DOUBLE_EQ(said.at("matrix").at(1).at(0).get<double>(),
                       static_cast<double>(audit.matrix.Millionths(1, 0).value()) / 1e6);
      // The plan withholds nothing, so answers picture by picture and signed counts are the same figures.
      const json method = Summary().at("methods").at(arm).at("runs").at(static_cast<std::size_t>(seed - 3));
      EXPECT_NEAR(method.at("matrix").at(1).at(0).get<double>(), said.at("matrix").at(1).at(0).get<double>(), 1e-6);
      EXPECT_EQ(method.at("model"), said.at("model_digest"));
    }
  }
  EXPECT_NE(Summary().at("federated").at("federated").at(0).at("model_digest"),
            Summary().at("federated").at("federated").at(1).at("model_digest"))
      << "another seed, another model";
}

TEST_F(FederationStudy, WritesEveryAnswerEveryFigureAndTheUnseenHospital) {
  ASSERT_EQ(RunFederationStudy(options_), 0);
  const json columns = Summary().at("columns");
  EXPECT_EQ(columns, (json{"matek-19", "int-20", "acevedo-20 (unseen)"}));
  const auto predictions = learning::ParseCsv(Read(scratch_ / "out/predictions.csv"), "predictions.csv");
  // Ten test pictures of each of two hospitals and all forty of the third, two plans, two seeds.
  EXPECT_EQ(predictions.rows.size(), (10u + 10u + 40u) * 4);
  const auto matrix = learning::ParseCsv(Read(scratch_ / "out/matrix.csv"), "matrix.csv");
  EXPECT_EQ(matrix.rows.size(), 2u * 3u * 4u);
  const json differences = Summary().at("average_accuracy_differences");
  ASSERT_EQ(differences.size(), 1u);
  const double gap = Summary().at("methods").at("federated").at("average_accuracy").at("mean").get<double>() -
                     Summary().at("methods").at("sequential").at("average_accuracy").at("mean").get<double>();
  EXPECT_NEAR(differences.at(0).at("difference").get<double>(), gap, 1e-12);
  EXPECT_LE(differences.at(0).at("low").get<double>(), gap);
  EXPECT_GE(differences.at(0).at("high").get<double>(), gap);
  for (const char* file : {"report.html", "tables.md", "tables.txt", "record.json"}) {
    EXPECT_FALSE(Read(scratch_ / "out" / file).empty()) << file;
  }
  const std::string tables = Read(scratch_ / "out/tables.txt");
  for (const char* title : {"Differences of average accuracy", "Unseen hospitals", "What it cost", "Digests"}) {
    EXPECT_NE(tables.find(title), std::string::npos) << title;
  }
}

TEST_F(FederationStudy, SetsPoisonedPlansBesideTheCleanOneAndSaysWhichDidNotComeToTheirEnd) {
  options_.plans = {scratch_ / "federated.toml"};
  options_.seeds = {3};
  options_.poisons = {"matek-19:random:2", "int-20:not_a_number:2"};
  EXPECT_EQ(RunFederationStudy(options_), ExitStatus(ErrorCode::kConflict));
  const json arms = Summary().at("federated");
  ASSERT_EQ(arms.size(), 2u);
  EXPECT_NE(arms.at("federated").at(0).at("model_digest"),
            arms.at("federated-matek-19-random-2").at(0).at("model_digest"));
  const json stood_still = json::parse(Read(scratch_ / "out/summary.json")).at("stood_still");
  const std::string reason = stood_still.at("federated-int-20-not_a_number-2/seed-3");
  EXPECT_NE(reason.find("active site int-20 was refused"), std::string::npos) << reason;
  options_.poisons = {"nobody:random:2"};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no site of this name", (void)RunFederationStudy(options_));
}

TEST_F(FederationStudy, WhereEveryPlanStandsStillThatIsTheResult) {
  std::string text = Read(scratch_ / "federated.toml");
  const std::string loose = "norm_bound = 50.0";
  text.replace(text.find(loose), loose.size(), "norm_bound = 0.000001");  // No honest update is so small.
  WriteFileAtomically(RealFileSystem(), scratch_ / "federated.toml", text);
  options_.plans = {scratch_ / "federated.toml"};
  options_.seeds = {3};
  EXPECT_EQ(RunFederationStudy(options_), ExitStatus(ErrorCode::kConflict));
  const json stood_still = json::parse(Read(scratch_ / "out/summary.json")).at("stood_still");
  EXPECT_TRUE(stood_still.contains("federated/seed-3")) << stood_still;
  EXPECT_EQ(Read(scratch_ / "out/predictions.csv"), "experiment,method,seed,test_set,file,truth,prediction\n");
}

TEST_F(FederationStudy, MadeAgainOrSeveralAtOnceIsTheSame) {
  options_.jobs = 1;
  ASSERT_EQ(RunFederationStudy(options_), 0);
  const std::string predictions = Read(scratch_ / "out/predictions.csv");
  const json runs = Summary().at("federated");
  ASSERT_EQ(RunFederationStudy(options_), 0) << "only read";
  EXPECT_EQ(Summary().at("federated"), runs);
  options_.jobs = 4;
  std::filesystem::remove_all(scratch_ / "out/runs");
  ASSERT_EQ(RunFederationStudy(options_), 0);
  EXPECT_EQ(Read(scratch_ / "out/predictions.csv"), predictions);
  for (const std::string arm : {"federated", "sequential"}) {
    for (const std::size_t i : {0u, 1u}) {
      EXPECT_EQ(Summary().at("federated").at(arm).at(i).at("log_root"), runs.at(arm).at(i).at("log_root"));
    }
  }
}

TEST_F(FederationStudy, DiscardedUpdatesLeaveALogThatVerifiesAndTheModelsOfTasks) {
  options_.discard_updates = true;
  options_.seeds = {3};
  ASSERT_EQ(RunFederationStudy(options_), 0);
  const Path run = Run("federated", 3);
  const auto trust = auditor::Trust::Load(RealFileSystem(), run / "trust.json");
  const auto verified =
      auditor::Audit(RealFileSystem(), trust, {.folder = run / "consortium", .scratch = scratch_ / "s"});
  EXPECT_FALSE(verified.finding.has_value());
  const auto replayed = auditor::Audit(RealFileSystem(), trust,
                                       {.folder = run / "consortium", .scratch = scratch_ / "s", .replay = true});
  ASSERT_TRUE(replayed.finding.has_value());
  EXPECT_NE(replayed.finding->message.find("missing"), std::string::npos) << replayed.finding->message;
  EXPECT_EQ(Summary().at("federated").at("federated").at(0).at("updates_kept"), false);
  EXPECT_EQ(Summary().at("federated").at("federated").at(0).at("audit"), "ok");
}

TEST_F(FederationStudy, TasksOfClassesHaveColumnsOfTheirOwn) {
  std::string plan = SimulatedPlan(7);
  plan = plan.substr(0, plan.find("[[task]]"));
  plan.replace(plan.find("seed = 7"), 8, "seed = 7\nobservers = [\"acevedo-20\"]");
  plan += R"(
[[task]]
site = "matek-19"
rounds = 1
classes = ["basophil", "eosinophil", "lymphocyte_typical"]
[[task]]
site = "int-20"
rounds = 1
steps = 3
[[task]]
site = "matek-19"
rounds = 1
classes = ["monocyte", "neutrophil"]
)";
  WriteFileAtomically(RealFileSystem(), scratch_ / "mixed.toml", plan);
  std::string sites = Sites();
  WriteFileAtomically(RealFileSystem(), scratch_ / "sites.toml", sites.substr(0, sites.find("scored")));
  options_.plans = {scratch_ / "mixed.toml"};
  options_.seeds = {3};
  ASSERT_EQ(RunFederationStudy(options_), 0);
  const json experiments = json::parse(Read(scratch_ / "out" / "summary.json")).at("experiments");
  ASSERT_EQ(experiments.size(), 1u);
  const json& mixed = *experiments.begin();
  const json titles = mixed.at("columns");
  ASSERT_EQ(titles.size(), 4u) << titles;
  EXPECT_EQ(titles[3], "acevedo-20");
  const json& run = mixed.at("federated").at("mixed").at(0);
  EXPECT_EQ(run.at("audit"), "ok");
  const json& answers = mixed.at("methods").at("mixed").at("runs").at(0);
  for (std::size_t t = 0; t < 3; ++t) {
    for (std::size_t j = 0; j < 4; ++j) {
      EXPECT_NEAR(answers.at("matrix").at(t).at(j).get<double>(), run.at("matrix").at(t).at(j).get<double>(), 1e-6)
          << "task " << t << ", column " << j;
    }
  }
  // Of the five classes of ten pictures, six pictures and four.
  const auto matrix = learning::ParseCsv(Read(scratch_ / "out/matrix.csv"), "matrix.csv");
  EXPECT_EQ(matrix.rows.at(0).fields.at(6), "6");
  EXPECT_EQ(matrix.rows.at(2).fields.at(6), "4");
}

TEST_F(FederationStudy, OtherPicturesInTheSameOutputAreRefused) {
  options_.plans = {scratch_ / "federated.toml"};
  options_.seeds = {3};
  ASSERT_EQ(RunFederationStudy(options_), 0);
  std::string sites = Sites();
  sites = sites.substr(0, sites.find("scored"));
  WriteFileAtomically(RealFileSystem(), scratch_ / "sites.toml", sites);
  EXPECT_ERROR(ErrorCode::kConflict, "another plan, pictures or weights", (void)RunFederationStudy(options_));
}

TEST_F(FederationStudy, SaysWhatIsMissingBeforeAnythingRuns) {
  FederationOptions options = options_;
  options.sites.clear();
  EXPECT_ERROR(ErrorCode::kInvalidInput, "--sites", (void)RunFederationStudy(options));
  options = options_;
  options.weights = {scratch_ / "sites.toml"};
  EXPECT_ERROR(ErrorCode::kNotFound, "starts from the weights", (void)RunFederationStudy(options));
  options = options_;
  options.plans.push_back(scratch_ / "federated.toml");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "two plans", (void)RunFederationStudy(options));
}

TEST_F(FederationStudy, CentralMethodsStandBesideOnTheSamePictures) {
  const std::string experiment =
      "[[experiment]]\nname = \"two\"\ntitle = \"two hospitals\"\npublished = \"\"\nmethods = [\"uacl\"]\n"
      "[[experiment.task]]\ndomain = \"matek-19\"\n[[experiment.task]]\ndomain = \"int-20\"\n";
  WriteFileAtomically(RealFileSystem(), scratch_ / "study.toml", testing_support::StudyText(experiment));
  UaclOptions central;
  central.study = scratch_ / "study.toml";
  central.data = Smears();
  central.output = scratch_ / "central";
  central.command_line = {"test"};
  ASSERT_EQ(RunUaclStudy(central), 0);
  options_.plans = {scratch_ / "federated.toml"};
  options_.beside = {scratch_ / "central"};
  ASSERT_EQ(RunFederationStudy(options_), 0);
  const json theirs = json::parse(Read(scratch_ / "central/summary.json")).at("experiments").at("two").at("methods");
  const json beside = Summary().at("methods").at("central uacl");
  EXPECT_EQ(beside.at("average_accuracy"), theirs.at("uacl").at("average_accuracy"));
  EXPECT_EQ(beside.at("runs").at(0).at("model"), theirs.at("uacl").at("runs").at(0).at("model"));
  EXPECT_TRUE(beside.at("runs").at(0).at("matrix").at(0).at(2).is_null()) << "it never saw the third hospital";
  EXPECT_EQ(Summary().at("average_accuracy_differences").size(), 1u);

  // A study of other hospitals cannot stand there.
  options_.plans = {scratch_ / "whole.toml"};
  WriteFileAtomically(RealFileSystem(), scratch_ / "whole.toml", SimulatedPlan(7));
  std::string sites = Sites();
  WriteFileAtomically(RealFileSystem(), scratch_ / "sites.toml", sites.substr(0, sites.find("scored")));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "none of its experiments", (void)RunFederationStudy(options_));
}

}  // namespace
}  // namespace hemafed::studies
