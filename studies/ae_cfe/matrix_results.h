// studies/ae_cfe/matrix_results.h
// SPDX-License-Identifier: Apache-2.0
//
// What the forests of an arm answered, one file a seed, and the figures that tables take from it.
//
// File (runs/<arm>/seed-<n>.json): {"format":1,"made_from":sha256,"answers":[[class, ..], ..]}, one list a cell of the
// matrix, row-major, pictures in the order of the features. `made_from` is what the answers depend on; a file made from
// something else is made again, one that cannot be read is an error.
//
// Figures, each a mean with standard deviation over seeds: accuracy, and balanced accuracy (mean over classes), of one
// cell, of the diagonal and of what is off it (plain means over cells). Readings: cross_domain.h.
//
// Errors: kInvalidInput, naming the file. Thread-safety: value types, free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "common/sha256.h"
#include "learning/features/latent/cross_domain.h"
#include "learning/metrics/bootstrap.h"
#include "learning/metrics/confidence.h"
#include "studies/ae_cfe/feature_source.h"

namespace hemafed::studies {

// Answers of 16 domains of 250,000 pictures would take 40 MB a domain; the published three take 2.
inline constexpr std::uint64_t kMaxAnswersBytes = std::uint64_t{1} << 30;

void SaveAnswers(FileSystem& files, const Path& path, const learning::CrossDomainMatrix& matrix,
                 const Digest& made_from);
// Nothing if there is no such file, or one made from something else.
[[nodiscard]] std::optional<std::vector<std::vector<std::uint32_t>>> LoadAnswers(FileSystem& files, const Path& path,
                                                                                 const Digest& made_from);

enum class Reading : std::uint8_t { kTestPart, kWhole };
enum class Score : std::uint8_t { kAccuracy, kBalanced };

// Of one domain's rows that take part, in the order of the features.
struct DomainRows {
  std::vector<std::uint32_t> truth;
  std::vector<std::string> groups;  // pictures of one cell share a name; empty: stands alone
};

struct FeatureArmResults {
  ArmDescription arm;
  std::size_t columns = 0;
  std::vector<std::uint64_t> seeds;
  std::vector<learning::CrossDomainMatrix> runs;  // one a seed

  [[nodiscard]] std::size_t domains() const { return runs.front().domains.size(); }
  // One cell; on the diagonal both readings are the test part.
  [[nodiscard]] learning::OverRuns Cell(std::size_t train, std::size_t test, Reading reading, Score score) const;
  // Mean over the diagonal.
  [[nodiscard]] learning::OverRuns InDomain(Score score) const;
  // Mean over the cells off the diagonal.
  [[nodiscard]] learning::OverRuns CrossDomain(Reading reading, Score score) const;
};

struct MatrixResults {
  std::vector<FeatureArmResults> arms;
  std::vector<DomainRows> rows;  // one a domain

  // Accuracy of naming the most frequent class of the training part of `train`.
  [[nodiscard]] double FrequentClass(std::size_t train, std::size_t test, Reading reading) const;
};

// CrossDomain(kWhole, kAccuracy) of `ours` less that of `theirs`, with a 95 % paired bootstrap interval: each picture's
// answers averaged over training domains and seeds, pictures drawn within their domain, groups kept together. Each test
// domain counts alike, as do the cells of the summary's mean, so that the two say the same: cells of one test domain
// have the same pictures.
[[nodiscard]] learning::Interval CrossDomainDifference(const MatrixResults& results, const FeatureArmResults& ours,
                                                       const FeatureArmResults& theirs);

}  // namespace hemafed::studies
