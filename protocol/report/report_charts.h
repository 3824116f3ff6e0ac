// protocol/report/report_charts.h
// SPDX-License-Identifier: Apache-2.0
//
// The charts of the consortium's report (docs/report.md). Used by protocol/report/ only.
//
// Thread-safety: free functions.
#pragma once

#include <cstddef>
#include <optional>

#include "common/report/html_report.h"
#include "protocol/report/report_figures.h"

namespace hemafed {

// Columns that get charts of their own, and classes that one chart may have; beyond these pictures could not be read,
// and the tables have everything.
inline constexpr std::size_t kMaxChartedColumns = 24;
inline constexpr std::size_t kMaxChartedClasses = 24;

// Both need a task that is closed. The accuracies of the columns over the tasks; the curves of average and forgetting.
[[nodiscard]] report::Figure AccuracyChart(const FederationState& state);
[[nodiscard]] report::Figure CourseChart(const FederationState& state);

// Of a plan that trains an autoencoder, once a round was opened.
[[nodiscard]] report::Figure LossChart(const Plan& plan, const FederationHistory& history);

// Of one column after one task; nothing where it was not scored or has too many classes, and no curves where no class
// may show its scores.
[[nodiscard]] std::optional<report::Figure> ConfusionFigure(const Plan& plan, const TaskRecord& task,
                                                            const ColumnFigures& figures);
[[nodiscard]] std::optional<report::Figure> RocFigure(const Plan& plan, const TaskRecord& task,
                                                      const ColumnFigures& figures);

}  // namespace hemafed
