// SPDX-License-Identifier: Apache-2.0
#include "learning/features/latent/cross_domain.h"

#include <algorithm>
#include <iterator>

#include "common/error.h"
#include "common/random.h"
#include "learning/metrics/class_metrics.h"

namespace hemafed::learning {

namespace {

[[noreturn]] void Fail(const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, "cross-domain matrix: " + problem);
}

void CheckDomains(std::span<const DomainFeatures> domains, const CrossDomainSettings& settings) {
  if (domains.size() < 2 || domains.size() > kMaxMatrixDomains)
    Fail("needs 2 to " + std::to_string(kMaxMatrixDomains) + " domains");
  if (settings.test_percent < 1 || settings.test_percent > 99) Fail("the test part must be 1 to 99 percent");
  for (std::size_t i = 0; i < domains.size(); ++i) {
    RequireConsistent(domains[i], domains[i].domain);
    if (domains[i].classes != domains.front().classes)
      Fail("domain " + domains[i].domain + " has other classes than " + domains.front().domain);
    if (domains[i].features.columns != domains.front().features.columns)
      Fail("domain " + domains[i].domain + " has " + std::to_string(domains[i].features.columns) + " features, " +
           domains.front().domain + " has " + std::to_string(domains.front().features.columns));
    for (std::size_t k = 0; k < i; ++k)
      if (domains[k].domain == domains[i].domain) Fail("domain " + domains[i].domain + " is there twice");
  }
}

std::vector<std::uint32_t> LabelsAt(const DomainFeatures& domain, std::span<const std::uint32_t> rows) {
  std::vector<std::uint32_t> labels;
  labels.reserve(rows.size());
  for (const std::uint32_t row : rows) labels.push_back(domain.labels[row]);
  return labels;
}

// `rows` were answered; those in `counted` (ascending, among `rows`) are counted.
ConfusionMatrix Count(const DomainFeatures& domain, std::span<const std::uint32_t> rows,
                      std::span<const std::uint32_t> answers, std::span<const std::uint32_t> counted) {
  ConfusionMatrix matrix(domain.classes.size());
  std::size_t next = 0;
  for (std::size_t i = 0; i < rows.size() && next < counted.size(); ++i) {
    if (rows[i] != counted[next]) continue;
    matrix.Add(domain.labels[rows[i]], answers[i]);
    ++next;
  }
  return matrix;
}

// A matrix without cells: domains, classes and splits.
CrossDomainMatrix Frame(std::span<const DomainFeatures> domains, const CrossDomainSettings& settings) {
  CheckDomains(domains, settings);
  const std::vector<bool> taken = ClassesTaken(domains, settings.shared_classes_only);
  CrossDomainMatrix matrix;
  matrix.classes = domains.front().classes;
  for (std::size_t c = 0; c < taken.size(); ++c)
    if (taken[c]) matrix.used_classes.push_back(matrix.classes[c]);
  if (matrix.used_classes.size() < 2) Fail("the domains share fewer than two classes");
  for (const DomainFeatures& domain : domains) {
    matrix.domains.push_back(domain.domain);
    matrix.splits.push_back(SplitDomain(domain, taken, settings));
  }
  return matrix;
}

// Rows of domain b that the forest of domain a answers.
std::vector<std::uint32_t> ScoredRows(const CrossDomainMatrix& matrix, std::size_t a, std::size_t b) {
  return a == b ? matrix.splits[b].test : matrix.splits[b].Both();
}

}  // namespace

std::vector<std::uint32_t> DomainSplit::Both() const {
  std::vector<std::uint32_t> both;
  std::merge(train.begin(), train.end(), test.begin(), test.end(), std::back_inserter(both));
  return both;
}

std::vector<bool> ClassesTaken(std::span<const DomainFeatures> domains, bool shared_only) {
  const std::size_t classes = domains.front().classes.size();
  std::vector<std::size_t> present(classes, 0);
  for (const DomainFeatures& domain : domains) {
    std::vector<bool> seen(classes, false);
    for (const std::uint32_t label : domain.labels) seen[label] = true;
    for (std::size_t c = 0; c < classes; ++c) present[c] += seen[c] ? 1 : 0;
  }
  std::vector<bool> taken(classes);
  for (std::size_t c = 0; c < classes; ++c) taken[c] = present[c] >= (shared_only ? domains.size() : 1);
  return taken;
}

DomainSplit SplitDomain(const DomainFeatures& domain, const std::vector<bool>& taken,
                        const CrossDomainSettings& settings) {
  std::vector<std::uint32_t> rows;
  for (std::size_t row = 0; row < domain.labels.size(); ++row)
    if (taken.at(domain.labels[row])) rows.push_back(static_cast<std::uint32_t>(row));
  DomainSplit split;
  if (settings.split == MatrixSplit::kOwn) {
    for (const std::uint32_t row : rows) (domain.test[row] != 0 ? split.test : split.train).push_back(row);
  } else {
    RandomStream random(DeriveSeed(settings.split_seed, "cross-domain split 1"));
    const auto order = Permutation(static_cast<std::uint32_t>(rows.size()), random);
    const std::size_t tests = (rows.size() * settings.test_percent + 99) / 100;  // Rounded up, as scikit-learn does.
    for (std::size_t i = 0; i < order.size(); ++i) (i < tests ? split.test : split.train).push_back(rows[order[i]]);
    std::sort(split.test.begin(), split.test.end());
    std::sort(split.train.begin(), split.train.end());
  }
  if (split.train.empty() || split.test.empty())
    Fail("domain " + domain.domain + " has no rows of the classes that take part to " +
         (split.train.empty() ? "train on" : "test on"));
  return split;
}

CrossDomainMatrix RunCrossDomain(std::span<const DomainFeatures> domains, const CrossDomainSettings& settings,
                                 const std::function<void(std::size_t)>& on_row) {
  const CrossDomainMatrix frame = Frame(domains, settings);
  std::vector<std::vector<std::uint32_t>> answers;
  for (std::size_t a = 0; a < domains.size(); ++a) {
    const std::vector<std::uint32_t>& train = frame.splits[a].train;
    const RandomForest forest = RandomForest::Train(TakeRows(domains[a].features, train), LabelsAt(domains[a], train),
                                                    frame.classes.size(), settings.forest);
    for (std::size_t b = 0; b < domains.size(); ++b)
      answers.push_back(forest.Predict(TakeRows(domains[b].features, ScoredRows(frame, a, b))));
    if (on_row) on_row(a + 1);
  }
  return MatrixOfAnswers(domains, settings, std::move(answers));
}

CrossDomainMatrix MatrixOfAnswers(std::span<const DomainFeatures> domains, const CrossDomainSettings& settings,
                                  std::vector<std::vector<std::uint32_t>> answers) {
  CrossDomainMatrix matrix = Frame(domains, settings);
  if (answers.size() != domains.size() * domains.size()) Fail("the kept answers are of another number of domains");
  for (std::size_t cell = 0; cell < answers.size(); ++cell) {
    const std::size_t a = cell / domains.size();
    const std::size_t b = cell % domains.size();
    const std::vector<std::uint32_t> rows = ScoredRows(matrix, a, b);
    if (answers[cell].size() != rows.size()) Fail("the kept answers are of another number of pictures");
    for (const std::uint32_t answer : answers[cell])
      if (answer >= matrix.classes.size()) Fail("a kept answer is not among the classes");
    CrossDomainCell counted{
        .test_part = Count(domains[b], rows, answers[cell], matrix.splits[b].test), .whole = {}, .answers = {}};
    if (a != b) counted.whole = Count(domains[b], rows, answers[cell], rows);
    counted.answers = std::move(answers[cell]);
    matrix.cells.push_back(std::move(counted));
  }
  return matrix;
}

double AccuracyOf(const ConfusionMatrix& matrix) { return DescribeClasses(matrix).accuracy; }

double BalancedAccuracyOf(const ConfusionMatrix& matrix) { return DescribeClasses(matrix).macro.sensitivity; }

}  // namespace hemafed::learning
