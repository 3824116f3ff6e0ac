// SPDX-License-Identifier: Apache-2.0
#include "studies/ae_cfe/feature_maps.h"

#include <algorithm>
#include <utility>

#include "common/random.h"
#include "common/report/number_text.h"
#include "learning/features/latent/principal_components.h"

namespace hemafed::studies {

namespace {

using learning::DomainFeatures;
using learning::FeatureMatrix;

// Which pictures a map shows: drawn with one seed, so that maps of several arms show the same ones.
constexpr std::uint64_t kMapSeed = 0;

// Rows of several domains one after another, and where each came from.
struct Pool {
  FeatureMatrix features;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> from;  // domain, row
};

Pool Take(std::span<const DomainFeatures> domains, std::vector<std::pair<std::uint32_t, std::uint32_t>> from) {
  Pool pool;
  pool.features = FeatureMatrix(from.size(), domains.front().features.columns);
  for (std::size_t i = 0; i < from.size(); ++i) {
    const auto row = domains[from[i].first].features.Row(from[i].second);
    std::copy(row.begin(), row.end(), pool.features.Row(i).begin());
  }
  pool.from = std::move(from);
  return pool;
}

report::ScatterChart Chart(const ArmDescription& arm, std::span<const DomainFeatures> domains,
                           const learning::CrossDomainMatrix& matrix, const Pool& pool,
                           const std::vector<double>& places, std::size_t stride) {
  report::ScatterChart chart;
  chart.title = arm.title;
  chart.origin_title = "domain";
  chart.kind_title = "class";
  chart.origins = matrix.domains;
  chart.kinds = matrix.used_classes;
  // Domain after domain would hide the earlier ones.
  RandomStream random(DeriveSeed(kMapSeed, "map order 1"));
  for (const std::uint32_t i : Permutation(static_cast<std::uint32_t>(pool.from.size()), random)) {
    const auto [domain, row] = pool.from[i];
    const std::string& name = matrix.classes[domains[domain].labels[row]];
    const auto kind = std::find(chart.kinds.begin(), chart.kinds.end(), name) - chart.kinds.begin();
    chart.points.push_back({.x = places[i * stride],
                            .y = stride > 1 ? places[i * stride + 1] : 0,
                            .origin = domain,
                            .kind = static_cast<std::uint32_t>(kind)});
  }
  return chart;
}

std::string Share(double part) { return report::FormatFixed(100 * part, 1) + " % of the variance"; }

}  // namespace

FeatureMaps MakeMaps(const ArmDescription& arm, std::span<const DomainFeatures> domains,
                     const learning::CrossDomainMatrix& matrix, const MapChoice& choice,
                     const learning::TsneProgress& progress) {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> all;
  for (std::uint32_t d = 0; d < domains.size(); ++d)
    for (const std::uint32_t row : matrix.splits[d].Both()) all.emplace_back(d, row);
  std::vector<std::pair<std::uint32_t, std::uint32_t>> shown;
  for (const std::uint32_t i : learning::DrawRows(all.size(), choice.rows_max, kMapSeed)) shown.push_back(all[i]);
  const Pool pool = Take(domains, std::move(shown));

  // A small study has fewer neighbours than the usual perplexity needs. First, because it refuses constant features.
  const double most = (static_cast<double>(pool.from.size()) - 1) / 3 - 1;
  const auto map = learning::RunTsne(
      pool.features, {.perplexity = std::max(1.0, std::min(choice.perplexity, most)), .steps = choice.steps}, {},
      progress);
  FeatureMaps maps;
  maps.neighbours = Chart(arm, domains, matrix, pool, map.places, 2);
  maps.neighbours.title += ": t-SNE";
  const std::size_t components = std::min<std::size_t>(2, pool.features.columns);
  const auto plane = learning::FindPrincipalComponents(pool.features, components);
  maps.components = Chart(arm, domains, matrix, pool, plane.Project(pool.features), components);
  maps.components.title += ": principal components";
  maps.components.x_title = "first component, " + Share(plane.variances[0] / plane.total_variance);
  if (components > 1) maps.components.y_title = "second component, " + Share(plane.variances[1] / plane.total_variance);
  return maps;
}

std::vector<DomainDrift> MeasureDrift(std::span<const DomainFeatures> domains,
                                      const learning::CrossDomainMatrix& matrix,
                                      const learning::TwoSampleSettings& settings, const learning::StopQuestion& stop) {
  const bool moments = domains.front().features.columns <= kMaxDriftColumns;
  std::vector<learning::GaussianComponent> components;
  for (std::size_t d = 0; moments && d < domains.size(); ++d)
    components.push_back(learning::MomentsOf(domains[d].features, matrix.splits[d].train));
  std::vector<DomainDrift> drifts;
  for (std::uint32_t d = 0; d < domains.size(); ++d) {
    const FeatureMatrix own = learning::TakeRows(domains[d].features, matrix.splits[d].train);
    std::vector<std::pair<std::uint32_t, std::uint32_t>> others;
    for (std::uint32_t k = 0; k < domains.size(); ++k) {
      if (k == d) continue;
      for (const std::uint32_t row : matrix.splits[k].train) others.emplace_back(k, row);
    }
    DomainDrift drift{
        .by_features = learning::CheckDrift(own, Take(domains, std::move(others)).features, settings, {}, stop),
        .by_moments = {}};
    if (moments) {
      std::vector<learning::GaussianComponent> rest = components;
      rest.erase(rest.begin() + d);
      drift.by_moments = learning::CheckDrift(own, learning::GaussianReference(std::move(rest)), settings, {}, stop);
    }
    drifts.push_back(std::move(drift));
  }
  return drifts;
}

}  // namespace hemafed::studies
