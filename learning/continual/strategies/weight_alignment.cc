// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/strategies/weight_alignment.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "codec/head_growth.h"
#include "common/error.h"
#include "learning/continual/uacl_loss.h"

namespace hemafed::learning {

namespace {

at::Tensor HeadWeight(const Classifier& model) {
  for (const NamedTensor& tensor : model.tensors()) {
    if (tensor.name == kHeadWeight) return tensor.value;
  }
  throw Error(ErrorCode::kInvalidInput, "weight alignment needs a model with a head");
}

}  // namespace

double AlignNewRows(at::Tensor weight, std::int64_t old_classes) {
  if (old_classes < 1 || old_classes >= weight.size(0)) return 1.0;
  const at::NoGradGuard no_gradients;
  const at::Tensor lengths = weight.to(at::kDouble).square().sum(1).sqrt();
  const auto old_mean = lengths.narrow(0, 0, old_classes).mean().item<double>();
  const auto new_mean = lengths.narrow(0, old_classes, weight.size(0) - old_classes).mean().item<double>();
  if (old_mean == 0.0 || new_mean == 0.0) return 1.0;
  weight.narrow(0, old_classes, weight.size(0) - old_classes).mul_(old_mean / new_mean);
  return old_mean / new_mean;
}

LossTerms WeightAlignment::Loss(const StepInput& input) {
  const at::Tensor logits = input.forward(input.batch.images, 0);
  const at::Tensor cross_entropy = CrossEntropy(logits, input.batch.labels);
  const std::optional<at::Tensor> teacher = FrozenLogits(input.context.teacher, input.batch.images);
  if (!teacher) return Only(cross_entropy);
  return SoftenedTerms(cross_entropy, logits, *teacher, settings_.temperature);
}

void WeightAlignment::AfterStep(const TaskContext& context, std::uint32_t) {
  if (settings_.wa_clip) HeadWeight(*context.model).clamp_min_(0.0);
}

void WeightAlignment::AfterTraining(const TaskContext& context) {
  AlignNewRows(HeadWeight(*context.model), context.old_classes);
}

}  // namespace hemafed::learning
