// learning/continual/stored_logits.h
// SPDX-License-Identifier: Apache-2.0
//
// Answers that a model once gave, which DER++ holds a later one to (Buzzega et al., NeurIPS 2020, eq. 6): logits of
// un-augmented pictures, each of as many classes as were known then.
//
// Errors: Error(kInvalidInput). Thread-safety: free functions; those of the source for reading pictures.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "learning/continual/batch_source.h"
#include "learning/models/classifier.h"

namespace hemafed::learning {

// Of the pictures with these positions, in this order. `batch`: pictures of one forward pass. `on_pictures` may be
// empty; what it throws passes through.
[[nodiscard]] std::vector<std::vector<float>> LogitsOf(
    const Classifier& model, BatchSource& source, std::span<const std::uint32_t> positions, std::uint32_t batch,
    const std::function<void(std::uint64_t done, std::uint64_t all)>& on_pictures);

// Squared distance of logits [N, C] to stored ones: the mean over the pictures that have some of the mean (or the sum)
// over the classes that each knows. `stored`: one list a picture, at most C long; pictures with an empty list do not
// count. 0 if no picture has one.
[[nodiscard]] at::Tensor LogitDistance(const at::Tensor& logits, const std::vector<std::vector<float>>& stored,
                                       bool sum_over_classes);

}  // namespace hemafed::learning
