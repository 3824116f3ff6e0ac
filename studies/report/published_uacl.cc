// SPDX-License-Identifier: Apache-2.0
#include "studies/report/published_uacl.h"

#include <algorithm>
#include <array>

#include "common/error.h"

namespace hemafed::studies {

namespace {

using enum UaclExperiment;
using enum UaclMethod;

constexpr std::array kExperiments = {kDomains, kClassesMatek, kClassesInt, kClassesAcevedo, kMixed};
constexpr std::array kMethods = {kUacl, kFineTuning, kEwc, kIcarl, kUpperBound};
constexpr int kPrintedDigits = 2;

Measurement Printed(double value, double spread) {
  return {.value = value, .spread = spread, .digits = kPrintedDigits};
}

PublishedScore Row(UaclExperiment experiment, UaclMethod method, double accuracy, double accuracy_spread,
                   double forgetting, double forgetting_spread) {
  return {experiment, method, Printed(accuracy, accuracy_spread), Printed(forgetting, forgetting_spread)};
}

PublishedScore UpperBound(UaclExperiment experiment, double accuracy, double spread) {
  return {experiment, kUpperBound, Printed(accuracy, spread), std::nullopt};
}

const std::array<PublishedScore, 25>& Scores() {
  static const std::array<PublishedScore, 25> scores = {Row(kDomains, kUacl, 0.82, 0.04, 0.01, 0.02),
                                                        Row(kDomains, kFineTuning, 0.57, 0.28, 0.47, 0.48),
                                                        Row(kDomains, kEwc, 0.58, 0.28, 0.48, 0.48),
                                                        Row(kDomains, kIcarl, 0.80, 0.09, 0.06, 0.03),
                                                        UpperBound(kDomains, 0.96, 0.01),
                                                        Row(kClassesMatek, kUacl, 0.74, 0.17, 0.06, 0.10),
                                                        Row(kClassesMatek, kFineTuning, 0.47, 0.23, 0.28, 0.39),
                                                        Row(kClassesMatek, kEwc, 0.46, 0.20, 0.24, 0.26),
                                                        Row(kClassesMatek, kIcarl, 0.62, 0.18, 0.08, 0.12),
                                                        UpperBound(kClassesMatek, 0.89, 0.05),
                                                        Row(kClassesInt, kUacl, 0.85, 0.11, 0.08, 0.03),
                                                        Row(kClassesInt, kFineTuning, 0.51, 0.29, 0.33, 0.47),
                                                        Row(kClassesInt, kEwc, 0.65, 0.28, 0.33, 0.13),
                                                        Row(kClassesInt, kIcarl, 0.81, 0.15, 0.11, 0.08),
                                                        UpperBound(kClassesInt, 0.97, 0.02),
                                                        Row(kClassesAcevedo, kUacl, 0.83, 0.11, 0.05, 0.04),
                                                        Row(kClassesAcevedo, kFineTuning, 0.49, 0.30, 0.33, 0.47),
                                                        Row(kClassesAcevedo, kEwc, 0.61, 0.26, 0.16, 0.05),
                                                        Row(kClassesAcevedo, kIcarl, 0.81, 0.13, 0.04, 0.01),
                                                        UpperBound(kClassesAcevedo, 0.97, 0.02),
                                                        Row(kMixed, kUacl, 0.80, 0.06, 0.01, 0.05),
                                                        Row(kMixed, kFineTuning, 0.22, 0.23, 0.08, 0.24),
                                                        Row(kMixed, kEwc, 0.23, 0.23, 0.07, 0.26),
                                                        Row(kMixed, kIcarl, 0.52, 0.16, 0.06, 0.17),
                                                        UpperBound(kMixed, 0.75, 0.16)};
  return scores;
}

Cell Optional(const std::optional<Measurement>& value) { return value ? Cell(*value) : Cell(); }

std::string DisplayName(const MeasuredScore& score) {
  return score.method ? std::string(NameOf(*score.method)) : score.name;
}

// The columns in the order of UaclComparison; either part may be missing.
std::vector<Cell> ComparisonRow(UaclExperiment experiment, const std::string& method, const PublishedScore* published,
                                const MeasuredScore* measured) {
  std::vector<Cell> row = {std::string(NameOf(experiment)), method};
  row.push_back(measured != nullptr ? Cell(std::to_string(measured->seeds)) : Cell());
  row.push_back(published != nullptr ? Cell(published->accuracy) : Cell());
  row.push_back(measured != nullptr ? Cell(measured->accuracy_over_steps) : Cell());
  row.push_back(published != nullptr ? Optional(published->forgetting) : Cell());
  row.push_back(measured != nullptr ? Optional(measured->first_task_drop) : Cell());
  row.push_back(measured != nullptr ? Cell(measured->final_accuracy) : Cell());
  row.push_back(measured != nullptr ? Optional(measured->de_lange_forgetting) : Cell());
  return row;
}

void Check(std::span<const MeasuredScore> measured) {
  if (measured.empty()) throw Error(ErrorCode::kInvalidInput, "the comparison with UACL's table has no measured score");
  for (std::size_t i = 0; i < measured.size(); ++i) {
    const std::string name = DisplayName(measured[i]);
    if (name.empty()) throw Error(ErrorCode::kInvalidInput, "a score beside UACL's table has no method");
    for (std::size_t j = 0; j < i; ++j) {
      if (measured[j].experiment != measured[i].experiment || DisplayName(measured[j]) != name) continue;
      throw Error(ErrorCode::kInvalidInput, "experiment " + std::string(NameOf(measured[i].experiment)) +
                                                " has method '" + name + "' twice beside UACL's table");
    }
  }
}

}  // namespace

std::string_view NameOf(UaclExperiment experiment) {
  constexpr std::array<std::string_view, 5> kNames = {"D", "C_M", "C_I", "C_A", "DC"};
  return kNames.at(static_cast<std::size_t>(experiment));
}

std::string_view NameOf(UaclMethod method) {
  constexpr std::array<std::string_view, 5> kNames = {"UACL", "fine-tuning", "EWC", "iCaRL", "upper bound"};
  return kNames.at(static_cast<std::size_t>(method));
}

int TasksOf(UaclExperiment experiment) {
  constexpr std::array<int, 5> kTasks = {3, 4, 4, 4, 12};
  return kTasks.at(static_cast<std::size_t>(experiment));
}

std::span<const PublishedScore> PublishedUaclScores() { return Scores(); }

const PublishedScore& PublishedUaclScore(UaclExperiment experiment, UaclMethod method) {
  return Scores().at(static_cast<std::size_t>(experiment) * kMethods.size() + static_cast<std::size_t>(method));
}

Table UaclComparison(std::span<const MeasuredScore> measured, const std::string& measured_on) {
  Check(measured);
  Table table{.title = "UACL, Table 2: published and measured",
              .columns = {{"experiment"},
                          {"method"},
                          {"seeds"},
                          {"Acc over steps", Source::kPublished},
                          {"Acc over steps", Source::kMeasured},
                          {"For: drop of task 1", Source::kPublished},
                          {"For: drop of task 1", Source::kMeasured},
                          {"A_T", Source::kMeasured},
                          {"De Lange forgetting", Source::kMeasured}},
              .rows = {},
              .notes = {}};
  std::string tasks;
  for (const UaclExperiment experiment : kExperiments) {
    const auto of_experiment = [&](const MeasuredScore& score) { return score.experiment == experiment; };
    if (std::none_of(measured.begin(), measured.end(), of_experiment)) continue;
    tasks += (tasks.empty() ? "" : ", ") + std::string(NameOf(experiment)) + " " + std::to_string(TasksOf(experiment));
    for (const UaclMethod method : kMethods) {
      const auto found = std::find_if(measured.begin(), measured.end(), [&](const MeasuredScore& score) {
        return of_experiment(score) && score.method == method;
      });
      table.rows.push_back(ComparisonRow(experiment, std::string(NameOf(method)),
                                         &PublishedUaclScore(experiment, method),
                                         found == measured.end() ? nullptr : &*found));
    }
    for (const MeasuredScore& score : measured) {
      if (of_experiment(score) && !score.method)
        table.rows.push_back(ComparisonRow(experiment, score.name, nullptr, &score));
    }
  }
  table.notes = {
      "Measured on: " + measured_on + ".",
      "Published: Sadafi, Salehi et al. 2023, Table 2, on Matek-19, INT-20 and Acevedo-20 (tasks: " + tasks +
          "). Only a run on the full sets in the paper's order compares like with like.",
      "Over steps: mean over tasks t of the average accuracy A_t, and of the drop of task 1's accuracy from one step "
      "to "
      "the next; ± is the population standard deviation over steps. That the published ± is this one is inferred: the "
      "paper does not say. It is no tolerance from run to run.",
      "A_T and De Lange forgetting are taken after the last task; ± is the standard deviation over seeds."};
  return table;
}

}  // namespace hemafed::studies
