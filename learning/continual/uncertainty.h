// learning/continual/uncertainty.h
// SPDX-License-Identifier: Apache-2.0
//
// Uncertainty of a picture by Monte-Carlo dropout (UACL eq. 5; Gal, Ghahramani, ICML 2016): T forward passes with only
// dropout random give T softmax outputs over all C classes so far;
//
//     U = sum over classes of the population standard deviation over the T passes,   0 <= U <= sqrt(C - 1).
//
// Normalisation runs as in evaluation. The trunk up to dropout is the same in every pass and computed once per picture.
// A picture's masks follow from the seed and its own digest (dropout.h), so U does not depend on batches or on which
// other pictures are asked for (except for rounding, which differs between batch sizes).
//
// Errors: Error(kInvalidInput) for settings out of range. Thread-safety: one thread at a time per source.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "learning/continual/batch_source.h"
#include "learning/models/classifier.h"

namespace hemafed::learning {

// U of one picture; `outputs` holds T rows of `classes` probabilities, row-major.
[[nodiscard]] double UncertaintyOf(std::span<const double> outputs, std::size_t classes);

struct UncertaintySettings {
  std::uint32_t passes;  // T; the paper uses 10. 0: features only
  double dropout;        // probability
  std::uint64_t seed;
  std::uint32_t batch;  // pictures per forward pass: memory, not meaning
};
// Most passes that may be asked for: a hundred times the paper's.
inline constexpr std::uint32_t kMaxUncertaintyPasses = 1000;

// What selection needs of a picture: its features without dropout, and U.
struct PictureScores {
  std::vector<float> features;      // [indices.size(), d], row-major
  std::vector<double> uncertainty;  // [indices.size()]; empty for T = 0
};
// Told after each batch how many pictures of how many are done; an exception from it passes through.
using ScoredPictures = std::function<void(std::uint64_t done, std::uint64_t all)>;

[[nodiscard]] PictureScores ScorePictures(const Classifier& model, BatchSource& source,
                                          std::span<const std::uint32_t> indices, const UncertaintySettings& settings,
                                          const ScoredPictures& on_pictures = {});

}  // namespace hemafed::learning
