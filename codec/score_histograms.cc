// SPDX-License-Identifier: Apache-2.0
#include "codec/score_histograms.h"

#include <algorithm>
#include <numeric>

#include "codec/exact.h"
#include "codec/plan.h"
#include "common/error.h"

namespace hemafed {

namespace {

constexpr std::int64_t kMillion = 1'000'000;

template <typename Count>
std::uint64_t Sum(std::span<const Count> counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

void AddTo(std::array<std::uint32_t, kHistogramBins>& sum, std::span<const std::uint32_t> counts) {
  std::transform(sum.begin(), sum.end(), counts.begin(), sum.begin(), std::plus<>());
}

std::size_t CheckedClasses(std::size_t classes) {
  if (classes == 0 || classes > kMaxClasses) {
    throw Error(ErrorCode::kInternal, "score histograms of " + std::to_string(classes) + " classes; a plan has 1 to " +
                                          std::to_string(kMaxClasses));
  }
  return classes;
}

}  // namespace

std::uint64_t ClassHistogram::Positives() const { return Sum<std::uint32_t>(positives); }
std::uint64_t ClassHistogram::Negatives() const { return Sum<std::uint32_t>(negatives); }

std::optional<std::uint64_t> ClassHistogram::AucMillionths() const {
  Int128 half_pairs = 0;  // At most 2 (10^7)^2.
  Int128 below = 0;       // Negatives in lower bins.
  for (std::size_t bin = 0; bin < kHistogramBins; ++bin) {
    half_pairs += Int128{positives[bin]} * (2 * below + negatives[bin]);
    below += negatives[bin];
  }
  const Int128 pairs = static_cast<Int128>(Positives()) * below;
  if (pairs == 0) return std::nullopt;
  return static_cast<std::uint64_t>(DivideHalfEven(half_pairs * kMillion, 2 * pairs));
}

std::vector<std::uint64_t> ClassHistogram::RocMillionths(std::size_t points) const {
  if (points < 2) throw Error(ErrorCode::kInternal, "a curve needs two points");
  const auto all_positives = static_cast<Int128>(Positives());
  const auto all_negatives = static_cast<Int128>(Negatives());
  if (all_positives == 0 || all_negatives == 0) return {};
  const auto steps = static_cast<Int128>(points - 1);
  std::vector<std::uint64_t> curve;
  Int128 taken_positives = 0, taken_negatives = 0;  // In the bins from `bin` up: at most 10^7 each.
  std::size_t bin = kHistogramBins;
  for (std::size_t i = 0; i < points; ++i) {
    const Int128 wanted = static_cast<Int128>(i) * all_negatives;  // Negatives to take, times `steps`.
    while (bin > 0 && (taken_negatives + negatives[bin - 1]) * steps <= wanted) {
      --bin;
      taken_positives += positives[bin];
      taken_negatives += negatives[bin];
    }
    // A part of the next bin, which has more negatives than are wanted; below the last bin all are taken.
    const Int128 width = bin > 0 ? Int128{negatives[bin - 1]} : 1;
    const Int128 rise = bin > 0 ? Int128{positives[bin - 1]} : 0;
    const Int128 numerator = taken_positives * width * steps + rise * (wanted - taken_negatives * steps);
    curve.push_back(static_cast<std::uint64_t>(DivideHalfEven(numerator * kMillion, width * steps * all_positives)));
  }
  return curve;
}

ScoreTally::ScoreTally(std::size_t classes)
    : classes_(CheckedClasses(classes)), counts_(classes * classes * kHistogramBins) {}

void ScoreTally::Add(std::size_t truth, std::span<const double> scores) {
  if (truth >= classes_ || scores.size() > classes_) {
    throw Error(ErrorCode::kInternal, "score tally of " + std::to_string(classes_) + " classes: class " +
                                          std::to_string(truth) + " with " + std::to_string(scores.size()) +
                                          " scores counted");
  }
  std::uint32_t* const counts = &counts_[truth * classes_ * kHistogramBins];
  for (std::size_t scored = 0; scored < classes_; ++scored) {
    const double score = scored < scores.size() ? scores[scored] : 0.0;
    if (!(score >= 0.0 && score <= 1.0)) {  // Written so that it holds for NaN.
      throw Error(ErrorCode::kInvalidInput, "a score of class " + std::to_string(scored) + " is not between 0 and 1");
    }
    // The product is exact: 1,024 is a power of two.
    const auto bin = static_cast<std::size_t>(score * static_cast<double>(kHistogramBins));
    ++counts[scored * kHistogramBins + std::min(bin, kHistogramBins - 1)];
  }
}

std::span<const std::uint32_t> ScoreTally::Of(std::size_t truth, std::size_t scored) const {
  if (truth >= classes_ || scored >= classes_) throw Error(ErrorCode::kInternal, "score tally: no such class");
  return std::span(counts_).subspan((truth * classes_ + scored) * kHistogramBins, kHistogramBins);
}

ScoreHistograms::ScoreHistograms(std::size_t classes) : histograms_(CheckedClasses(classes)) {}

ScoreHistograms ScoreHistograms::Of(const ScoreTally& tally, const EvaluationReport& report,
                                    std::uint64_t min_pictures) {
  if (tally.classes() != report.class_count()) {
    throw Error(ErrorCode::kInternal, "the tally of scores has other classes than the report beside it");
  }
  ScoreHistograms result(tally.classes());
  const ClassSet scored = report.ScoredClasses(min_pictures);
  for (std::size_t p = 0; p < report.pool_classes().size(); ++p) {
    const ClassSet& members = report.pool_classes()[p];
    for (const std::uint32_t label : members) {
      if (!std::binary_search(scored.begin(), scored.end(), label)) continue;
      ClassHistogram& histogram = result.histograms_[label].emplace();
      for (const std::uint32_t truth : members) {
        // Neither in a row nor in the pooled one: withheld there, so withheld here.
        if (!report.rows()[truth] && !report.pools()[p]) continue;
        AddTo(truth == label ? histogram.positives : histogram.negatives, tally.Of(truth, label));
      }
    }
  }
  return result;
}

bool ScoreHistograms::Empty() const {
  return std::none_of(histograms_.begin(), histograms_.end(), [](const auto& h) { return h.has_value(); });
}

std::optional<std::string> ScoreHistograms::WhyNotOf(const EvaluationReport& report, std::uint64_t min_pictures) const {
  if (classes() != report.class_count()) return "the score histograms are of another number of classes";
  const ClassSet scored = report.ScoredClasses(min_pictures);
  for (std::size_t p = 0; p < report.pool_classes().size(); ++p) {
    for (const std::uint32_t label : report.pool_classes()[p]) {
      const std::string what = "the score histograms of class " + std::to_string(label);
      const bool wanted = std::binary_search(scored.begin(), scored.end(), label);
      if (wanted != histograms_[label].has_value()) {
        return wanted ? what + " are missing" : what + " are of fewer pictures than may be shown";
      }
      if (!wanted) continue;
      const std::uint64_t row = Sum<std::uint64_t>(*report.rows()[label]);
      if (histograms_[label]->Positives() != row) {
        return what + " have " + std::to_string(histograms_[label]->Positives()) +
               " positives, the confusion matrix has " + std::to_string(row);
      }
      if (histograms_[label]->Negatives() != report.Total(p) - row) {
        return what + " have " + std::to_string(histograms_[label]->Negatives()) +
               " negatives, the confusion matrix has " + std::to_string(report.Total(p) - row);
      }
    }
  }
  for (std::uint32_t label = 0; label < classes(); ++label) {
    if (histograms_[label] && !std::binary_search(scored.begin(), scored.end(), label)) {
      return "class " + std::to_string(label) + " has score histograms, but the plan does not test it at this site";
    }
  }
  return std::nullopt;
}

}  // namespace hemafed
