// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/strategies/lwf.h"

#include <ATen/ATen.h>

#include "learning/continual/uacl_loss.h"

namespace hemafed::learning {

LossTerms Lwf::Loss(const StepInput& input) {
  const at::Tensor logits = input.forward(input.batch.images, 0);
  const at::Tensor cross_entropy = CrossEntropy(logits, input.batch.labels);
  const std::optional<at::Tensor> teacher = FrozenLogits(input.context.teacher, input.batch.images);
  if (!teacher) return Only(cross_entropy);
  const at::Tensor distillation = SoftmaxDistillation(logits, *teacher, settings_.temperature);
  return {cross_entropy + settings_.lwf_weight * distillation, cross_entropy.detach(), distillation.detach()};
}

}  // namespace hemafed::learning
