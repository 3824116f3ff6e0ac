// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/strategies/lwf.h"

#include <ATen/ATen.h>

#include "common/error.h"
#include "learning/continual/uacl_loss.h"

namespace hemafed::learning {

at::Tensor SoftmaxDistillation(const at::Tensor& logits, const at::Tensor& teacher_logits, double temperature) {
  if (logits.dim() != 2 || teacher_logits.dim() != 2 || logits.size(0) != teacher_logits.size(0) ||
      teacher_logits.size(1) > logits.size(1)) {
    throw Error(ErrorCode::kInvalidInput,
                "distillation needs logits [N, C] and teacher logits [N, C_old] of the same pictures, C_old <= C");
  }
  const at::Tensor log_p = (logits.narrow(1, 0, teacher_logits.size(1)) / temperature).log_softmax(1);
  const at::Tensor q = (teacher_logits.detach() / temperature).softmax(1);
  return -(q * log_p).sum(1).mean();
}

LossTerms Lwf::Loss(const StepInput& input) {
  const at::Tensor logits = input.forward(input.batch.images, 0);
  const at::Tensor cross_entropy = CrossEntropy(logits, input.batch.labels);
  const std::optional<at::Tensor> teacher = FrozenLogits(input.context.teacher, input.batch.images);
  if (!teacher) return Only(cross_entropy);
  const at::Tensor distillation = SoftmaxDistillation(logits, *teacher, settings_.temperature);
  return {cross_entropy + settings_.lwf_weight * distillation, cross_entropy.detach(), distillation.detach()};
}

}  // namespace hemafed::learning
