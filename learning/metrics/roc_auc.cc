// SPDX-License-Identifier: Apache-2.0
#include "learning/metrics/roc_auc.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "codec/exact.h"
#include "common/error.h"

namespace hemafed::learning {

namespace {

// Indices by falling score; equal scores stand together.
std::vector<std::size_t> ByFallingScore(std::span<const double> scores, std::size_t labels) {
  if (scores.size() != labels) {
    throw Error(ErrorCode::kInvalidInput,
                "there are " + std::to_string(scores.size()) + " scores for " + std::to_string(labels) + " pictures");
  }
  for (const double score : scores) {
    if (!std::isfinite(score)) {
      throw Error(ErrorCode::kInvalidInput, "a score is not a finite number: the model's output is damaged");
    }
  }
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  return order;
}

// Pairs won by positives, in halves; walks through groups of equal scores from the highest to the lowest.
class PairCount {
 public:
  void AddGroup(std::uint64_t positives, std::uint64_t negatives) {
    // A negative here loses to all positives above and shares with those beside it.
    half_pairs_ += UInt128{negatives} * (UInt128{2} * positives_ + positives);
    tied_ += UInt128{negatives} * positives;
    positives_ += positives;
    negatives_ += negatives;
  }
  [[nodiscard]] UInt128 pairs() const { return UInt128{positives_} * negatives_; }
  [[nodiscard]] std::optional<double> Area() const {
    if (pairs() == 0) return std::nullopt;
    return static_cast<double>(half_pairs_) / (2.0 * static_cast<double>(pairs()));
  }
  [[nodiscard]] double TiedShare() const {
    return pairs() == 0 ? 0.0 : static_cast<double>(tied_) / static_cast<double>(pairs());
  }

 private:
  std::uint64_t positives_ = 0;
  std::uint64_t negatives_ = 0;
  UInt128 half_pairs_ = 0;
  UInt128 tied_ = 0;
};

PairCount CountBins(const ScoreHistogram& histogram) {
  PairCount pairs;
  for (std::size_t bin = kScoreBins; bin-- > 0;) pairs.AddGroup(histogram.positives[bin], histogram.negatives[bin]);
  return pairs;
}

}  // namespace

std::optional<double> RocAuc(std::span<const double> scores, std::span<const std::uint8_t> positive) {
  const std::vector<std::size_t> order = ByFallingScore(scores, positive.size());
  PairCount pairs;
  for (std::size_t first = 0; first < order.size();) {
    std::uint64_t positives = 0;
    std::size_t at = first;
    for (; at < order.size() && scores[order[at]] == scores[order[first]]; ++at) positives += positive[order[at]] != 0;
    pairs.AddGroup(positives, at - first - positives);
    first = at;
  }
  return pairs.Area();
}

OneVersusRest RocAucOfClasses(std::span<const double> probabilities, std::span<const std::uint32_t> labels,
                              std::size_t classes) {
  if (classes == 0 || probabilities.size() / classes != labels.size() || probabilities.size() % classes != 0) {
    throw Error(ErrorCode::kInvalidInput, "there are " + std::to_string(probabilities.size()) + " probabilities for " +
                                              std::to_string(labels.size()) + " pictures of " +
                                              std::to_string(classes) + " classes");
  }
  OneVersusRest result;
  double macro = 0.0;
  double weighted = 0.0;
  std::size_t defined = 0;
  std::uint64_t pictures = 0;
  for (std::size_t c = 0; c < classes; ++c) {
    std::vector<double> scores(labels.size());
    std::vector<std::uint8_t> positive(labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i) {
      scores[i] = probabilities[i * classes + c];
      positive[i] = labels[i] == c ? 1 : 0;
    }
    result.classes.push_back(RocAuc(scores, positive));
    if (!result.classes.back()) continue;
    const auto support = static_cast<std::uint64_t>(std::count(positive.begin(), positive.end(), 1));
    macro += *result.classes.back();
    weighted += static_cast<double>(support) * *result.classes.back();
    ++defined;
    pictures += support;
  }
  if (defined > 0) {
    result.macro = macro / static_cast<double>(defined);
    result.weighted = weighted / static_cast<double>(pictures);
  }
  return result;
}

std::vector<RocPoint> RocCurve(std::span<const double> scores, std::span<const std::uint8_t> positive) {
  const std::vector<std::size_t> order = ByFallingScore(scores, positive.size());
  const auto negatives = static_cast<std::size_t>(std::count(positive.begin(), positive.end(), std::uint8_t{0}));
  const std::size_t positives = positive.size() - negatives;
  if (positives == 0 || negatives == 0) {
    throw Error(ErrorCode::kInvalidInput, "a ROC curve needs positive and negative pictures; there are " +
                                              std::to_string(positives) + " and " + std::to_string(negatives));
  }
  std::vector<RocPoint> curve = {{std::numeric_limits<double>::infinity(), 0.0, 0.0}};
  std::size_t hits = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    hits += positive[order[i]] != 0 ? 1 : 0;
    if (i + 1 < order.size() && scores[order[i + 1]] == scores[order[i]]) continue;
    curve.push_back({scores[order[i]], static_cast<double>(i + 1 - hits) / static_cast<double>(negatives),
                     static_cast<double>(hits) / static_cast<double>(positives)});
  }
  return curve;
}

void ScoreHistogram::Add(double score, bool positive) {
  if (!(score >= 0.0 && score <= 1.0)) {
    throw Error(ErrorCode::kInvalidInput, "a score of " + std::to_string(score) + " is no probability");
  }
  const std::size_t bin = std::min(static_cast<std::size_t>(score * kScoreBins), kScoreBins - 1);
  ++(positive ? positives : negatives)[bin];
}

void ScoreHistogram::Merge(const ScoreHistogram& other) {
  for (std::size_t bin = 0; bin < kScoreBins; ++bin) {
    positives[bin] += other.positives[bin];
    negatives[bin] += other.negatives[bin];
  }
}

std::optional<double> ScoreHistogram::RocAuc() const { return CountBins(*this).Area(); }

double ScoreHistogram::RocAucBound() const { return CountBins(*this).TiedShare() / 2.0; }

}  // namespace hemafed::learning
