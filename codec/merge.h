// codec/merge.h
// SPDX-License-Identifier: Apache-2.0
//
// Combines the updates of one round into its step, in exact integers with one rounding at the end (design 4.4, 4.5).
// For each coordinate, with the integers q_k of the updates (codec/update.h) and weights w_k of its tensor that sum to
// 2^15:
//
//     mean          S = sum_k w_k q_k                      FedAvg (McMahan et al., AISTATS 2017, algorithm 1)
//     median        S = w_a q_a + W_r median(q_r)          of an even number: the mean of the two in the middle
//     trimmed_mean  S = w_a q_a + W_r mean(q_r without the `trim` lowest and highest)   (Yin et al., ICML 2018)
//
//     v' = round_half_even(2^-halvings (momentum v + S) / 2^15)
//
// a     : the active site's update, which is supposed to differ and is therefore in no vote;
// r     : the other, rehearsing ones, one vote each; W_r is the sum of their weights;
// v     : the previous round's step (server momentum; Hsu et al., arXiv 1909.06335, FedAvgM), 0 if there is none;
// v'    : the step, int32. Halving (the retention gate) is of all of it: without an end the model would stay as it is.
//
// Rule "distillation" is `mean` with a row of weights for each tensor. The fractions of the median and of the trimmed
// mean stay exact until the one rounding, so neither the order of the updates nor the machine matters. All sums stay
// within 2^53: weights and momentum of at most 2^15 each times |q| <= 2^31, times at most 62 kept votes.
//
// Updates stream from disk in blocks: memory (below 1 MB) grows neither with the model nor with the sites.
//
// Errors: kInvalidInput: no updates, weights that do not sum to 2^15 or are not one for each update, a setting out of
// its range, a file of another length than the layout needs. kRefused: a rule that so few rehearsing updates cannot
// support, or a step with momentum that does not fit int32, naming the tensor. Thread-safety: value types; a StepReader
// belongs to one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/merge_weights.h"
#include "codec/update.h"
#include "common/file_system.h"

namespace hemafed {

// Updates of one round. 64 sites is the largest roster (codec/plan.h).
inline constexpr std::size_t kMaxMergedUpdates = 64;
// The fewest rehearsing updates that a vote needs: of two, neither is in the middle.
inline constexpr std::size_t kMinVotes = 3;
// Halved so often, even the largest step (512) moves a weight by less than 2^-6; the bound keeps denominators small.
inline constexpr std::uint32_t kMaxHalvings = 16;
// Momentum counts in units of 2^-15 and stays below 1, where the step would never fade.
inline constexpr std::uint32_t kMomentumOne = 1u << 15;

enum class MergeRule : std::uint8_t { kMean, kMedian, kTrimmedMean };

[[nodiscard]] std::string_view MergeRuleName(MergeRule rule) noexcept;

// What a merge is made from. Paths are of canonical forms: 4 bytes a value, in the layout's order.
struct Merge {
  MergeRule rule = MergeRule::kMean;
  std::vector<Path> updates;
  MergeWeights weights;
  std::optional<std::size_t> active;  // Index of the active site's update; none if it sent none. Unused by `mean`.
  std::uint32_t trim = 0;             // Of trimmed_mean: at least 1 there, 0 elsewhere.
  std::uint32_t halvings = 0;         // At most kMaxHalvings.
  std::uint32_t momentum = 0;         // In 2^-15, below kMomentumOne.
  std::optional<Path> previous_step;  // Only with momentum. The caller drops it when the layout changes.
};

struct WeightedUpdate {
  Path file;
  std::uint32_t weight = 0;
};

// The plain weighted mean of a round.
[[nodiscard]] Merge WeightedMean(const std::vector<WeightedUpdate>& updates);

// Why the rule cannot run with so many rehearsing updates, in words for a person; nothing if it can. For the check of a
// plan and for rounds in which sites stayed away.
[[nodiscard]] std::optional<std::string> WhyRuleCannotRun(MergeRule rule, std::uint32_t trim, std::size_t rehearsing);

// The steps of a round, value after value.
class StepReader {
 public:
  // Opens the files and checks everything about them but their values. `files` is used during the call only.
  StepReader(FileSystem& files, const UpdateLayout& layout, const Merge& merge);
  ~StepReader();
  StepReader(StepReader&&) noexcept;
  StepReader& operator=(StepReader&&) noexcept;

  // Fills `out` with the next steps.
  void Next(std::span<std::int32_t> out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hemafed
