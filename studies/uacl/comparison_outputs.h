// studies/uacl/comparison_outputs.h
// SPDX-License-Identifier: Apache-2.0
//
// What every comparison of methods leaves for other programs and for its report, whether they ran on one machine or in
// a federation: figures by name, answers as CSV, the charts that all have.
//
//     matrix.csv        experiment, method, seed, task learned, test set, right, pictures
//     predictions.csv   experiment, method, seed, test set, file, truth, prediction, one score a class; last model
//
// Thread-safety: free functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/report/html_report.h"
#include "studies/report/report_names.h"
#include "studies/uacl/analysis.h"

namespace hemafed::studies {

struct NamedFigure {
  std::string name;  // of the file
  Figure figure;
};

// Accuracy by task, the first task's fate, forgetting.
[[nodiscard]] std::vector<NamedFigure> SharedFigures(const Comparison& results);
// Truth x prediction of one method.
[[nodiscard]] NamedFigure ConfusionFigure(const Comparison& results, const MethodResults& method,
                                          const std::string& name);

// {"columns": [title, ..], "methods": {name: figures}, "average_accuracy_differences": [..]}
[[nodiscard]] nlohmann::json SummaryOf(const Comparison& results);

[[nodiscard]] std::string MatrixCsv(const std::vector<const Comparison*>& comparisons);
[[nodiscard]] std::string PredictionsCsv(const std::vector<const Comparison*>& comparisons);

// Nested settings as lines of a report: "methods.uacl.gamma", "0.25".
void CollectSettings(const nlohmann::json& value, const std::string& place,
                     std::vector<std::pair<std::string, std::string>>& settings);

}  // namespace hemafed::studies
