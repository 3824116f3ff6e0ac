// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/uacl_loss.h"

#include <ATen/ATen.h>

#include "common/error.h"

namespace hemafed::learning {

at::Tensor CrossEntropy(const at::Tensor& logits, const at::Tensor& labels) {
  if (logits.dim() != 2 || labels.dim() != 1 || labels.size(0) != logits.size(0)) {
    throw Error(ErrorCode::kInvalidInput, "cross-entropy needs logits [N, C] and labels [N] of the same pictures");
  }
  return at::cross_entropy_loss(logits, labels);
}

at::Tensor Distillation(const at::Tensor& logits, const at::Tensor& teacher_logits) {
  if (logits.dim() != 2 || teacher_logits.dim() != 2 || logits.size(0) != teacher_logits.size(0) ||
      teacher_logits.size(1) > logits.size(1)) {
    throw Error(ErrorCode::kInvalidInput,
                "distillation needs logits [N, C] and teacher logits [N, C_old] of the same pictures, C_old <= C");
  }
  // Beyond this softplus(z) is z in float64 too; the library's own limit of 20 would cost half the digits there.
  constexpr double kLinearFrom = 40.0;
  const at::Tensor z = logits.narrow(1, 0, teacher_logits.size(1));
  const at::Tensor q = teacher_logits.detach().sigmoid();
  return (at::softplus(z, 1.0, kLinearFrom) - q * z).mean(0).sum();
}

UaclLoss ComputeUaclLoss(const at::Tensor& logits, const at::Tensor& labels,
                         const std::optional<at::Tensor>& teacher_logits, double gamma) {
  UaclLoss loss;
  loss.cross_entropy = CrossEntropy(logits, labels);
  if (!teacher_logits) {
    loss.distillation = at::zeros({}, logits.options());
    loss.total = loss.cross_entropy;
    return loss;
  }
  loss.distillation = Distillation(logits, *teacher_logits);
  loss.total = loss.cross_entropy + gamma * loss.distillation;
  return loss;
}

}  // namespace hemafed::learning
