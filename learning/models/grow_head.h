// learning/models/grow_head.h
// SPDX-License-Identifier: Apache-2.0
//
// A model's head gets rows for new classes: codec/head_growth.h for a model in memory, with the same result bit for
// bit. Old rows, old biases and the trunk are copied; a new row r of task t is NewHeadRow(seed, t, r, d); new biases
// are 0.
//
// Optimizer state that belongs to the old head does not fit the new one.
//
// Errors: Error(kInvalidInput) if there would be fewer classes than before, none, or more than kMaxHeadClasses.
// Thread-safety: free function; the model must not be training meanwhile.
#pragma once

#include <cstdint>

#include "learning/models/classifier.h"

namespace hemafed::learning {

// A copy of `model` (its type, device, normalisation and precision) with `classes` classes.
[[nodiscard]] Classifier GrowHead(const Classifier& model, std::int64_t classes, std::uint64_t seed,
                                  std::uint32_t task);

}  // namespace hemafed::learning
