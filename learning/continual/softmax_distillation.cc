// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/softmax_distillation.h"

#include <ATen/ATen.h>

#include "common/error.h"

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

double DistillationShare(std::int64_t old_classes, std::int64_t classes) {
  if (old_classes >= classes) return 0.5;
  return static_cast<double>(old_classes) / static_cast<double>(classes);
}

LossTerms SoftenedTerms(const at::Tensor& cross_entropy, const at::Tensor& logits, const at::Tensor& teacher_logits,
                        double temperature) {
  const at::Tensor distillation = SoftmaxDistillation(logits, teacher_logits, temperature);
  const double share = DistillationShare(teacher_logits.size(1), logits.size(1));
  return {(1.0 - share) * cross_entropy + share * distillation, cross_entropy.detach(), distillation.detach()};
}

}  // namespace hemafed::learning
