// learning/continual/training_batches.h
// SPDX-License-Identifier: Apache-2.0
//
// The batches of one task's training, in order: pictures of the task mixed with exemplars as the strategy needs them,
// and the batches of exemplars that it draws apart. They are made ahead on loader threads while training uses the last
// one (prefetch.h), or in place.
//
// Batch number b of a task is a function of (seed of the task, b) alone, so a run that goes on in the middle of an
// epoch begins at its batch, and the number of loaders changes no bit. Draws come from task_draws.h and batch_draws.h;
// augmentation from (DeriveSeed(task seed, "augmentation"), b); slot s > 0 of a batch, the exemplars drawn apart, uses
// the seeds of SlotSeed.
//
// Sources are read from the loaders' threads between Start() and the object's end: nobody else may read them meanwhile.
// With one loader they are read from one thread at a time; with more, they must allow several at once (TileBatches
// does).
//
// Errors: what a source throws is thrown by the Next() that would have returned that batch, after all batches before
// it. Thread-safety: one thread takes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "learning/continual/batch_draws.h"
#include "learning/continual/learner_settings.h"
#include "learning/continual/memory.h"
#include "learning/continual/picture_view.h"
#include "learning/continual/prefetch.h"
#include "learning/continual/strategy.h"
#include "learning/continual/task_draws.h"

namespace hemafed::learning {

struct TrainingBatch {
  std::uint32_t draw = 0;           // number of the batch in the task
  Batch batch;                      // labels are rows of the head
  at::Tensor is_memory;             // bool [N]: the picture is an exemplar
  std::vector<MemoryBatch> memory;  // of slots 1, 2, ..; empty where none are drawn
};

// Slot 0 is the task's batch, slots 1, 2, .. are drawn beside it: what is random in one does not repeat in another.
[[nodiscard]] std::uint64_t SlotSeed(std::uint64_t seed, std::uint32_t slot);

class TrainingBatches {
 public:
  // `own`: the pictures to train on. `memory` is borrowed. What `needs` says about rehearsal decides how exemplars come
  // in. Throws kInvalidInput without pictures.
  TrainingBatches(const PictureView& own, Memory& memory, const StrategyNeeds& needs, const LearnerSettings& settings,
                  std::uint64_t task_seed);
  TrainingBatches(const TrainingBatches&) = delete;
  TrainingBatches& operator=(const TrainingBatches&) = delete;

  [[nodiscard]] std::uint64_t BatchesPerEpoch() const { return draws_.BatchesPerEpoch(); }
  // From here on Next() returns batches first, first + 1, .. end - 1. Called once.
  void Start(std::uint32_t first, std::uint32_t end);
  // Throws kInternal beyond the last.
  [[nodiscard]] TrainingBatch Next();

 private:
  using Ahead = OrderedPrefetch<TrainingBatch>;
  // What a batch is made of; drawn in order, while batches are made in any.
  struct Request {
    std::uint32_t draw = 0;
    std::vector<std::uint32_t> indices;
    std::vector<std::vector<std::uint32_t>> memory;  // items by slot - 1
  };
  [[nodiscard]] Request Draw(std::uint32_t draw);
  [[nodiscard]] TrainingBatch Make(const Request& request);
  [[nodiscard]] std::optional<AugmentationKey> Augmentation(std::uint32_t slot, std::uint32_t draw) const;

  bool augment_;
  unsigned loaders_;
  std::uint32_t memory_batch_;
  std::uint64_t augmentation_seed_;
  std::size_t own_count_;
  Memory& memory_;
  PictureView view_;  // the task's own pictures, exemplars behind them where they are mixed in
  TaskDraws draws_;
  std::vector<BatchDraws> memory_draws_;  // of slots 1, 2, ..
  std::optional<Ahead> ahead_;            // Last: its threads use everything above.
};

}  // namespace hemafed::learning
