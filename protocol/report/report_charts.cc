// SPDX-License-Identifier: Apache-2.0
#include "protocol/report/report_charts.h"

#include <algorithm>

#include "common/report/chart_frame.h"
#include "common/report/confusion_chart.h"
#include "common/report/line_chart.h"
#include "protocol/report/report_tables.h"

namespace hemafed {

namespace {

// Lines of the accuracy chart, and classes of a chart of ROC curves beside the diagonal.
constexpr std::size_t kMaxChartedLines = 12;
static_assert(kMaxChartedLines <= report::kMaxChartSeries);

}  // namespace

report::Figure AccuracyChart(const FederationState& state) {
  const AccuracyMatrix& matrix = state.matrix();
  const std::vector<Column> columns = state.plan().Columns();
  report::LineChart chart{.title = "Accuracy on each hospital's test pictures",
                          .x_title = "after task",
                          .y_title = "accuracy",
                          .x_labels = {},
                          .x_values = {},
                          .series = {},
                          .y_low = 0.0,
                          .y_high = 1.0};
  for (std::uint32_t t = 0; t < matrix.rows(); ++t) chart.x_labels.push_back(TaskTitle(state.plan(), t));
  for (std::size_t j = 0; j < std::min(columns.size(), kMaxChartedLines); ++j) {
    report::LineSeries line{.name = columns[j].title, .values = {}, .spread = {}};
    for (std::size_t t = 0; t < matrix.rows(); ++t) line.values.push_back(ShareOf(matrix.Millionths(t, j)));
    chart.series.push_back(std::move(line));
  }
  std::string caption = "A line falls where later tasks made the model forget a hospital.";
  if (columns.size() > kMaxChartedLines) {
    caption += " The first " + std::to_string(kMaxChartedLines) + " of " + std::to_string(columns.size()) + " columns.";
  }
  return {.drawing = report::DrawLineChart(chart), .caption = std::move(caption)};
}

report::Figure CourseChart(const FederationState& state) {
  const AccuracyMatrix& matrix = state.matrix();
  report::LineChart chart{.title = "Average accuracy and forgetting",
                          .x_title = "after task",
                          .y_title = "share of pictures",
                          .x_labels = {},
                          .x_values = {},
                          .series = {{.name = "average accuracy", .values = {}, .spread = {}},
                                     {.name = "forgetting", .values = {}, .spread = {}}},
                          .y_low = 0.0,
                          .y_high = 1.0};
  for (std::uint32_t t = 0; t < matrix.rows(); ++t) {
    chart.x_labels.push_back(TaskTitle(state.plan(), t));
    chart.series[0].values.push_back(ShareOf(matrix.AverageAfterMillionths(t)));
    chart.series[1].values.push_back(t == 0 ? std::nullopt : ShareOf(matrix.ForgettingAfterMillionths(t)));
  }
  return {.drawing = report::DrawLineChart(chart),
          .caption = "Over the tasks learned so far. Below zero, the tasks before gained."};
}

report::Figure LossChart(const Plan& plan, const FederationHistory& history) {
  report::LineChart chart{.title = "Loss of each hospital",
                          .x_title = "round",
                          .y_title = "loss",
                          .x_labels = {},
                          .x_values = {},
                          .series = {},
                          .y_low = 0.0,
                          .y_high = {}};
  const std::vector<std::string> sites = plan.Participants(0);
  const std::size_t shown = std::min(sites.size(), kMaxChartedLines);
  for (std::size_t s = 0; s < shown; ++s) chart.series.push_back({.name = sites[s], .values = {}, .spread = {}});
  for (const TaskRecord& task : history.tasks()) {
    for (const RoundRecord& round : task.rounds) {
      chart.x_values.push_back(static_cast<double>(round.round) + 1);
      for (std::size_t s = 0; s < shown; ++s) {
        const auto update = std::find_if(round.updates.begin(), round.updates.end(),
                                         [&](const UpdateRecord& of) { return of.site == sites[s]; });
        const bool taken = update != round.updates.end();
        chart.series[s].values.push_back(taken ? ShareOf(std::optional(update->loss_millionths)) : std::nullopt);
      }
    }
  }
  std::string caption = "Mean over a round's local steps.";
  if (shown < sites.size()) {
    caption += " The first " + std::to_string(shown) + " of " + std::to_string(sites.size()) + " hospitals.";
  }
  return {.drawing = report::DrawLineChart(chart), .caption = std::move(caption)};
}

std::optional<report::Figure> ConfusionFigure(const Plan& plan, const TaskRecord& task, const ColumnFigures& figures) {
  const std::size_t classes = plan.classes.size();
  if (classes > kMaxChartedClasses || !figures.scored) return std::nullopt;
  report::ConfusionChart chart{.title = "Test pictures of " + figures.column.title,
                               .classes = plan.classes,
                               .counts = std::vector<std::uint64_t>(classes * classes)};
  const EvaluationReport& evaluation = task.evaluations.at(figures.column.site);
  for (const std::uint32_t truth : ClassesOf(plan, figures.column)) {
    if (!evaluation.rows()[truth]) continue;
    std::copy(evaluation.rows()[truth]->begin(), evaluation.rows()[truth]->end(),
              chart.counts.begin() + static_cast<std::ptrdiff_t>(truth * classes));
  }
  return report::Figure{.drawing = report::DrawConfusionChart(chart),
                        .caption = "Rows without numbers: no pictures, or too few to be shown."};
}

std::optional<report::Figure> RocFigure(const Plan& plan, const TaskRecord& task, const ColumnFigures& figures) {
  const std::vector<RocCurve> curves = RocCurvesOf(plan, task, figures.column);
  if (curves.empty()) return std::nullopt;
  report::LineChart chart{.title = "ROC on test pictures of " + figures.column.title,
                          .x_title = "1 - specificity",
                          .y_title = "sensitivity",
                          .x_labels = {},
                          .x_values = {},
                          .series = {},
                          .y_low = 0.0,
                          .y_high = 1.0};
  for (std::size_t i = 0; i < kRocPoints; ++i) chart.x_values.push_back(RocPlace(i));
  const std::size_t shown = std::min(curves.size(), kMaxChartedLines - 1);
  for (std::size_t k = 0; k < shown; ++k) {
    report::LineSeries line{.name = plan.classes[curves[k].label], .values = {}, .spread = {}};
    for (const std::uint64_t millionths : curves[k].positives)
      line.values.push_back(ShareOf(std::optional(millionths)));
    chart.series.push_back(std::move(line));
  }
  chart.series.push_back({.name = "by chance", .values = {chart.x_values.begin(), chart.x_values.end()}, .spread = {}});
  std::string caption = "Each class against the others of the column.";
  if (shown < curves.size()) {
    caption += " The first " + std::to_string(shown) + " of " + std::to_string(curves.size()) + " classes.";
  }
  return report::Figure{.drawing = report::DrawLineChart(chart), .caption = std::move(caption)};
}

}  // namespace hemafed
