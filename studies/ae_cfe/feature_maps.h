// studies/ae_cfe/feature_maps.h
// SPDX-License-Identifier: Apache-2.0
//
// What an arm's features look like: two maps (principal components, t-SNE) of pictures by domain and class, and how far
// each domain lies from the others (drift check).
//
// The maps show at most rows_max pictures of all domains together, the same ones for every arm. Drift takes each domain
// in turn for the new hospital and the others for the consortium: once by their features, once by their moments alone,
// one component a domain, as in a federation; the latter only where the features are few enough for a covariance
// (kMaxDriftColumns). Training pictures only.
//
// Errors: those of tsne.h, principal_components.h and drift_check.h. Thread-safety: free functions.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "common/report/scatter_chart.h"
#include "common/stop_signal.h"
#include "learning/features/latent/drift_check.h"
#include "learning/features/latent/tsne.h"
#include "studies/ae_cfe/ae_cfe_file.h"

namespace hemafed::studies {

// Latents have 50. A covariance of far more features than a domain has pictures is mostly noise, and its root takes
// seconds for every pair of domains.
inline constexpr std::size_t kMaxDriftColumns = 512;

struct FeatureMaps {
  report::ScatterChart components;
  report::ScatterChart neighbours;
};

[[nodiscard]] FeatureMaps MakeMaps(const ArmDescription& arm, std::span<const learning::DomainFeatures> domains,
                                   const learning::CrossDomainMatrix& matrix, const MapChoice& choice,
                                   const learning::TsneProgress& progress);

struct DomainDrift {
  learning::DriftReport by_features;
  std::optional<learning::DriftReport> by_moments;
};

// One a domain. `stop` is asked all the way, Ctrl-C unless said otherwise; then it throws kInterrupted.
[[nodiscard]] std::vector<DomainDrift> MeasureDrift(std::span<const learning::DomainFeatures> domains,
                                                    const learning::CrossDomainMatrix& matrix,
                                                    const learning::TwoSampleSettings& settings,
                                                    const learning::StopQuestion& stop = StopRequested);

}  // namespace hemafed::studies
