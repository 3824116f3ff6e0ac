// codec/aggregate.h
// SPDX-License-Identifier: Apache-2.0
//
// Combines the updates of one round into the next model, rule "mean" (FedAvg; McMahan et al., AISTATS 2017, Algorithm
// 1) in integers (design 4.5, 11.11):
//
//     step  = round_half_even(sum_k w_k q_k / 2^15)                  sum over updates; w_k integers that sum to 2^15
//     theta' = float32(double(theta) + double(step) * 2^-22)         both conversions half to even
//
// q_k : canonical integers of update k (codec/update.h), one raw file each.
// The sums are exact, so neither the order of the updates nor the machine matters. Tensors outside the layout
// (normalisation buffers, counters) and the metadata are copied as they are.
//
// Everything streams from disk in blocks: memory (about 1 MB) grows neither with the model nor with the sites.
// Not robust: one site can move the result as far as its weight and the norm bound allow.
//
// Errors: kInvalidInput: no updates, weights that do not sum to 2^15, a file of another length than the layout needs, a
// layout that does not fit the base, a value that is not finite (the message names it). Thread-safety: free functions;
// Aggregate runs one more thread of its own, and uses `files` from both. On an error a partial output is left behind.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "codec/exact.h"
#include "codec/integer_weights.h"
#include "codec/update.h"
#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed {

struct WeightedUpdate {
  Path file;  // Canonical form: 4 bytes a value, in the layout's order.
  std::uint32_t weight = 0;
};

// The steps of a round, value after value.
class StepReader {
 public:
  // Opens the files and checks lengths and weights. `files` is used during the call only.
  StepReader(FileSystem& files, const UpdateLayout& layout, const std::vector<WeightedUpdate>& updates);
  ~StepReader();
  StepReader(StepReader&&) noexcept;
  StepReader& operator=(StepReader&&) noexcept;

  // Fills `out` with the next steps.
  void Next(std::span<std::int32_t> out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct AggregateResult {
  Digest step;               // Of the steps in canonical form: SHA-256 over little-endian int32.
  Digest model;              // SHA-256 of the new model file.
  UInt128 squared_norm = 0;  // Sum of squared steps.
};

// Writes the new model to `out`, and the steps in canonical form to `step_file` if one is given.
[[nodiscard]] AggregateResult Aggregate(FileSystem& files, const Path& base, const UpdateLayout& layout,
                                        const std::vector<WeightedUpdate>& updates, const Path& out,
                                        const std::optional<Path>& step_file = std::nullopt,
                                        Durability durability = Durability::kSynced);

}  // namespace hemafed
