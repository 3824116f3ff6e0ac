// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/strategies/replay.h"

#include <ATen/ATen.h>

#include "learning/continual/uacl_loss.h"

namespace hemafed::learning {

Batch WithMemory(const StepInput& input) {
  const std::optional<MemoryBatch> memory = input.draw_memory(1);
  if (!memory) return input.batch;
  return {at::cat({input.batch.images, memory->batch.images}), at::cat({input.batch.labels, memory->batch.labels})};
}

LossTerms Replay::Loss(const StepInput& input) {
  const Batch both = WithMemory(input);
  return Only(CrossEntropy(input.forward(both.images, 0), both.labels));
}

}  // namespace hemafed::learning
