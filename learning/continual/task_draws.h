// learning/continual/task_draws.h
// SPDX-License-Identifier: Apache-2.0
//
// Which pictures are in which batch of a task, over a view that lists the task's own pictures first and exemplars
// behind them. A pure function of (seed, number of the batch), like batch_draws.h, which draws.
//
//   memory_share 0      as published for UACL and iCaRL: one draw over everything, exemplars are as frequent as they
//   are memory_share s > 0  each batch of B takes round(s B) exemplars (at least 1, at most B - 1) and B minus that of
//   the
//                       task's own, each from draws of their own; the own ones come first
//
// An epoch is as many batches as it takes to draw as many pictures as there are (of the task's own where there is a
// share); draws run on from epoch to epoch.
//
// No LibTorch here. Errors: Error(kInvalidInput) without pictures, or for a share with a batch of 1.
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "learning/continual/batch_draws.h"

namespace hemafed::learning {

class TaskDraws {
 public:
  // Labels of the task's own pictures and of the exemplars.
  TaskDraws(std::uint64_t seed, Sampling sampling, std::span<const std::int64_t> own,
            std::span<const std::int64_t> exemplars, std::uint32_t batch, double memory_share);

  // Places in the view: below the number of own pictures, or exemplars from there on.
  [[nodiscard]] std::vector<std::uint32_t> Indices(std::uint64_t draw);
  [[nodiscard]] std::uint64_t BatchesPerEpoch() const { return batches_per_epoch_; }

 private:
  std::uint32_t own_count_;
  std::uint32_t own_batch_;
  std::uint32_t memory_batch_ = 0;
  std::uint64_t batches_per_epoch_;
  BatchDraws own_;  // over everything where there is no share
  std::optional<BatchDraws> exemplars_;
};

}  // namespace hemafed::learning
