// learning/continual/batch_draws.h
// SPDX-License-Identifier: Apache-2.0
//
// Which pictures are in which batch, as a pure function of a seed and the global step of the task (steps of earlier
// rounds count): no loader has a position that could be lost, and a round can be made again at any time.
//
//   kUniform   draw i of the task is place i mod n of the order of epoch i / n; each epoch has an order of its
//              own, so n successive draws from a multiple of n on see every picture once.
//   kBalanced  draw i belongs to turn i / C of the C classes that have pictures; each turn visits every class
//              once, in an order of its own. The pictures of a class come in epochs as above.
//
// The step s of batch size B takes draws s B .. s B + B - 1. A batch may span two epochs and then hold a picture twice.
// Orders are Fisher-Yates (common/random.h) with streams: epoch e of a class list uses RandomStream(DeriveSeed(seed,
// "pictures" or "pictures of class <label>"), e), turn t uses RandomStream(DeriveSeed(seed, "turns"), t).
//
// Errors: Error(kInvalidInput) without pictures. Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/plan.h"

namespace hemafed::learning {

class BatchDraws {
 public:
  // One label per picture of the source.
  BatchDraws(std::uint64_t seed, Sampling sampling, std::span<const std::int64_t> labels);

  // Indices of the pictures of one step.
  [[nodiscard]] std::vector<std::uint32_t> Indices(std::uint64_t global_step, std::uint32_t batch);

 private:
  // An endless sequence over some indices, epoch by epoch; remembers the order of the epoch asked for last.
  struct Sequence {
    std::uint64_t seed;
    std::vector<std::uint32_t> items;
    std::uint64_t epoch = UINT64_MAX;
    std::vector<std::uint32_t> order;
    [[nodiscard]] std::uint32_t At(std::uint64_t draw);
  };

  Sampling sampling_;
  std::vector<Sequence> lists_;  // One for all pictures, or one a class in ascending order of labels.
  Sequence turns_;               // Over the positions in lists_; used by kBalanced.
};

}  // namespace hemafed::learning
