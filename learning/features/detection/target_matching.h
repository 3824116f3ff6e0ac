// learning/features/detection/target_matching.h
// SPDX-License-Identifier: Apache-2.0
//
// Which true box a candidate (an anchor or a proposal) answers for. With q = the largest overlap (IoU) of a candidate
// with any true box, t the first true box that reaches it:
//
//     q >= positive             answers for t
//     q <  negative             background
//     between                   ignored
//     best_of_each_truth        a candidate that no other overlaps some true box more than, with q > 0, answers for its
//                               own t whatever q is, so that every true box trains at least one candidate; ties too
//
// The rules of both families (K. He et al., Mask R-CNN, ICCV 2017; matterport's and torchvision's code) are the same:
// anchors 0.7 / 0.3 with best_of_each_truth, proposals 0.5 / 0.5 without. Both codes take "no other overlaps more" at
// overlap 0 too, so a true box that no anchor touches would make every distant anchor positive: here it needs q > 0.
//
// Errors: Error(kInvalidInput) for tensors of another form or thresholds out of order. Thread-safety: free functions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hemafed::learning {

struct MatchRule {
  double positive = 0.7;
  double negative = 0.3;  // 0 <= negative <= positive <= 1
  bool best_of_each_truth = true;

  [[nodiscard]] static MatchRule Proposals() { return {}; }
  [[nodiscard]] static MatchRule Head() { return {0.5, 0.5, false}; }
};

inline constexpr std::int64_t kBackground = -1;
inline constexpr std::int64_t kIgnored = -2;

// int64 [N]: for each candidate the place of its true box in `truth` [M,4], kBackground or kIgnored. Without true boxes
// everything is background.
[[nodiscard]] at::Tensor MatchBoxes(const at::Tensor& truth, const at::Tensor& candidates, const MatchRule& rule);

}  // namespace hemafed::learning
