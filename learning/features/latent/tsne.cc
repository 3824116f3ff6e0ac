// SPDX-License-Identifier: Apache-2.0
#include "learning/features/latent/tsne.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "common/error.h"
#include "learning/features/latent/principal_components.h"

namespace hemafed::learning {

namespace {

// Bisection of one row's width: 2^-100 of any range is below the last bit.
constexpr int kBisections = 100;
constexpr double kEntropyTolerance = 1e-5;
// No probability is taken for less: its logarithm stays finite.
constexpr double kLeastProbability = std::numeric_limits<double>::epsilon();
constexpr double kEarlyMomentum = 0.5;
constexpr double kLateMomentum = 0.8;
constexpr double kLeastGain = 0.01;
constexpr double kStartDeviation = 1e-4;
constexpr double kLeastRate = 50;

[[noreturn]] void Fail(const std::string& problem) { throw Error(ErrorCode::kInvalidInput, "t-SNE: " + problem); }

void Check(const FeatureMatrix& features, const TsneSettings& settings, std::span<const double> start) {
  if (settings.steps < 1 || settings.steps > kMaxTsneSteps)
    Fail("the number of steps must be 1 to " + std::to_string(kMaxTsneSteps));
  if (!(settings.exaggeration >= 1) || !(settings.exaggeration <= 1000)) Fail("the exaggeration must be 1 to 1000");
  if (!(settings.rate >= 0) || !std::isfinite(settings.rate)) Fail("the rate must not be below 0");
  if (start.empty()) return;
  if (start.size() != features.rows * 2) Fail("the start must have two coordinates a row");
  if (std::any_of(start.begin(), start.end(), [](double v) { return !std::isfinite(v); }))
    Fail("the start has a coordinate that is NaN or infinite");
}

// p_.|i from squared distances, row i left at 0.
void FillConditional(std::span<const double> distances, std::size_t i, double perplexity, std::span<double> p) {
  const double wanted = std::log(perplexity);
  // Relative to the nearest other row: exp() of the largest entry is then 1 and the sum cannot vanish.
  double nearest = std::numeric_limits<double>::infinity();
  for (std::size_t j = 0; j < distances.size(); ++j)
    if (j != i) nearest = std::min(nearest, distances[j]);
  double low = 0;
  double high = std::numeric_limits<double>::infinity();
  double b = 1;
  for (int round = 0; round < kBisections; ++round) {
    double sum = 0;
    double weighed = 0;
    for (std::size_t j = 0; j < distances.size(); ++j) {
      const double beyond = distances[j] - nearest;
      p[j] = j == i ? 0.0 : std::exp(-beyond * b);
      sum += p[j];
      weighed += beyond * p[j];
    }
    for (double& value : p) value /= sum;
    const double entropy = std::log(sum) + b * weighed / sum;
    if (std::abs(entropy - wanted) <= kEntropyTolerance) return;
    if (entropy > wanted) {
      low = b;
      b = std::isinf(high) ? b * 2 : (b + high) / 2;
    } else {
      high = b;
      b = (b + low) / 2;
    }
  }
}

std::vector<double> PrincipalStart(const FeatureMatrix& features) {
  const std::size_t components = std::min<std::size_t>(2, features.columns);
  const PrincipalComponents plane = FindPrincipalComponents(features, components);
  const std::vector<double> coordinates = plane.Project(features);
  // Standard deviation with n, as numpy's.
  const auto n = static_cast<double>(features.rows);
  const double deviation = std::sqrt(plane.variances.front() * (n - 1) / n);
  if (!(deviation > 0)) Fail("all rows are equal; there is nothing to map");
  std::vector<double> places(features.rows * 2);
  for (std::size_t i = 0; i < features.rows; ++i) {
    for (std::size_t c = 0; c < components; ++c)
      places[i * 2 + c] = coordinates[i * components + c] / deviation * kStartDeviation;
  }
  return places;
}

void RequireNotStopped(const std::function<bool()>& stop) {
  if (stop && stop()) throw Error(ErrorCode::kInterrupted, "the map was not finished; run the same command again");
}

// TsneDivergence of exaggerated affinities. `closeness` is room for one number a pair of rows, kept from step to step:
// 1 / (1 + squared distance), without the diagonal.
double Divergence(std::span<const double> affinities, double exaggeration, std::span<const double> places,
                  std::vector<double>* gradient, std::vector<double>& closeness) {
  const std::size_t n = places.size() / 2;
  closeness.resize(n * n);
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    double row_sum = 0;
    for (std::size_t j = 0; j < i; ++j) {
      const double x = places[2 * i] - places[2 * j];
      const double y = places[2 * i + 1] - places[2 * j + 1];
      const double value = 1 / (1 + x * x + y * y);
      closeness[i * n + j] = value;
      closeness[j * n + i] = value;
      row_sum += value;
    }
    sum += 2 * row_sum;
  }
  double divergence = 0;
  if (gradient != nullptr) gradient->assign(2 * n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    double pull_x = 0;
    double pull_y = 0;
    for (std::size_t j = 0; j < n; ++j) {
      if (j == i) continue;
      const double p = exaggeration * affinities[i * n + j];
      const double near = closeness[i * n + j];
      const double q = std::max(near / sum, kLeastProbability);
      if (gradient == nullptr) {
        if (j < i) divergence += 2 * p * std::log(p / q);
        continue;
      }
      const double pull = (p - q) * near;
      pull_x += pull * (places[2 * i] - places[2 * j]);
      pull_y += pull * (places[2 * i + 1] - places[2 * j + 1]);
    }
    if (gradient != nullptr) {
      (*gradient)[2 * i] = 4 * pull_x;
      (*gradient)[2 * i + 1] = 4 * pull_y;
    }
  }
  return divergence;
}

}  // namespace

std::vector<double> TsneAffinities(const FeatureMatrix& features, double perplexity,
                                   const std::function<bool()>& stop) {
  RequireUsable(features, "the map");
  const std::size_t n = features.rows;
  if (n < 4 || n > kMaxTsneRows) Fail("needs 4 to " + std::to_string(kMaxTsneRows) + " rows; draw some of them");
  if (!(perplexity >= 1) || !(3 * perplexity < static_cast<double>(n - 1)))
    Fail("the perplexity must be at least 1 and below a third of the number of rows less one");
  std::vector<double> p(n * n);  // Squared distances at first.
  bool differs = false;
  for (std::size_t i = 0; i < n; ++i) {
    RequireNotStopped(stop);  // A row of wide features takes a while.
    for (std::size_t j = 0; j < i; ++j) {
      const double distance = SquaredDistance(features.Row(i), features.Row(j));
      p[i * n + j] = distance;
      p[j * n + i] = distance;
      differs = differs || distance > 0;
    }
  }
  if (!differs) Fail("all rows are equal; there is nothing to map");
  std::vector<double> distances(n);
  for (std::size_t i = 0; i < n; ++i) {
    RequireNotStopped(stop);
    const std::span<double> row(p.data() + i * n, n);
    std::copy(row.begin(), row.end(), distances.begin());
    FillConditional(distances, i, perplexity, row);
  }
  const double both = 2 * static_cast<double>(n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const double joint = std::max((p[i * n + j] + p[j * n + i]) / both, kLeastProbability);
      p[i * n + j] = joint;
      p[j * n + i] = joint;
    }
  }
  return p;
}

double TsneDivergence(std::span<const double> affinities, std::span<const double> places,
                      std::vector<double>* gradient) {
  std::vector<double> closeness;
  return Divergence(affinities, 1, places, gradient, closeness);
}

TsneMap RunTsne(const FeatureMatrix& features, const TsneSettings& settings, std::span<const double> start,
                const TsneProgress& progress) {
  Check(features, settings, start);
  const auto stop_before_steps = [&] { return progress && !progress(0, settings.steps); };
  const std::vector<double> affinities = TsneAffinities(features, settings.perplexity, stop_before_steps);
  TsneMap map;
  map.places = start.empty() ? PrincipalStart(features) : std::vector<double>(start.begin(), start.end());
  const auto n = static_cast<double>(features.rows);
  const double rate = settings.rate > 0 ? settings.rate : std::max(n / settings.exaggeration / 4, kLeastRate);

  std::vector<double> step(map.places.size(), 0.0);
  std::vector<double> gains(map.places.size(), 1.0);
  std::vector<double> gradient, closeness;
  for (std::uint32_t done = 0; done < settings.steps; ++done) {
    const bool early = done < settings.exaggerated_steps;
    const double momentum = early ? kEarlyMomentum : kLateMomentum;
    if (done == settings.exaggerated_steps) {  // The second descent begins afresh.
      std::fill(step.begin(), step.end(), 0.0);
      std::fill(gains.begin(), gains.end(), 1.0);
    }
    (void)Divergence(affinities, early ? settings.exaggeration : 1.0, map.places, &gradient, closeness);
    for (std::size_t i = 0; i < step.size(); ++i) {
      gains[i] = step[i] * gradient[i] < 0 ? gains[i] + 0.2 : std::max(gains[i] * 0.8, kLeastGain);
      step[i] = momentum * step[i] - rate * gains[i] * gradient[i];
      map.places[i] += step[i];
    }
    RequireNotStopped([&] { return progress && !progress(done + 1, settings.steps); });
  }
  map.divergence = Divergence(affinities, 1, map.places, nullptr, closeness);
  return map;
}

}  // namespace hemafed::learning
