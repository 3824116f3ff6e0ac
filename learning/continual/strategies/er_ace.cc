// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/strategies/er_ace.h"

#include <ATen/ATen.h>

#include <limits>

#include "learning/continual/uacl_loss.h"

namespace hemafed::learning {

at::Tensor CrossEntropyOver(const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& rows) {
  at::Tensor shut = at::ones({logits.size(1)}, logits.options().dtype(at::kBool));
  shut.index_fill_(0, rows.to(logits.device()), false);
  return CrossEntropy(logits.masked_fill(shut, -std::numeric_limits<double>::infinity()), labels);
}

LossTerms ErAce::Loss(const StepInput& input) {
  const at::Tensor logits = input.forward(input.batch.images, 0);
  if (input.context.task == 0) return Only(CrossEntropy(logits, input.batch.labels));
  const at::Tensor rows =
      settings_.ace_classes == AceClasses::kBatch ? input.batch.labels : at::tensor(input.context.rows, at::kLong);
  const at::Tensor incoming = CrossEntropyOver(logits, input.batch.labels, rows);
  const std::optional<MemoryBatch> memory = input.draw_memory(1);
  if (!memory) return Only(incoming);
  const at::Tensor rehearsed = CrossEntropy(input.forward(memory->batch.images, 1), memory->batch.labels);
  return {incoming + rehearsed, incoming.detach(), rehearsed.detach()};
}

}  // namespace hemafed::learning
