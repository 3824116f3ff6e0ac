// learning/features/latent/principal_components.h
// SPDX-License-Identifier: Apache-2.0
//
// Principal components of features: the plane in which they vary most, for maps and as the start of t-SNE.
//
// With the rows centred (X, n x d), component c is the eigenvector v_c of the covariance X^T X / (n - 1) with the c-th
// largest eigenvalue, its variance. Where d > n the same comes from the n x n matrix X X^T (v = X^T u / |X^T u|), so
// that flattened pictures of 49,152 values cost what their number costs.
//
// Sign: an eigenvector is known up to its sign only; here the entry of largest magnitude (the first of equals) is
// positive. Components beyond the rank are zero vectors with variance 0.
//
// Eigenvalues by cv::eigen, sums in double in a fixed order: the same bits with the same OpenCV build.
//
// Errors: kInvalidInput for no rows, a value that is not finite, more components than columns, more than
// kMaxComponentRows rows where d > n, or more than kMaxComponentColumns columns where not; features of another width.
// Thread-safety: value type, free function.
#pragma once

#include <cstddef>
#include <vector>

#include "learning/features/latent/feature_matrix.h"

namespace hemafed::learning {

// Sides of the matrix whose eigenvalues are taken: seconds, and 128 MiB in double with its vectors.
inline constexpr std::size_t kMaxComponentRows = 2'000;
inline constexpr std::size_t kMaxComponentColumns = 2'048;

struct PrincipalComponents {
  std::vector<double> mean;                     // [d]
  std::vector<std::vector<double>> directions;  // each [d], of length 1
  std::vector<double> variances;                // of the rows along each direction
  double total_variance = 0;                    // over all directions

  // Coordinates of rows, [rows, directions] row-major, in double.
  [[nodiscard]] std::vector<double> Project(const FeatureMatrix& features) const;
};

[[nodiscard]] PrincipalComponents FindPrincipalComponents(const FeatureMatrix& features, std::size_t components = 2);

}  // namespace hemafed::learning
