// learning/data/split_rule.h
// SPDX-License-Identifier: Apache-2.0
//
// Divides pictures into two parts, stratified by class, deterministically: train and test of a folder tree, or the
// validation fifth of a training set on which every choice is made (design 11.2).
//
// Share of each class: percent of all pictures, rounded up (the published counts of UACL are an 80/20 split with the
// test part rounded up: 15,053 -> 3,011, 23,083 -> 4,617, 14,543 -> 2,909), divided by largest remainder: a class of
// n_c pictures gets floor(n_c * percent / 100), then the classes with the largest remainders one more each, ties to the
// lower index. So a class is off its exact share by less than one picture. No class gives away its last picture.
//
// Which pictures: units, in ascending order of SHA-256("hemafed split 1", seed, unit). A unit is held out if that
// brings the held-out counts, absolute differences summed over classes, closer to the shares; otherwise it stays. A
// unit is a patient, else a group, else one picture, and stays whole. Where every unit is one picture the shares are
// met exactly.
//
// Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "learning/data/dataset_index.h"

namespace hemafed::learning {

// held_out[i] for each picture. 1 <= percent <= 99. Class indices are below `classes`.
[[nodiscard]] std::vector<bool> HoldOut(std::span<const PictureEntry> pictures, std::size_t classes, unsigned percent,
                                        std::uint64_t seed);

// What a picture is kept together with: "patient <name>", else "group <name>", else "picture <digest>".
[[nodiscard]] std::string UnitName(const PictureEntry& picture);

inline constexpr unsigned kValidationPercent = 20;

// The training pictures of an index in two parts, as positions in the index, ascending. Every choice (method, rule,
// budget, learning rate) is made on `validation`; test pictures are scored once for each published table (design 11.2).
struct TrainingParts {
  std::vector<std::uint32_t> train;
  std::vector<std::uint32_t> validation;
};
[[nodiscard]] TrainingParts SplitTraining(const DatasetIndex& index, unsigned percent = kValidationPercent,
                                          std::uint64_t seed = 0);

}  // namespace hemafed::learning
