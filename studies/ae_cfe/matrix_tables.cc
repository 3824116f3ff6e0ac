// SPDX-License-Identifier: Apache-2.0
#include "studies/ae_cfe/matrix_tables.h"

#include <algorithm>

namespace hemafed::studies {

namespace {

using learning::CrossDomainMatrix;
using learning::OverRuns;

Measurement Percent(double part) { return {.value = 100 * part, .spread = {}, .digits = 1}; }

Measurement Percent(const OverRuns& over) {
  Measurement shown = Percent(over.mean);
  if (over.runs > 1) shown.spread = 100 * over.deviation;
  return shown;
}

std::string SeedsNote(const MatrixResults& results) {
  const std::size_t seeds = results.arms.front().seeds.size();
  return seeds > 1 ? "Measured: mean ± standard deviation over " + std::to_string(seeds) +
                         " seeds of the forest; pictures and split are the same for all."
                   : "Measured: one seed.";
}

const char* kReadings =
    "Test part: the other domain's test pictures. Whole: all of its pictures, as the published code scores. On the "
    "diagonal always the test pictures.";

std::string Classes(const MatrixResults& results) {
  std::string text;
  for (const std::string& name : results.arms.front().runs.front().used_classes)
    text += (text.empty() ? "" : ", ") + name;
  return text;
}

// The published column of an arm, where at least one row of the matrix has a value in it.
bool HasPublished(const AeCfeFile& study, const ArmDescription& arm) {
  const auto known = std::count_if(study.domains.begin(), study.domains.end(),
                                   [](const AeCfeDomainChoice& domain) { return domain.published.has_value(); });
  return arm.published && known > 0;
}

Cell PublishedBeside(const AeCfeFile& study, const ArmDescription& arm, std::size_t train, std::size_t test) {
  const auto& of_train = study.domains[train].published;
  const auto& of_test = study.domains[test].published;
  if (!of_train || !of_test) return {};
  const auto cell = PublishedCell(*arm.published, *of_train, *of_test);
  if (!cell) return {};
  if (cell->oddity == Oddity::kNone) return cell->percent;
  return FormatMeasurement(cell->percent) + std::string(MarkOf(cell->oddity));
}

}  // namespace

Table SummaryTable(const AeCfeFile& study, const MatrixResults& results) {
  Table table{.title = study.title + ": accuracy in percent",
              .columns = {{"arm"},
                          {"features"},
                          {"in domain", Source::kMeasured},
                          {"across, test part", Source::kMeasured},
                          {"across, whole", Source::kMeasured},
                          {"in domain, balanced", Source::kMeasured},
                          {"across, whole, balanced", Source::kMeasured}},
              .rows = {},
              .notes = {}};
  for (const FeatureArmResults& arm : results.arms) {
    table.rows.push_back(
        {arm.arm.title, Measurement{.value = static_cast<double>(arm.columns), .spread = {}, .digits = 0},
         Percent(arm.InDomain(Score::kAccuracy)), Percent(arm.CrossDomain(Reading::kTestPart, Score::kAccuracy)),
         Percent(arm.CrossDomain(Reading::kWhole, Score::kAccuracy)), Percent(arm.InDomain(Score::kBalanced)),
         Percent(arm.CrossDomain(Reading::kWhole, Score::kBalanced))});
  }
  table.notes = {SeedsNote(results),
                 "Random forest of " + std::to_string(study.matrix.forest.trees) + " trees of depth " +
                     std::to_string(study.matrix.forest.depth_max) +
                     " at most. Plain means over the cells of the matrix: " +
                     "in domain the diagonal, across all others. Balanced: mean over classes.",
                 kReadings, "Classes: " + Classes(results) + "."};
  if (study.validation) table.notes.emplace_back("Scored on the validation fifth of the training pictures.");
  return table;
}

Table CellTable(const AeCfeFile& study, const MatrixResults& results, Reading reading, Score score) {
  Table table{.title = std::string(score == Score::kAccuracy ? "Accuracy" : "Balanced accuracy") + " in percent, " +
                       (reading == Reading::kTestPart ? "test part" : "whole"),
              .columns = {{"train"}, {"test"}},
              .rows = {},
              .notes = {}};
  const bool beside = score == Score::kAccuracy;
  if (beside) table.columns.push_back({"most frequent class"});
  bool published = false;
  for (const FeatureArmResults& arm : results.arms) {
    if (beside && HasPublished(study, arm.arm)) {
      table.columns.push_back({std::string(NameOf(*arm.arm.published)), Source::kPublished});
      published = true;
    }
    table.columns.push_back({arm.arm.name, Source::kMeasured});
  }
  const std::vector<std::string>& names = results.arms.front().runs.front().domains;
  for (std::size_t a = 0; a < names.size(); ++a) {
    for (std::size_t b = 0; b < names.size(); ++b) {
      std::vector<Cell> row = {names[a], names[b]};
      if (beside) row.emplace_back(Percent(results.FrequentClass(a, b, reading)));
      for (const FeatureArmResults& arm : results.arms) {
        if (beside && HasPublished(study, arm.arm)) row.push_back(PublishedBeside(study, arm.arm, a, b));
        row.emplace_back(Percent(arm.Cell(a, b, reading, score)));
      }
      table.rows.push_back(std::move(row));
    }
  }
  table.notes = {SeedsNote(results), kReadings};
  if (beside)
    table.notes.emplace_back(
        "Most frequent class: what naming the most frequent class of the training pictures gives.");
  if (published)
    table.notes.emplace_back(
        "Published on the whole sets with 13 classes; measured on the classes and pictures of this study, so the two "
        "do "
        "not compare like with like unless these are the same.");
  return table;
}

Table ArmDifferencesTable(const MatrixResults& results) {
  Table table{.title = "Differences of cross-domain accuracy (whole), in points of percent",
              .columns = {{"ours"}, {"theirs"}, {"difference"}, {"low"}, {"high"}, {"settled"}},
              .rows = {},
              .notes = {"Difference of the summary's \"across, whole\", in which cells of the matrix count alike "
                        "however many pictures they have. 95 % paired bootstrap interval over pictures, drawn within "
                        "their domain, groups kept together, each picture's answers averaged over training domains and "
                        "seeds; settled: the interval excludes zero."}};
  for (std::size_t i = 0; i < results.arms.size(); ++i) {
    for (std::size_t k = i + 1; k < results.arms.size(); ++k) {
      const auto interval = CrossDomainDifference(results, results.arms[i], results.arms[k]);
      table.rows.push_back({results.arms[i].arm.name, results.arms[k].arm.name, Percent(interval.estimate),
                            Percent(interval.low), Percent(interval.high), interval.ExcludesZero() ? "yes" : "no"});
    }
  }
  return table;
}

std::optional<Table> SweepTable(const AeCfeFile& study, const MatrixResults& results) {
  std::vector<std::size_t> columns;
  std::vector<std::uint32_t> sizes(SweepSizes().begin(), SweepSizes().end());
  for (const FeatureArmResults& arm : results.arms) {
    if (!arm.arm.sweep_column) continue;
    columns.push_back(*arm.arm.sweep_column);
    sizes.push_back(*arm.arm.bottleneck);
  }
  if (columns.empty()) return std::nullopt;
  const auto make_set = [](auto& values) {
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
  };
  make_set(columns);
  make_set(sizes);
  Table table{.title = "Table 3.1: accuracy in percent on one domain by size of the latent",
              .columns = {{"latent"}},
              .rows = {},
              .notes = {SeedsNote(results), "Measured: trained and tested on " + study.domains.front().name +
                                                "; published on Matek-19, one run. * out of line with its column."}};
  for (const std::size_t column : columns) {
    table.columns.push_back({std::string(SweepColumns()[column].name), Source::kPublished});
    table.columns.push_back({std::string(SweepColumns()[column].name), Source::kMeasured});
  }
  for (const std::uint32_t size : sizes) {
    std::vector<Cell> row = {std::to_string(size)};
    const auto printed = std::find(SweepSizes().begin(), SweepSizes().end(), static_cast<int>(size));
    for (const std::size_t column : columns) {
      if (printed == SweepSizes().end()) {
        row.emplace_back();
      } else {
        const auto cell = PublishedSweep(static_cast<std::size_t>(printed - SweepSizes().begin()), column);
        Measurement percent = Percent(cell.percent.value);
        percent.digits = 0;
        row.push_back(cell.oddity == Oddity::kNone
                          ? Cell(percent)
                          : Cell(FormatMeasurement(percent) + std::string(MarkOf(cell.oddity))));
      }
      const auto arm = std::find_if(results.arms.begin(), results.arms.end(), [&](const FeatureArmResults& candidate) {
        return candidate.arm.sweep_column == column && candidate.arm.bottleneck == size;
      });
      row.push_back(arm == results.arms.end() ? Cell()
                                              : Cell(Percent(arm->Cell(0, 0, Reading::kTestPart, Score::kAccuracy))));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table CountsTable(const MatrixResults& results) {
  const CrossDomainMatrix& matrix = results.arms.front().runs.front();
  Table table{.title = "Pictures: training, test", .columns = {{"class"}}, .rows = {}, .notes = {}};
  for (const std::string& name : matrix.domains) table.columns.push_back({name});
  for (std::size_t c = 0; c < matrix.classes.size(); ++c) {
    if (std::find(matrix.used_classes.begin(), matrix.used_classes.end(), matrix.classes[c]) ==
        matrix.used_classes.end())
      continue;
    std::vector<Cell> row = {matrix.classes[c]};
    for (std::size_t d = 0; d < matrix.domains.size(); ++d) {
      const auto count = [&](const std::vector<std::uint32_t>& rows) {
        return std::count_if(rows.begin(), rows.end(),
                             [&](std::uint32_t number) { return results.rows[d].truth[number] == c; });
      };
      row.emplace_back(std::to_string(count(matrix.splits[d].train)) + ", " +
                       std::to_string(count(matrix.splits[d].test)));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

BarChart ArmChart(const MatrixResults& results) {
  BarChart chart;
  chart.title = "Accuracy at home and across domains";
  chart.y_title = "accuracy in percent";
  chart.y_high = 100;
  chart.digits = 1;
  BarSeries home{.name = "in domain", .values = {}, .spread = {}};
  BarSeries across{.name = "across (whole)", .values = {}, .spread = {}};
  BarSeries balanced{.name = "across, balanced", .values = {}, .spread = {}};
  const bool several = results.arms.front().seeds.size() > 1;
  const auto add = [&](BarSeries& series, const OverRuns& over) {
    series.values.emplace_back(100 * over.mean);
    if (several) series.spread.push_back(100 * over.deviation);
  };
  for (const FeatureArmResults& arm : results.arms) {
    chart.groups.push_back(arm.arm.name);
    add(home, arm.InDomain(Score::kAccuracy));
    add(across, arm.CrossDomain(Reading::kWhole, Score::kAccuracy));
    add(balanced, arm.CrossDomain(Reading::kWhole, Score::kBalanced));
  }
  chart.series = {std::move(home), std::move(across), std::move(balanced)};
  return chart;
}

ConfusionChart CrossDomainConfusion(const FeatureArmResults& arm) {
  const CrossDomainMatrix& first = arm.runs.front();
  ConfusionChart chart{.title = arm.arm.title + ": trained on one domain, asked about the others",
                       .classes = first.classes,
                       .counts = std::vector<std::uint64_t>(first.classes.size() * first.classes.size())};
  for (const CrossDomainMatrix& run : arm.runs) {
    for (const learning::CrossDomainCell& cell : run.cells) {
      if (!cell.whole) continue;
      for (std::size_t truth = 0; truth < first.classes.size(); ++truth) {
        for (std::size_t answer = 0; answer < first.classes.size(); ++answer)
          chart.counts[truth * first.classes.size() + answer] += cell.whole->At(truth, answer);
      }
    }
  }
  return chart;
}

}  // namespace hemafed::studies
