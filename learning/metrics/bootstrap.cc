// SPDX-License-Identifier: Apache-2.0
#include "learning/metrics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/random.h"

namespace hemafed::learning {

namespace {

using Unit = std::vector<std::uint32_t>;  // Pictures that are drawn together.

// Units by stratum, strata ascending.
std::vector<std::vector<Unit>> UnitsOf(std::size_t pictures, const SampleUnits& given) {
  if (pictures == 0 || (!given.groups.empty() && given.groups.size() != pictures) ||
      (!given.strata.empty() && given.strata.size() != pictures)) {
    throw Error(ErrorCode::kInvalidInput, "a bootstrap of " + std::to_string(pictures) + " pictures got " +
                                              std::to_string(given.groups.size()) + " groups and " +
                                              std::to_string(given.strata.size()) + " strata; give one a picture");
  }
  std::map<std::uint32_t, std::vector<Unit>> by_stratum;
  std::map<std::string_view, std::pair<std::uint32_t, std::size_t>> places;  // Group: stratum and position in it.
  for (std::uint32_t i = 0; i < pictures; ++i) {
    const std::uint32_t stratum = given.strata.empty() ? 0 : given.strata[i];
    std::vector<Unit>& units = by_stratum[stratum];
    const std::string_view group = given.groups.empty() ? std::string_view() : std::string_view(given.groups[i]);
    if (!group.empty()) {
      const auto [place, fresh] = places.try_emplace(group, stratum, units.size());
      if (place->second.first != stratum) {
        throw Error(ErrorCode::kInvalidInput,
                    "the group '" + std::string(group) + "' has pictures in two test sets; groups stay in one");
      }
      if (!fresh) {
        units[place->second.second].push_back(i);
        continue;
      }
    }
    units.push_back({i});
  }
  std::vector<std::vector<Unit>> strata;
  strata.reserve(by_stratum.size());
  for (auto& [number, units] : by_stratum) strata.push_back(std::move(units));
  return strata;
}

void RequireUsable(const BootstrapSettings& settings) {
  if (settings.resamples < kMinResamples || settings.resamples > kMaxResamples ||
      !(settings.confidence > 0.0 && settings.confidence < 1.0)) {
    throw Error(ErrorCode::kInvalidInput,
                "a bootstrap takes " + std::to_string(kMinResamples) + " to " + std::to_string(kMaxResamples) +
                    " resamples and a confidence between 0 and 1, not " + std::to_string(settings.resamples) + " and " +
                    std::to_string(settings.confidence));
  }
}

// `estimate` computes one resample from its stream.
Interval Percentiles(double whole, const BootstrapSettings& settings,
                     const std::function<double(RandomStream&)>& estimate) {
  constexpr std::size_t kMostWithoutValue = 10;  // One resample in ten.
  const std::uint64_t key = DeriveSeed(settings.seed, "bootstrap 1");
  std::vector<double> estimates;
  estimates.reserve(settings.resamples);
  for (unsigned r = 0; r < settings.resamples; ++r) {
    RandomStream random(key, r);
    const double value = estimate(random);
    if (!std::isnan(value)) estimates.push_back(value);
  }
  if ((settings.resamples - estimates.size()) * kMostWithoutValue > settings.resamples || std::isnan(whole)) {
    throw Error(ErrorCode::kConflict,
                "the figure does not exist in " + std::to_string(settings.resamples - estimates.size()) + " of " +
                    std::to_string(settings.resamples) + " resamples: the test set is too small for an interval");
  }
  std::sort(estimates.begin(), estimates.end());
  return {whole, Quantile(estimates, (1.0 - settings.confidence) / 2.0),
          Quantile(estimates, (1.0 + settings.confidence) / 2.0)};
}

}  // namespace

Interval BootstrapMean(std::span<const double> values, const SampleUnits& units, const BootstrapSettings& settings) {
  RequireUsable(settings);
  if (!std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); })) {
    throw Error(ErrorCode::kInvalidInput, "a value to be resampled is not a finite number");
  }
  struct UnitSum {
    double sum = 0.0;
    double pictures = 0.0;
  };
  std::vector<std::vector<UnitSum>> strata;
  for (const std::vector<Unit>& stratum : UnitsOf(values.size(), units)) {
    std::vector<UnitSum>& sums = strata.emplace_back();
    for (const Unit& unit : stratum) {
      UnitSum& sum = sums.emplace_back();
      for (const std::uint32_t i : unit) sum.sum += values[i];
      sum.pictures = static_cast<double>(unit.size());
    }
  }
  const auto mean_of = [&](auto&& pick) {
    double total = 0.0;
    for (const std::vector<UnitSum>& stratum : strata) {
      UnitSum all;
      for (std::size_t k = 0; k < stratum.size(); ++k) {
        const UnitSum& drawn = stratum[pick(k, stratum.size())];
        all.sum += drawn.sum;
        all.pictures += drawn.pictures;
      }
      total += all.sum / all.pictures;
    }
    return total / static_cast<double>(strata.size());
  };
  const double whole = mean_of([](std::size_t k, std::size_t) { return k; });
  return Percentiles(whole, settings, [&](RandomStream& random) {
    return mean_of([&](std::size_t, std::size_t count) { return random.NextBelow(static_cast<std::uint32_t>(count)); });
  });
}

Interval BootstrapDifference(std::span<const double> ours, std::span<const double> theirs, const SampleUnits& units,
                             const BootstrapSettings& settings) {
  if (ours.size() != theirs.size()) {
    throw Error(ErrorCode::kInvalidInput, "two methods are compared on the same pictures; one has " +
                                              std::to_string(ours.size()) + ", the other " +
                                              std::to_string(theirs.size()));
  }
  std::vector<double> differences(ours.size());
  std::transform(ours.begin(), ours.end(), theirs.begin(), differences.begin(), std::minus<>());
  return BootstrapMean(differences, units, settings);
}

Interval BootstrapOf(const Statistic& statistic, std::size_t pictures, const SampleUnits& units,
                     const BootstrapSettings& settings) {
  RequireUsable(settings);
  const std::vector<std::vector<Unit>> strata = UnitsOf(pictures, units);
  std::vector<std::uint32_t> all(pictures);
  std::iota(all.begin(), all.end(), 0u);
  std::vector<std::uint32_t> drawn;
  return Percentiles(statistic(all), settings, [&](RandomStream& random) {
    drawn.clear();
    for (const std::vector<Unit>& stratum : strata) {
      for (std::size_t k = 0; k < stratum.size(); ++k) {
        const Unit& unit = stratum[random.NextBelow(static_cast<std::uint32_t>(stratum.size()))];
        drawn.insert(drawn.end(), unit.begin(), unit.end());
      }
    }
    return statistic(drawn);
  });
}

}  // namespace hemafed::learning
