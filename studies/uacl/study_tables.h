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

#include "studies/report/bar_chart.h"
#include "studies/report/confusion_chart.h"
#include "studies/report/gallery_chart.h"
#include "studies/report/line_chart.h"
#include "studies/report/table.h"
#include "studies/uacl/analysis.h"

namespace hemafed::studies {

// The methods of one experiment, in the order of the study, with what their tables need.
struct ExperimentResults {
  const StudyFile* study = nullptr;
  const StudyData* data = nullptr;
  std::size_t experiment = 0;
  std::vector<MethodResults> methods;

  [[nodiscard]] const Experiment& description() const { return study->experiments.at(experiment); }
};

// One row a method: accuracy on each test set after the last task, average, forgetting in two conventions, F1, AUC,
// calibration, seconds.
[[nodiscard]] Table ResultsTable(const ExperimentResults& results);
// One row a pair of methods: difference of average accuracy with its paired interval.
[[nodiscard]] Table DifferencesTable(const ExperimentResults& results);
// a[t][j] of one method.
[[nodiscard]] Table MatrixTable(const ExperimentResults& results, const MethodResults& method);
// Precision, sensitivity, specificity, F1 of each class, last model, all tasks' test pictures, all seeds together.
[[nodiscard]] Table ClassTable(const ExperimentResults& results, const MethodResults& method);
// Beside the published row; nothing if the experiment repeats none.
[[nodiscard]] std::optional<Table> PublishedTable(const ExperimentResults& results);

// A_t by task; a line a method. Needs two tasks.
[[nodiscard]] LineChart AverageChart(const ExperimentResults& results);
// a[t][1] by task: what becomes of the first one.
[[nodiscard]] LineChart FirstTaskChart(const ExperimentResults& results);
[[nodiscard]] BarChart ForgettingChart(const ExperimentResults& results);
// Average accuracy by exemplar budget; only for experiments that compare budgets.
[[nodiscard]] LineChart BudgetChart(const ExperimentResults& results);
[[nodiscard]] ConfusionChart ConfusionOf(const ExperimentResults& results, const MethodResults& method);
// Which pictures of each (domain, class) the first seed keeps, and by which rule; several charts if there are many.
[[nodiscard]] std::vector<GalleryChart> ExemplarGalleries(const ExperimentResults& results,
                                                          const MethodResults& method);

}  // namespace hemafed::studies
