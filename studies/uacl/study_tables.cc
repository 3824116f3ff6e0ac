// SPDX-License-Identifier: Apache-2.0
#include "studies/uacl/study_tables.h"

#include <algorithm>
#include <map>
#include <string>

#include "studies/report/published_uacl.h"

namespace hemafed::studies {

namespace {

using learning::OverRuns;

Measurement Shown(const OverRuns& over, int digits = 3) {
  return {.value = over.mean, .spread = over.runs > 1 ? std::optional(over.deviation) : std::nullopt, .digits = digits};
}

template <class Get>
OverRuns Describe(const std::vector<RunFigures>& figures, const Get& get) {
  std::vector<double> values;
  for (const RunFigures& run : figures) values.push_back(get(run));
  return learning::DescribeRuns(values);
}

// Of a figure that some runs do not have: shown only if all have it.
Cell Optional(const std::vector<RunFigures>& figures, std::optional<double> RunFigures::*figure) {
  std::vector<double> values;
  for (const RunFigures& run : figures) {
    if (!(run.*figure)) return std::monostate{};
    values.push_back(*(run.*figure));
  }
  return Shown(learning::DescribeRuns(values));
}

// Of an unseen test set a method may know nothing.
bool HasAnswers(const MethodResults& method, std::size_t test_set) {
  return !method.results.front().columns.at(test_set).empty();
}

std::string SeedsNote(const MethodResults& method) {
  const std::size_t seeds = method.results.size();
  return seeds == 1 ? "One seed." : "Mean ± sample standard deviation over " + std::to_string(seeds) + " seeds.";
}

std::vector<std::string> TaskNames(const Comparison& results) {
  std::vector<std::string> names;
  for (std::size_t t = 0; t < results.tasks; ++t) names.push_back(results.test_sets[t].title);
  return names;
}

std::string SeedsNote(const Comparison& results) {
  for (const MethodResults& method : results.methods) {
    if (method.results.size() != results.methods.front().results.size()) {
      return "Mean ± sample standard deviation over each method's seeds; one seed has no spread.";
    }
  }
  return SeedsNote(results.methods.front());
}

// One line a method of a figure for each task: its mean over seeds and their spread.
template <class Get>
LineChart ByTask(const Comparison& results, std::string title, std::string y_title, const Get& get) {
  LineChart chart;
  chart.title = std::move(title);
  chart.x_title = "after learning";
  chart.y_title = std::move(y_title);
  chart.x_labels = TaskNames(results);
  chart.y_low = 0;
  chart.y_high = 1;
  for (const MethodResults& method : results.methods) {
    LineSeries series;
    series.name = method.name;
    for (std::size_t t = 0; t < chart.x_labels.size(); ++t) {
      std::vector<double> values;
      for (const RunResult& result : method.results) values.push_back(get(MatrixOf(result), t));
      const OverRuns over = learning::DescribeRuns(values);
      series.values.emplace_back(over.mean);
      if (over.runs > 1) series.spread.push_back(over.deviation);
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

std::optional<UaclExperiment> PublishedRow(const std::string& name) {
  for (const auto experiment : {UaclExperiment::kDomains, UaclExperiment::kClassesMatek, UaclExperiment::kClassesInt,
                                UaclExperiment::kClassesAcevedo, UaclExperiment::kMixed}) {
    if (NameOf(experiment) == name) return experiment;
  }
  return std::nullopt;
}

std::optional<UaclMethod> PublishedMethod(const std::string& strategy) {
  static const std::map<std::string, UaclMethod> methods{{"uacl", UaclMethod::kUacl},
                                                         {"finetuning", UaclMethod::kFineTuning},
                                                         {"ewc", UaclMethod::kEwc},
                                                         {"icarl", UaclMethod::kIcarl},
                                                         {"joint", UaclMethod::kUpperBound}};
  const auto found = methods.find(strategy);
  return found == methods.end() ? std::nullopt : std::optional(found->second);
}

MeasuredScore ScoreOf(const ExperimentResults& results, const MethodResults& method, UaclExperiment row,
                      bool first_of_its_strategy) {
  const auto figures = FiguresOf(method, results.classes.size());
  MeasuredScore score;
  score.experiment = row;
  if (first_of_its_strategy) score.method = PublishedMethod(results.study->methods[method.method].strategy);
  if (!score.method) score.name = method.name;
  score.seeds = static_cast<int>(method.results.size());
  const auto over_steps = [&](learning::OverSteps RunFigures::*figure) {
    return Measurement{
        .value = Describe(figures, [&](const RunFigures& run) { return (run.*figure).mean; }).mean,
        .spread = Describe(figures, [&](const RunFigures& run) { return (run.*figure).deviation; }).mean};
  };
  score.accuracy_over_steps = over_steps(&RunFigures::mean_over_steps);
  score.first_task_drop = over_steps(&RunFigures::first_task_drop);
  score.final_accuracy = Shown(Over(figures, &RunFigures::average_accuracy));
  score.de_lange_forgetting = Shown(Over(figures, &RunFigures::de_lange));
  return score;
}

}  // namespace

ExperimentResults::ExperimentResults(const StudyFile& of_study, const StudyData& of_data, std::size_t number)
    : study(&of_study), data(&of_data), experiment(number) {
  name = description().name;
  title = description().title;
  classes = of_study.classes;
  tasks = description().tasks.size();
  for (const TestColumn& column : of_data.Columns(number)) {
    TestSet& set = test_sets.emplace_back();
    set.title = column.title;
    for (const std::uint32_t position : column.pictures) {
      const learning::PictureEntry& picture = of_data.Domain(column.domain).index().pictures[position];
      set.files.push_back(picture.file);
      set.groups.push_back(picture.group);
    }
  }
}

Table ResultsTable(const Comparison& results) {
  Table table;
  table.title = results.title;
  table.columns = {{"method"}};
  const std::vector<TestSet>& columns = results.test_sets;
  for (const TestSet& column : columns) table.columns.push_back({column.title});
  for (const char* title :
       {"average", "De Lange forgetting", "first-task drop", "macro F1", "ROC-AUC", "calibration error", "seconds"}) {
    table.columns.push_back({title});
  }
  for (const MethodResults& method : results.methods) {
    const auto figures = FiguresOf(method, results.classes.size());
    std::vector<Cell> row{method.name};
    for (std::size_t j = 0; j < columns.size(); ++j) {
      row.push_back(HasAnswers(method, j)
                        ? Shown(Describe(figures, [&](const RunFigures& run) { return run.last_row[j]; }))
                        : Cell());
    }
    row.emplace_back(Shown(Over(figures, &RunFigures::average_accuracy)));
    row.emplace_back(Shown(Over(figures, &RunFigures::de_lange)));
    row.emplace_back(Shown(Describe(figures, [](const RunFigures& run) { return run.first_task_drop.mean; })));
    row.emplace_back(Shown(Over(figures, &RunFigures::macro_f1)));
    row.emplace_back(Optional(figures, &RunFigures::roc_auc));
    row.emplace_back(Optional(figures, &RunFigures::calibration));
    double seconds = 0;
    for (const RunResult& result : method.results) seconds += static_cast<double>(result.seconds_thousandths) / 1000;
    row.emplace_back(Measurement{.value = seconds / static_cast<double>(method.results.size()), .digits = 0});
    table.rows.push_back(std::move(row));
  }
  table.notes = {
      SeedsNote(results),
      "Accuracy after the last task, on each test set and averaged over the tasks' test sets (unseen ones do "
      "not count). Forgetting: De Lange et al., TPAMI 2022; first-task drop: mean per step. F1 and AUC are "
      "over all tasks' test pictures together; calibration error only where scores are probabilities. "
      "Seconds of one run, with other runs beside it."};
  return table;
}

Table DifferencesTable(const Comparison& results) {
  Table table;
  table.title = "Differences of average accuracy";
  table.columns = {{"ours"}, {"theirs"}, {"difference"}, {"low"}, {"high"}, {"settled"}};
  for (std::size_t i = 0; i < results.methods.size(); ++i) {
    for (std::size_t k = i + 1; k < results.methods.size(); ++k) {
      const auto interval = Difference(results.methods[i], results.methods[k], results);
      table.rows.push_back({results.methods[i].name, results.methods[k].name, Measurement{.value = interval.estimate},
                            Measurement{.value = interval.low}, Measurement{.value = interval.high},
                            interval.ExcludesZero() ? "yes" : "no"});
    }
  }
  table.notes = {
      "95 % paired bootstrap interval over test pictures, groups kept together, each picture's answers "
      "averaged over seeds; settled: the interval excludes zero."};
  return table;
}

Table MatrixTable(const Comparison& results, const MethodResults& method) {
  Table table;
  table.title = method.name + ": accuracy after each task on each test set";
  table.columns = {{"after"}};
  const std::vector<TestSet>& columns = results.test_sets;
  for (const TestSet& column : columns) table.columns.push_back({column.title});
  for (std::size_t t = 0; t < results.tasks; ++t) {
    std::vector<Cell> row{columns[t].title};
    for (std::size_t j = 0; j < columns.size(); ++j) {
      std::vector<double> values;
      for (const RunResult& result : method.results) values.push_back(result.Accuracy(t, j));
      row.push_back(HasAnswers(method, j) ? Shown(learning::DescribeRuns(values)) : Cell());
    }
    table.rows.push_back(std::move(row));
  }
  table.notes = {SeedsNote(method)};
  return table;
}

Table ClassTable(const Comparison& results, const MethodResults& method) {
  const auto report = learning::DescribeClasses(LastConfusion(method, results.classes.size()));
  Table table;
  table.title = method.name + ": scores by class";
  table.columns = {{"class"}, {"precision"}, {"sensitivity"}, {"specificity"}, {"F1"}, {"pictures"}};
  const auto add = [&](const std::string& name, const learning::Scores& scores, std::uint64_t support) {
    table.rows.push_back({name, Measurement{.value = scores.precision}, Measurement{.value = scores.sensitivity},
                          Measurement{.value = scores.specificity}, Measurement{.value = scores.f1},
                          Measurement{.value = static_cast<double>(support), .digits = 0}});
  };
  const std::vector<std::string> names = results.classes;
  for (std::size_t c = 0; c < names.size(); ++c) {
    if (report.classes[c].support > 0) add(names[c], report.classes[c], report.classes[c].support);
  }
  add("macro", report.macro, report.pictures);
  add("weighted", report.weighted, report.pictures);
  table.notes = {"Last model, all tasks' test pictures, all seeds counted together."};
  return table;
}

std::optional<Table> PublishedTable(const ExperimentResults& results) {
  const auto row = PublishedRow(results.description().published);
  if (!row) return std::nullopt;
  std::vector<MeasuredScore> scores;
  std::vector<std::string> strategies;
  for (const MethodResults& method : results.methods) {
    const std::string& strategy = results.study->methods[method.method].strategy;
    const bool first = std::find(strategies.begin(), strategies.end(), strategy) == strategies.end();
    strategies.push_back(strategy);
    scores.push_back(ScoreOf(results, method, *row, first));
  }
  std::string measured_on;
  for (const std::string& name : TaskNames(results)) measured_on += (measured_on.empty() ? "" : ", ") + name;
  return UaclComparison(scores, measured_on + "; " + std::to_string(results.classes.size()) + " classes");
}

LineChart AverageChart(const Comparison& results) {
  return ByTask(results, "Average accuracy on the tasks so far", "accuracy",
                [](const learning::TaskAccuracies& matrix, std::size_t t) { return matrix.AverageAfter(t); });
}

LineChart FirstTaskChart(const Comparison& results) {
  return ByTask(results, "Accuracy on the first task", "accuracy",
                [](const learning::TaskAccuracies& matrix, std::size_t t) { return matrix.At(t, 0); });
}

BarChart ForgettingChart(const Comparison& results) {
  BarChart chart;
  chart.title = "Forgetting";
  chart.y_title = "accuracy lost";
  BarSeries de_lange{.name = "De Lange", .values = {}, .spread = {}};
  BarSeries drop{.name = "first-task drop per step", .values = {}, .spread = {}};
  bool several_seeds = false;  // Of any method; one with a single seed then has no visible spread.
  for (const MethodResults& method : results.methods) {
    const auto figures = FiguresOf(method, results.classes.size());
    chart.groups.push_back(method.name);
    const auto add = [&](BarSeries& series, const OverRuns& over) {
      series.values.emplace_back(over.mean);
      series.spread.push_back(over.deviation);
      several_seeds = several_seeds || over.runs > 1;
    };
    add(de_lange, Over(figures, &RunFigures::de_lange));
    add(drop, Describe(figures, [](const RunFigures& run) { return run.first_task_drop.mean; }));
  }
  if (!several_seeds) {
    de_lange.spread.clear();
    drop.spread.clear();
  }
  chart.series = {std::move(de_lange), std::move(drop)};
  return chart;
}

LineChart BudgetChart(const ExperimentResults& results) {
  LineChart chart;
  chart.title = "Average accuracy by exemplar budget";
  chart.x_title = "exemplars kept in all (K)";
  chart.y_title = "accuracy";
  std::vector<std::size_t> budgets = results.description().budgets;
  std::sort(budgets.begin(), budgets.end());
  for (const std::size_t budget : budgets) chart.x_values.push_back(static_cast<double>(budget));
  std::map<std::size_t, LineSeries> by_method;
  for (const MethodResults& method : results.methods) {
    LineSeries& series = by_method[method.method];
    series.name = results.study->methods[method.method].name;
    series.values.resize(budgets.size());
    const auto place = std::find(budgets.begin(), budgets.end(), method.budget.value_or(0)) - budgets.begin();
    const auto over = Over(FiguresOf(method, results.classes.size()), &RunFigures::average_accuracy);
    series.values.at(static_cast<std::size_t>(place)) = over.mean;
    if (over.runs > 1) {
      series.spread.resize(budgets.size());
      series.spread.at(static_cast<std::size_t>(place)) = over.deviation;
    }
  }
  for (auto& [method, series] : by_method) chart.series.push_back(std::move(series));
  return chart;
}

ConfusionChart ConfusionOf(const Comparison& results, const MethodResults& method) {
  const ConfusionMatrix matrix = LastConfusion(method, results.classes.size());
  ConfusionChart chart;
  chart.title = method.name + ": last model, all tasks' test pictures";
  chart.classes = results.classes;
  for (std::size_t truth = 0; truth < matrix.classes(); ++truth) {
    for (std::size_t predicted = 0; predicted < matrix.classes(); ++predicted) {
      chart.counts.push_back(matrix.At(truth, predicted));
    }
  }
  return chart;
}

}  // namespace hemafed::studies
