// SPDX-License-Identifier: Apache-2.0
#include "codec/class_metrics.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "codec/exact.h"
#include "codec/plan.h"
#include "common/error.h"

namespace hemafed {

namespace {

constexpr std::int64_t kMillion = 1'000'000;
// Square of the normal quantile of 0.975, 3.8414588206..., in millionths.
constexpr std::int64_t kSquaredQuantile = 3'841'459;
// Steps of the interval's bounds, in 1: the root of a number in 10^-22 is in 10^-11.
constexpr std::int64_t kRootSteps = 100'000'000'000;

std::uint64_t Share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<std::uint64_t>(DivideHalfEven(static_cast<Int128>(part) * kMillion, whole));
}

// The largest integer whose square is not larger than x.
UInt128 FloorRoot(UInt128 x) {
  UInt128 root = 0;
  for (int bit = 63; bit >= 0; --bit) {
    const UInt128 tried = root | UInt128{1} << bit;
    if (tried <= x / tried) root = tried;
  }
  return root;
}

template <typename Weight>
ScoresMillionths MeanOf(const std::vector<std::optional<ClassScoresMillionths>>& classes, const Weight& weight) {
  Int128 precision = 0, sensitivity = 0, specificity = 0, f1 = 0, weights = 0;
  for (const auto& scores : classes) {
    if (!scores) continue;
    const Int128 w = weight(*scores);
    precision += w * scores->precision;
    sensitivity += w * scores->sensitivity;
    specificity += w * scores->specificity;
    f1 += w * scores->f1;
    weights += w;
  }
  const auto mean = [&](Int128 sum) { return static_cast<std::uint64_t>(DivideHalfEven(sum, weights)); };
  return {mean(precision), mean(sensitivity), mean(specificity), mean(f1)};
}

}  // namespace

ColumnMetrics MetricsOf(const EvaluationReport& report, std::size_t pool) {
  if (pool >= report.pool_classes().size()) {
    throw Error(ErrorCode::kInternal, "an evaluation report has no column " + std::to_string(pool));
  }
  const ClassSet& members = report.pool_classes()[pool];
  std::vector<std::uint64_t> taken_for(report.class_count());  // Pictures shown, by predicted class.
  const auto add = [&](const EvaluationReport::Row& row) {
    std::transform(row.begin(), row.end(), taken_for.begin(), taken_for.begin(), std::plus<>());
  };
  for (const std::uint32_t label : members) {
    if (report.rows()[label]) add(*report.rows()[label]);
  }
  if (report.pools()[pool]) add(report.pools()[pool]->predicted);

  ColumnMetrics metrics;
  metrics.classes.resize(report.class_count());
  metrics.pictures = report.Total(pool);
  metrics.right = report.Right(pool);
  metrics.accuracy = report.AccuracyMillionths(pool);
  if (metrics.pictures > 0) metrics.accuracy_interval = WilsonIntervalMillionths(metrics.right, metrics.pictures);
  bool any = false;
  for (const std::uint32_t label : members) {
    if (!report.rows()[label]) continue;
    const EvaluationReport::Row& row = *report.rows()[label];
    const std::uint64_t hits = row[label];
    ClassScoresMillionths scores;
    scores.pictures = std::accumulate(row.begin(), row.end(), std::uint64_t{0});
    const std::uint64_t strangers = metrics.pictures - scores.pictures;
    const std::uint64_t false_alarms = taken_for[label] - hits;
    scores.precision = Share(hits, taken_for[label]);
    scores.sensitivity = Share(hits, scores.pictures);
    scores.specificity = Share(strangers - false_alarms, strangers);
    scores.f1 = Share(2 * hits, scores.pictures + taken_for[label]);
    metrics.classes[label] = scores;
    any = any || scores.pictures > 0;
  }
  if (any) {
    metrics.macro = MeanOf(metrics.classes, [](const auto&) { return Int128{1}; });
    metrics.weighted = MeanOf(metrics.classes, [](const auto& scores) { return Int128{scores.pictures}; });
  }
  return metrics;
}

IntervalMillionths WilsonIntervalMillionths(std::uint64_t right, std::uint64_t pictures) {
  if (pictures == 0 || pictures > kMaxPictures || right > pictures) {
    throw Error(ErrorCode::kInternal,
                std::to_string(right) + " right of " + std::to_string(pictures) + " pictures is no share");
  }
  const auto n = static_cast<Int128>(pictures);
  const auto k = static_cast<Int128>(right);
  // z^2 (z^2 n + 4 k (n - k)) in 10^-12: below 4 * 10^26.
  const Int128 radicand = Int128{kSquaredQuantile} * (kSquaredQuantile * n + 4 * Int128{kMillion} * k * (n - k));
  // In 10^-22 after the division by n, so that its root is in 10^-11: below 4 * 10^36.
  const auto root = static_cast<Int128>(FloorRoot(static_cast<UInt128>(radicand * 10'000'000'000 / n)));
  const Int128 squared = Int128{kSquaredQuantile} * (kRootSteps / kMillion);
  const Int128 whole = 2 * (n * kRootSteps + squared);  // Below 2^61.
  const Int128 middle = 2 * k * kRootSteps + squared;
  return {static_cast<std::uint64_t>(DivideHalfEven((middle - root) * kMillion, whole)),
          static_cast<std::uint64_t>(DivideHalfEven((middle + root) * kMillion, whole))};
}

}  // namespace hemafed
