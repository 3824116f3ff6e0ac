// studies/ae_cfe/matrix_tables.h
// SPDX-License-Identifier: Apache-2.0
//
// Results of the cross-domain study as tables and charts, published numbers beside measured ones where a domain and an
// arm stand for published ones. Accuracies are in percent, as the thesis prints them.
//
// Thread-safety: free functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/report/bar_chart.h"
#include "common/report/confusion_chart.h"
#include "studies/ae_cfe/ae_cfe_file.h"
#include "studies/ae_cfe/matrix_results.h"

namespace hemafed::studies {

// One row an arm: in-domain and cross-domain accuracy in both readings, and balanced.
[[nodiscard]] Table SummaryTable(const AeCfeFile& study, const MatrixResults& results);
// The matrix, one column an arm; beside it the published one where there is one, and what naming the training domain's
// most frequent class would give.
[[nodiscard]] Table CellTable(const AeCfeFile& study, const MatrixResults& results, Reading reading, Score score);
// Every pair of arms: cross-domain accuracy with its interval. At least two arms.
[[nodiscard]] Table ArmDifferencesTable(const MatrixResults& results);
// Table 3.1 beside arms that say which column and size they repeat; nothing if there is none.
[[nodiscard]] std::optional<Table> SweepTable(const AeCfeFile& study, const MatrixResults& results);
// Pictures by domain and class that take part: training, test.
[[nodiscard]] Table CountsTable(const MatrixResults& results);

[[nodiscard]] BarChart ArmChart(const MatrixResults& results);
// All cells off the diagonal, all seeds, counted together.
[[nodiscard]] ConfusionChart CrossDomainConfusion(const FeatureArmResults& arm);

}  // namespace hemafed::studies
