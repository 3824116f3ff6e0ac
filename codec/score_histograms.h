// codec/score_histograms.h
// SPDX-License-Identifier: Apache-2.0
//
// How a model's scores separate each class from the others, in integers: what a site reports beside its confusion
// matrix, so that everybody can compute the area under the ROC curve (design, 11.6; docs/score_histograms.md).
//
//     score of class k   p = softmax(logits)[k] of one test picture; 0 where the model does not know k yet
//                        of a solved head (codec/analytic_head.h): clamp((1 + s) / 3, 0, 1), s its score of k
//     bin                min(1023, floor(1024 p))
//     positives[b]       pictures of class k whose score of k lies in bin b
//     negatives[b]       the same for pictures of the other classes of k's pool (Plan::PoolsOf)
//
// Counted are the pictures that the evaluation report shows, in a row of their own or in the pooled one: what is
// withheld there cannot be found here by subtraction. A class has histograms if and only if its row is shown and the
// rest of its pool shows at least n_min pictures (EvaluationReport::ScoredClasses), so the report tells which are there
// and what they sum to.
//
//     AUC = (1 / (2 P N)) sum over bins b of positives[b] (2 negatives below b + negatives[b])
//
// Pairs in one bin count one half (Hanley and McNeil, Radiology 1982, with the bins as scores). It is off the area over
// exact scores by at most half the share of pairs in one bin.
//
// Canonical form, of which the digest is SHA-256: the 20 bytes of the file's header, then for each class shown, in
// ascending order, positives and negatives; each count as 4 bytes little-endian.
//
// Errors: kInvalidInput for scores outside 0..1 and for files that cannot be; kInternal for classes that do not exist;
// otherwise those of FileSystem. Thread-safety: value types and free functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/evaluation.h"
#include "common/bytes.h"
#include "common/file_system.h"
#include "common/safetensors.h"
#include "common/sha256.h"

namespace hemafed {

// Bins of a score; fine enough that few pairs share one, few enough that a class is 8 KiB.
inline constexpr std::size_t kHistogramBins = 1024;

// Scores of one class over the pictures of its pool.
struct ClassHistogram {
  std::array<std::uint32_t, kHistogramBins> positives{};
  std::array<std::uint32_t, kHistogramBins> negatives{};

  // P and N.
  [[nodiscard]] std::uint64_t Positives() const;
  [[nodiscard]] std::uint64_t Negatives() const;
  // round_half_even(10^6 AUC); nothing without a positive or without a negative.
  [[nodiscard]] std::optional<std::uint64_t> AucMillionths() const;
  // The curve above that area, as `points` >= 2 shares of positives in millionths, half to even: entry i is at
  // i / (points - 1) of the negatives. Between two thresholds the curve is straight, where it rises upright the upper
  // end counts. Empty without a positive or without a negative.
  [[nodiscard]] std::vector<std::uint64_t> RocMillionths(std::size_t points) const;
  bool operator==(const ClassHistogram&) const = default;
};

// Every score of every picture by true class: what a site counts before it knows what it may show. classes^2 x 1,024
// counts of 4 bytes, 16 MiB at most (kMaxClasses).
class ScoreTally {
 public:
  // 1 <= classes <= kMaxClasses.
  explicit ScoreTally(std::size_t classes);

  // One picture: its class and its softmax scores, of the model's classes (no more than the tally's).
  void Add(std::size_t truth, std::span<const double> scores);
  [[nodiscard]] std::size_t classes() const { return classes_; }
  // Scores of class `scored` over the pictures of class `truth`; kHistogramBins counts.
  [[nodiscard]] std::span<const std::uint32_t> Of(std::size_t truth, std::size_t scored) const;

 private:
  std::size_t classes_;
  std::vector<std::uint32_t> counts_;  // [truth, scored, bin]
};

class ScoreHistograms {
 public:
  // Nothing shown. 1 <= classes <= kMaxClasses.
  explicit ScoreHistograms(std::size_t classes);
  // What may be said of the tally; `report` is of the same pictures, `min_pictures` the plan's n_min.
  [[nodiscard]] static ScoreHistograms Of(const ScoreTally& tally, const EvaluationReport& report,
                                          std::uint64_t min_pictures);

  [[nodiscard]] std::size_t classes() const { return histograms_.size(); }
  // Of one class; nothing where it is withheld.
  [[nodiscard]] const std::optional<ClassHistogram>& At(std::size_t label) const { return histograms_.at(label); }
  // Whether no class is shown: then there is no file either.
  [[nodiscard]] bool Empty() const;

  // Nothing, or why these cannot be of the pictures that the report counts: other classes are shown than may be, or
  // their sums are not the rows'.
  [[nodiscard]] std::optional<std::string> WhyNotOf(const EvaluationReport& report, std::uint64_t min_pictures) const;

  [[nodiscard]] Bytes Canonical() const;
  [[nodiscard]] Digest Hash() const;
  bool operator==(const ScoreHistograms&) const = default;

 private:
  friend ScoreHistograms ReadScoreHistograms(const ReadableFile& file, std::size_t classes);
  friend ScoreHistograms ReadCanonicalScores(const ReadableFile& file, std::size_t classes);

  std::vector<std::optional<ClassHistogram>> histograms_;  // By class.
};

// Largest file for so many classes, and largest canonical form.
[[nodiscard]] std::uint64_t MaxScoreHistogramsFileBytes(std::size_t classes);
[[nodiscard]] std::uint64_t MaxCanonicalScoresBytes(std::size_t classes);

// Writes the compressed file that travels.
[[nodiscard]] ScoresFile WriteScoreHistograms(FileSystem& files, const Path& path, const ScoreHistograms& histograms,
                                              Durability durability = Durability::kSynced);

// Read a file from anybody; `classes` are the plan's. Sizes are checked before anything is reserved, each count and sum
// is at most kMaxPictures (codec/plan.h). The digest is for the caller to compare.
[[nodiscard]] ScoreHistograms ReadScoreHistograms(const ReadableFile& file, std::size_t classes);
// The same for the canonical form, as the coordinator keeps it.
[[nodiscard]] ScoreHistograms ReadCanonicalScores(const ReadableFile& file, std::size_t classes);

}  // namespace hemafed
