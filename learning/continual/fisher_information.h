// learning/continual/fisher_information.h
// SPDX-License-Identifier: Apache-2.0
//
// The diagonal of a model's Fisher information on pictures, as elastic weight consolidation uses it (held_weights.h):
//
//     F_i = mean over pictures x of (d/d theta_i of -log p(y^ | x))^2,    y^ = the model's own answer to x
//
// one picture at a time, un-augmented, without dropout, normalisation as in evaluation. Running statistics are no
// parameters and have none (published-systems 2.4).
//
// Errors: those of the source; what `on_pictures` throws passes through. Thread-safety: one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "learning/continual/batch_source.h"
#include "learning/models/classifier.h"

namespace hemafed::learning {

// One tensor for each of model.tensors(), undefined for running statistics. `pictures` 0: all of the source; else as
// many, drawn by `seed` without repetition. Zero everywhere for an empty source. `on_pictures` may be empty.
[[nodiscard]] std::vector<at::Tensor> FisherDiagonal(
    const Classifier& model, BatchSource& source, std::uint32_t pictures, std::uint64_t seed,
    const std::function<void(std::uint64_t done, std::uint64_t all)>& on_pictures);

}  // namespace hemafed::learning
