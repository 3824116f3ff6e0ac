// learning/metrics/roc_auc.h
// SPDX-License-Identifier: Apache-2.0
//
// The area under the ROC curve: the probability that a positive picture scores higher than a negative one, ties
// counting one half (Mann and Whitney, 1947; Hanley and McNeil, Radiology 1982):
//
//     AUC = (1 / (P N)) sum over positives p and negatives n of  [s_p > s_n] + [s_p = s_n] / 2
//
// Computed by sorting, O(n log n), with the count of pairs held as an exact integer (of half pairs). Scores may be any
// finite numbers. Where a class has no positive or no negative picture there is no area: nothing is returned.
//
// Several classes: each against the rest, scored by its own column; macro is the mean, weighted the mean by support,
// both over the classes that have an area (scikit-learn's roc_auc_score with multi_class="ovr" where all have).
//
// From histograms (design 11.6): sites report scores in 1,024 bins; pairs within a bin count one half. The result is
// off the exact area by at most half the share of pairs that share a bin.
//
// Errors: kInvalidInput for sizes that do not fit or a score that is not finite. Thread-safety: free functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace hemafed::learning {

// `positive[i]` is not 0 where picture i is positive.
[[nodiscard]] std::optional<double> RocAuc(std::span<const double> scores, std::span<const std::uint8_t> positive);

struct OneVersusRest {
  std::vector<std::optional<double>> classes;
  std::optional<double> macro;
  std::optional<double> weighted;
};
// probabilities: [pictures x classes], row by row. labels: one below `classes` a picture.
[[nodiscard]] OneVersusRest RocAucOfClasses(std::span<const double> probabilities,
                                            std::span<const std::uint32_t> labels, std::size_t classes);

// A point of the curve for the rule "positive where score >= threshold".
struct RocPoint {
  double threshold = 0.0;
  double false_positive_rate = 0.0;
  double true_positive_rate = 0.0;
};
// One point a distinct score, thresholds descending, after a first point (0, 0) at plus infinity. Needs both kinds.
[[nodiscard]] std::vector<RocPoint> RocCurve(std::span<const double> scores, std::span<const std::uint8_t> positive);

inline constexpr std::size_t kScoreBins = 1024;
using ScoreCounts = std::array<std::uint64_t, kScoreBins>;

// Scores of one class, in 0..1, as counts: bin floor(1024 s), and s = 1 in the last bin.
struct ScoreHistogram {
  ScoreCounts positives{};
  ScoreCounts negatives{};

  // Throws Error(kInvalidInput) for a score outside 0..1.
  void Add(double score, bool positive);
  // Adds another site's counts.
  void Merge(const ScoreHistogram& other);
  [[nodiscard]] std::optional<double> RocAuc() const;
  // Half the share of pairs that share a bin: how far the exact area can be from RocAuc(). 0 without pairs.
  [[nodiscard]] double RocAucBound() const;
  bool operator==(const ScoreHistogram&) const = default;
};

}  // namespace hemafed::learning
