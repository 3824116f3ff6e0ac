// studies/uacl/study_tables.h
// SPDX-License-Identifier: Apache-2.0
//
// The tables and charts of a continual-learning study, from its methods' results. Figures are mean ± sample standard
// deviation over seeds; one seed has no spread.
//
// Thread-safety: free functions.
#pragma once

#include <optional>
#include <vector>

#include "common/report/bar_chart.h"
#include "common/report/confusion_chart.h"
#include "common/report/line_chart.h"
#include "common/report/table.h"
#include "studies/report/gallery_chart.h"
#include "studies/report/report_names.h"
#include "studies/setup/study_data.h"
#include "studies/setup/study_file.h"
#include "studies/uacl/analysis.h"

namespace hemafed::studies {

// The methods of one experiment of a study file, in the order of the file.
struct ExperimentResults : Comparison {
  const StudyFile* study = nullptr;
  const StudyData* data = nullptr;
  std::size_t experiment = 0;

  // Without methods yet.
  ExperimentResults(const StudyFile& of_study, const StudyData& of_data, std::size_t number);
  [[nodiscard]] const Experiment& description() const { return study->experiments.at(experiment); }
};

// One row a method: accuracy on each test set after the last task, average, forgetting in two conventions, F1, AUC,
// calibration, seconds.
[[nodiscard]] Table ResultsTable(const Comparison& results);
// One row a pair of methods: difference of average accuracy with its paired interval.
[[nodiscard]] Table DifferencesTable(const Comparison& results);
// a[t][j] of one method.
[[nodiscard]] Table MatrixTable(const Comparison& results, const MethodResults& method);
// Precision, sensitivity, specificity, F1 of each class, last model, all tasks' test pictures, all seeds together.
[[nodiscard]] Table ClassTable(const Comparison& results, const MethodResults& method);
// Beside the published row; nothing if the experiment repeats none.
[[nodiscard]] std::optional<Table> PublishedTable(const ExperimentResults& results);

// A_t by task; a line a method. Needs two tasks.
[[nodiscard]] LineChart AverageChart(const Comparison& results);
// a[t][1] by task: what becomes of the first one.
[[nodiscard]] LineChart FirstTaskChart(const Comparison& results);
[[nodiscard]] BarChart ForgettingChart(const Comparison& results);
// Average accuracy by exemplar budget; only for experiments that compare budgets.
[[nodiscard]] LineChart BudgetChart(const ExperimentResults& results);
[[nodiscard]] ConfusionChart ConfusionOf(const Comparison& results, const MethodResults& method);
// Which pictures of each (domain, class) the first seed keeps, and by which rule; several charts if there are many.
[[nodiscard]] std::vector<GalleryChart> ExemplarGalleries(const ExperimentResults& results,
                                                          const MethodResults& method);

}  // namespace hemafed::studies
