// SPDX-License-Identifier: Apache-2.0
#include "studies/report/published_uacl.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/expect_error.h"

namespace hemafed::studies {
namespace {

using enum UaclExperiment;
using enum UaclMethod;

MeasuredScore Measured(UaclExperiment experiment, std::optional<UaclMethod> method, const std::string& name,
                       double accuracy) {
  return {.experiment = experiment,
          .method = method,
          .name = name,
          .seeds = 3,
          .accuracy_over_steps = {accuracy, 0.05, 3},
          .first_task_drop = Measurement{0.02, 0.03, 3},
          .final_accuracy = {accuracy - 0.1, 0.01, 3},
          .de_lange_forgetting = Measurement{0.04, 0.005, 3}};
}

double Value(const Cell& cell) { return std::get<Measurement>(cell).value; }

TEST(PublishedUacl, StandsWhereExperimentAndMethodSay) {
  ASSERT_EQ(PublishedUaclScores().size(), 25u);
  for (int e = 0; e < 5; ++e) {
    for (int m = 0; m < 5; ++m) {
      const auto experiment = static_cast<UaclExperiment>(e);
      const auto method = static_cast<UaclMethod>(m);
      const PublishedScore& score = PublishedUaclScore(experiment, method);
      EXPECT_EQ(score.experiment, experiment);
      EXPECT_EQ(score.method, method);
      EXPECT_EQ(score.forgetting.has_value(), method != kUpperBound);
      EXPECT_EQ(score.accuracy.digits, 2);
    }
  }
  EXPECT_EQ(FormatMeasurement(PublishedUaclScore(kMixed, kIcarl).accuracy), "0.52 \u00B1 0.16");
  EXPECT_EQ(FormatMeasurement(*PublishedUaclScore(kClassesAcevedo, kEwc).forgetting), "0.16 \u00B1 0.05");
}

// What the paper says of its own table; a slip of the pen in the data would most likely break one of these.
TEST(PublishedUacl, HasTheOrderThatThePaperDescribes) {
  for (int e = 0; e < 5; ++e) {
    const auto experiment = static_cast<UaclExperiment>(e);
    const auto accuracy = [&](UaclMethod method) { return PublishedUaclScore(experiment, method).accuracy.value; };
    EXPECT_GT(accuracy(kUacl), accuracy(kIcarl));
    EXPECT_GT(accuracy(kIcarl), accuracy(kEwc));
    EXPECT_GT(accuracy(kIcarl), accuracy(kFineTuning));
    EXPECT_EQ(accuracy(kUacl) > accuracy(kUpperBound), experiment == kMixed);
    const auto forgetting = [&](UaclMethod method) { return PublishedUaclScore(experiment, method).forgetting->value; };
    EXPECT_EQ(forgetting(kIcarl) < forgetting(kUacl), experiment == kClassesAcevedo);
  }
}

// The evidence for the convention "over steps": a learner that does the newest task at level `a` and has lost all
// others.
TEST(PublishedUacl, FineTuningRowsAreThoseOfALearnerThatForgetsAllWhenReadOverSteps) {
  struct Reading {
    UaclExperiment experiment;
    double level;
  };
  for (const auto& [experiment, level] : {Reading{kDomains, 0.96}, Reading{kClassesInt, 1.0}, Reading{kMixed, 0.9}}) {
    const int tasks = TasksOf(experiment);
    std::vector<double> averages;  // A_t = level / t.
    std::vector<double> drops;     // Of task 1: all at once, then nothing.
    for (int t = 1; t <= tasks; ++t) averages.push_back(level / t);
    for (int t = 2; t <= tasks; ++t) drops.push_back(t == 2 ? level : 0);
    const auto expect_near = [](const std::vector<double>& values, const Measurement& published) {
      double mean = 0;
      for (const double value : values) mean += value / static_cast<double>(values.size());
      double variance = 0;
      for (const double value : values)
        variance += (value - mean) * (value - mean) / static_cast<double>(values.size());
      EXPECT_NEAR(mean, published.value, 0.025);
      EXPECT_NEAR(std::sqrt(variance), *published.spread, 0.025);
    };
    expect_near(averages, PublishedUaclScore(experiment, kFineTuning).accuracy);
    expect_near(drops, *PublishedUaclScore(experiment, kFineTuning).forgetting);
  }
}

TEST(UaclComparison, SetsEachMeasuredValueBesideItsPublishedOne) {
  const std::vector<MeasuredScore> measured = {Measured(kMixed, kIcarl, "", 0.7),
                                               Measured(kDomains, std::nullopt, "DER++", 0.9),
                                               Measured(kDomains, kUacl, "", 0.8)};
  const Table table = UaclComparison(measured, "three small sets");
  ASSERT_EQ(table.rows.size(), 5u + 1u + 5u) << "five published methods an experiment, and one of our own";
  const auto& uacl = table.rows[0];
  EXPECT_EQ(std::get<std::string>(uacl[0]), "D");
  EXPECT_EQ(std::get<std::string>(uacl[1]), "UACL");
  EXPECT_EQ(std::get<std::string>(uacl[2]), "3");
  EXPECT_EQ(Value(uacl[3]), 0.82);
  EXPECT_EQ(Value(uacl[4]), 0.8);
  EXPECT_EQ(Value(uacl[5]), 0.01);
  EXPECT_EQ(Value(uacl[6]), 0.02);
  EXPECT_EQ(Value(uacl[7]), 0.8 - 0.1);
  EXPECT_EQ(Value(uacl[8]), 0.04);
  const auto& fine_tuning = table.rows[1];
  EXPECT_EQ(Value(fine_tuning[3]), 0.57);
  for (const std::size_t c : {2u, 4u, 6u, 7u, 8u})
    EXPECT_TRUE(std::holds_alternative<std::monostate>(fine_tuning[c])) << c;
  const auto& upper_bound = table.rows[4];
  EXPECT_EQ(Value(upper_bound[3]), 0.96);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(upper_bound[5]));
  const auto& own = table.rows[5];
  EXPECT_EQ(std::get<std::string>(own[1]), "DER++");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(own[3]));
  EXPECT_EQ(Value(own[4]), 0.9);
  EXPECT_EQ(std::get<std::string>(table.rows[9][1]), "iCaRL");
  EXPECT_EQ(Value(table.rows[9][3]), 0.52);
  EXPECT_EQ(Value(table.rows[9][4]), 0.7);
}

TEST(UaclComparison, SaysWhatWasMeasuredOnAndWhatTheSpreadsAre) {
  const std::vector<MeasuredScore> measured = {Measured(kDomains, kUacl, "", 0.8)};
  const std::string text = TextTable(UaclComparison(measured, "raabin, bccd"));
  for (const char* words : {"Measured on: raabin, bccd.", "population standard deviation over steps",
                            "standard deviation over seeds", "(published)", "(measured)", "tasks: D 3"})
    EXPECT_NE(text.find(words), std::string::npos) << words;
  EXPECT_NO_THROW((void)CsvTable(UaclComparison(measured, "x"))) << "its titles differ";
}

TEST(UaclComparison, RefusesNothingAndTheSameTwice) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no measured score", (void)UaclComparison({}, "x"));
  const std::vector<MeasuredScore> twice = {Measured(kDomains, kUacl, "", 0.8), Measured(kDomains, kUacl, "", 0.7)};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "experiment D has method 'UACL' twice", (void)UaclComparison(twice, "x"));
  const std::vector<MeasuredScore> nameless = {Measured(kDomains, std::nullopt, "", 0.8)};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no method", (void)UaclComparison(nameless, "x"));
}

}  // namespace
}  // namespace hemafed::studies
