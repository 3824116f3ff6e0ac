// learning/data/folds.h
// SPDX-License-Identifier: Apache-2.0
//
// Cross-validation: pictures in k parts, stratified by class, each picture in exactly one (Matek et al., 2019, use
// five, Schouten et al., 2021, ten). Fold f is the test part of run f; the rest is for training.
//
// Units stay whole: a patient, else a group, else one picture (split_rule.h, UnitName). Units are dealt largest first,
// equal ones in ascending order of SHA-256("hemafed folds 1", seed, unit), each to the fold f with the smallest
//
//     sum_c n_c * count[f][c] / size_c         n_c: pictures of class c in the unit, size_c: in the set,
//                                              count[f][c]: in the fold so far
//
// ties to the fold with fewer pictures, then to the lower number. So where every unit is one picture, the counts of
// each class differ by at most one between folds (11 pictures in 5 folds: 2 or 3); with larger units they are as even
// as dealing allows.
//
// The result does not depend on the order of the pictures, only on their digests, units, classes and the seed.
//
// Errors: Error(kInvalidInput) for k outside 2..kMaxFolds, or fewer units than folds. Thread-safety: free functions
// without state.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "learning/data/dataset_index.h"

namespace hemafed::learning {

// More folds than this are leave-one-out: a training run for each picture.
inline constexpr std::uint32_t kMaxFolds = 100;

// fold[i] in 0..folds-1 for each picture. Class indices are below `classes`.
[[nodiscard]] std::vector<std::uint32_t> AssignFolds(std::span<const PictureEntry> pictures, std::size_t classes,
                                                     std::uint32_t folds, std::uint64_t seed);

}  // namespace hemafed::learning
