// learning/continual/distillation_probe.h
// SPDX-License-Identifier: Apache-2.0
//
// What distillation knows about an update, measured by the site that made it (design 4.4). On N of the site's pictures,
// un-augmented and without dropout, with the teacher's logits z' and the model's logits z of the old classes j:
//
//     L_dist            = sum_j mean_n BCE(q_nj, p_nj),     p = sigmoid(z), q = sigmoid(z')     (uacl_loss.h)
//     disagreement_j    = mean_n |p_nj - q_nj|
//     sensitivity(theta) = mean_n sum_j p_nj (1 - p_nj) (dz_nj / dtheta)^2,    averaged over each tensor's elements
//
// The sensitivity is the curvature of L_dist (its Gauss-Newton diagonal, which is its Fisher information), measured at
// the round's base. The squared gradient of L_dist would be no use: it is 0 where student and teacher agree.
//
// It is estimated by one backward pass for a batch of pictures instead of one for each picture and class: with
// independent signs r_nj = +-1,
//
//     g = d/dtheta  sum_n sum_j r_nj sqrt(p_nj (1 - p_nj)) z_nj,        E[g^2] = sum_n sum_j p_nj (1 - p_nj)
//     (dz_nj/dtheta)^2
//
// because products of different signs have mean 0 (Hutchinson's trick). The mean over a tensor's elements and several
// batches steadies it; head rows of new classes have none. Signs and pictures are functions of the seed.
//
// A model whose normalisation looks at the batch would mix pictures; such models are refused.
//
// Errors: Error(kInvalidInput): no picture, a teacher that knows a class which the model does not, a value that is not
// finite. Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "learning/continual/batch_source.h"
#include "learning/models/classifier.h"

namespace hemafed::learning {

struct ProbeSettings {
  std::uint32_t pictures;  // N; fewer where the source has fewer
  std::uint32_t batch;     // pictures of one pass: memory, and how many signs share a backward pass
  std::uint64_t seed;
};

struct DistillationState {
  double loss = 0.0;                 // L_dist
  std::vector<double> disagreement;  // by old class
};

// Positions of the pictures that are probed, ascending: the same for base and trained model.
[[nodiscard]] std::vector<std::uint32_t> ProbedPictures(const BatchSource& source, const ProbeSettings& settings);

[[nodiscard]] DistillationState MeasureDistillation(const Classifier& model, const Classifier& teacher,
                                                    BatchSource& source, const std::vector<std::uint32_t>& pictures,
                                                    std::uint32_t batch);

// One value for each of model.tensors(), 0 for running statistics. The model is marked for training meanwhile.
[[nodiscard]] std::vector<double> DistillationSensitivity(Classifier& model, std::int64_t old_classes,
                                                          BatchSource& source,
                                                          const std::vector<std::uint32_t>& pictures,
                                                          std::uint32_t batch, std::uint64_t seed);

}  // namespace hemafed::learning
