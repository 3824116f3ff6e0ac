// learning/features/latent/gaussian_reference.h
// SPDX-License-Identifier: Apache-2.0
//
// Features that no picture has, drawn from published moments: the consortium's side of a comparison at a hospital that
// may not see other hospitals' features. Moments are what leaves a lab for federated alignment anyway (mean and
// covariance of at least n_min pictures); one component a hospital, or one a class and hospital where these are
// published, makes the mixture follow the real distribution more closely.
//
//   x = mean_c + R_c z,   R_c the symmetric root of covariance_c,   z standard normal
//
// The symmetric root (V sqrt(D) V^T of the eigenvalues D and eigenvectors V) is unique, unlike the eigenvectors, and
// does not magnify rounding where the covariance has no full rank, as of fewer pictures than features.
//
// Rows are shared out among the components by their counts, largest remainder, ties to the lower number; they stand
// component after component. Row r draws its d normals from RandomStream(DeriveSeed(seed, "drift reference 1"), r). So
// everybody who holds the published moments and the seed draws the same rows (up to the last bit of log and cos).
//
// Rounding to a grid can make a covariance slightly indefinite: eigenvalues below 0 count as 0 down to
// -kEigenvalueTolerance times the largest one; a matrix that is further from a covariance is refused.
//
// Errors: kInvalidInput for more than kMaxGaussianEntries; naming the component, for sizes that do not fit, values that
// are not finite, asymmetry, an eigenvalue below 0, no rows behind a component, all variances 0. Thread-safety:
// immutable after construction.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/latent_reference.h"
#include "learning/features/latent/feature_matrix.h"

namespace hemafed::learning {

inline constexpr double kEigenvalueTolerance = 1e-3;
// Eigenvalues take seconds there; latents have 50 features, the largest published ones 1,000.
inline constexpr std::size_t kMaxGaussianColumns = 2'048;
// 16 hospitals of 64 classes.
inline constexpr std::size_t kMaxGaussianComponents = 1'024;
// Entries of all covariances together. Each is held with its root as doubles, so this many take 1 GiB: enough for the
// most components with 256 features, or 16 hospitals with the most features. Both limits at once would take 64 GiB.
inline constexpr std::size_t kMaxGaussianEntries = std::size_t{1} << 26;

using hemafed::GaussianComponent;

// Mean and covariance of these rows (all of them if empty), in double, rows in order. At least two.
[[nodiscard]] GaussianComponent MomentsOf(const FeatureMatrix& features, std::span<const std::uint32_t> rows = {});

class GaussianReference {
 public:
  explicit GaussianReference(std::vector<GaussianComponent> components);

  [[nodiscard]] std::size_t columns() const { return components_.front().mean.size(); }
  [[nodiscard]] const std::vector<GaussianComponent>& components() const { return components_; }
  // Pictures behind all components.
  [[nodiscard]] std::uint64_t pictures() const;
  [[nodiscard]] FeatureMatrix Sample(std::size_t rows, std::uint64_t seed) const;

 private:
  std::vector<GaussianComponent> components_;
  std::vector<std::vector<double>> roots_;  // R of each component, [d, d]
};

}  // namespace hemafed::learning
