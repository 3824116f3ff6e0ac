// learning/features/detection/target_sampling.h
// SPDX-License-Identifier: Apache-2.0
//
// Which of the matched candidates of one picture the losses see. Nearly all anchors are background; a loss over all of
// them would learn nothing else. At most `positive_share` of `count` are positive, chosen without replacement; the rest
// is background, so with few positives there is more of it:
//
//     positives = min(P, floor(count * positive_share))          negatives = min(N, count - positives)
//
// The published head keeps the share instead: negatives = floor(positives / positive_share) - positives, so a picture
// without a positive proposal gives its head nothing to learn. (Its code fills up with empty boxes at the origin, which
// then train as background; we leave those out.)
//
//     torchvision    anchors 256, 0.5      proposals 512, 0.25
//     published      anchors 256, 0.5      proposals 200, 0.33, share kept
//
// Draws come from the caller's counter-based stream, so a picture's sample does not depend on the others'.
//
// Errors: Error(kInvalidInput) for a rule out of range. Thread-safety: free functions; a stream belongs to one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "common/random.h"

namespace hemafed::learning {

struct SampleRule {
  std::int64_t count = 256;
  double positive_share = 0.5;  // 0 < share < 1
  bool keep_share = false;

  [[nodiscard]] static SampleRule Proposals() { return {}; }
  [[nodiscard]] static SampleRule TorchvisionHead() { return {512, 0.25, false}; }
  [[nodiscard]] static SampleRule PublishedHead() { return {200, 0.33, true}; }
};

struct SampledTargets {
  at::Tensor positive, negative;  // int64, ascending places among the candidates; on the matches' device

  // Both, positives first.
  [[nodiscard]] at::Tensor All() const;
};

// `matches` as MatchBoxes gives them.
[[nodiscard]] SampledTargets SampleTargets(const at::Tensor& matches, const SampleRule& rule, RandomStream& random);

}  // namespace hemafed::learning
