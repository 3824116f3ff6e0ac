// learning/features/latent/cross_domain.h
// SPDX-License-Identifier: Apache-2.0
//
// The cross-domain matrix of AE-CFE (Salehi et al., MICCAI 2022; Table 3.2 of the thesis): a random forest is trained
// on the features of one domain and scored on every domain, itself included. Three domains give nine cells.
//
// Split. kShuffled is the published code's: of a domain's n rows ceil(n * percent / 100) are the test part, drawn
// without regard to class (seed 42, 20 %); ours are the first of a Philox permutation, not numpy's. kOwn takes the
// split that comes with the data, which keeps pictures of one cell together and is therefore the default.
//
// Diagonal cells are scored on the test part. Off the diagonal there are two readings: `test_part` scores the other
// domain's test part, as the thesis says, `whole` all of it, train and test, as the published code does. The forest
// saw neither.
//
// Classes: rows of classes that a domain lacks can be left out everywhere (`shared_classes_only`), because a forest
// cannot name a class it never saw; the published runs did not. A class counts as present where a domain has at least
// one row of it, so a class can still be missing from a test part.
//
// Errors: kInvalidInput for fewer than two domains, one twice, other classes or widths than the first has, fewer than
// two shared classes, a train or test part without rows; those of RandomForest.
// Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/evaluation.h"
#include "learning/features/latent/domain_features.h"
#include "learning/features/latent/random_forest.h"

namespace hemafed::learning {

// Domains of one matrix; the published one has three.
inline constexpr std::size_t kMaxMatrixDomains = 16;

enum class MatrixSplit : std::uint8_t { kOwn, kShuffled };

struct CrossDomainSettings {
  MatrixSplit split = MatrixSplit::kOwn;
  std::uint64_t split_seed = 42;
  unsigned test_percent = 20;  // of kShuffled
  bool shared_classes_only = true;
  ForestSettings forest;
};

struct CrossDomainCell {
  ConfusionMatrix test_part;             // truth x answer, over all classes of the domains
  std::optional<ConfusionMatrix> whole;  // off the diagonal only
  // One a scored row, rows ascending: on the diagonal the test part, elsewhere train and test part.
  std::vector<std::uint32_t> answers;
};

// Rows of a domain that take part, ascending.
struct DomainSplit {
  std::vector<std::uint32_t> train;
  std::vector<std::uint32_t> test;

  [[nodiscard]] std::vector<std::uint32_t> Both() const;
};

struct CrossDomainMatrix {
  std::vector<std::string> domains;
  std::vector<std::string> classes;
  std::vector<std::string> used_classes;  // those that take part
  std::vector<DomainSplit> splits;        // one a domain
  std::vector<CrossDomainCell> cells;     // [train domain, test domain], row-major

  [[nodiscard]] const CrossDomainCell& Cell(std::size_t train, std::size_t test) const {
    return cells.at(train * domains.size() + test);
  }
};

// Which of the classes take part, by class number.
[[nodiscard]] std::vector<bool> ClassesTaken(std::span<const DomainFeatures> domains, bool shared_only);
[[nodiscard]] DomainSplit SplitDomain(const DomainFeatures& domain, const std::vector<bool>& taken,
                                      const CrossDomainSettings& settings);

// `on_row` may be empty; it is told the number of training domains done and may throw to stop.
[[nodiscard]] CrossDomainMatrix RunCrossDomain(std::span<const DomainFeatures> domains,
                                               const CrossDomainSettings& settings,
                                               const std::function<void(std::size_t)>& on_row = {});

// The same matrix from answers that were kept: answers[train * domains + test] as in CrossDomainCell. kInvalidInput for
// another number of cells or answers, or a class that does not exist.
[[nodiscard]] CrossDomainMatrix MatrixOfAnswers(std::span<const DomainFeatures> domains,
                                                const CrossDomainSettings& settings,
                                                std::vector<std::vector<std::uint32_t>> answers);

// Pictures right by pictures; the matrix must have some.
[[nodiscard]] double AccuracyOf(const ConfusionMatrix& matrix);
// Mean over the classes that have pictures of the share that is right: what the frequent class cannot hide.
[[nodiscard]] double BalancedAccuracyOf(const ConfusionMatrix& matrix);

}  // namespace hemafed::learning
