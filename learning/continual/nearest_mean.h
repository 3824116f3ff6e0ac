// learning/continual/nearest_mean.h
// SPDX-License-Identifier: Apache-2.0
//
// Prediction by the nearest mean of exemplars (iCaRL, Rebuffi et al., CVPR 2017, Algorithm 1): features of exemplars
// are scaled to length 1, averaged over a class (or over a class of one domain), and the mean is scaled to length 1
// again; a picture belongs to the class whose mean is nearest to its own features at length 1.
//
// Scores are minus the distance, so the largest wins; a class without exemplars has minus infinity. With means by
// domain a class has the score of its nearest one.
//
// Errors: Error(kConflict) if no exemplar is stored. Thread-safety: free functions; one thread at a time per memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "learning/continual/memory.h"
#include "learning/models/classifier.h"

namespace hemafed::learning {

// Rows [N, d] scaled to length 1. A zero vector has no direction; it stays as it is.
[[nodiscard]] at::Tensor LengthOne(const at::Tensor& rows);

struct ExemplarMeans {
  at::Tensor means;                // float64 [L, d], length 1
  std::vector<std::int64_t> rows;  // [L], head row of each
};

// `batch`: pictures per forward pass.
[[nodiscard]] ExemplarMeans MeansOfExemplars(const Classifier& model, Memory& memory, bool by_domain,
                                             std::uint32_t batch);

// float64 [N, classes] of features [N, d].
[[nodiscard]] at::Tensor NearestMeanScores(const ExemplarMeans& means, const at::Tensor& features,
                                           std::int64_t classes);

}  // namespace hemafed::learning
