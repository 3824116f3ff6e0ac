// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/local_loss.h"

#include <ATen/ATen.h>

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "common/error.h"
#include "learning/continual/softmax_distillation.h"
#include "learning/continual/uacl_loss.h"

namespace hemafed::learning {

namespace {

void Require(bool holds, const std::string& rule) {
  if (!holds) throw Error(ErrorCode::kInvalidInput, "training settings: " + rule);
}

void CheckTeacher(const Classifier* teacher, const Classifier& model) {
  if (teacher == nullptr) return;
  Require(teacher->classes() >= 1 && teacher->classes() <= model.classes(),
          "the teacher must know at least one class and none that the model does not know");
}

}  // namespace

DistilledLoss::DistilledLoss(const Classifier* teacher, double gamma) : teacher_(teacher), gamma_(gamma) {
  Require(gamma >= 0.0 && std::isfinite(gamma), "gamma must not be negative");
}

void DistilledLoss::Check(const Classifier& model, const BatchSource&) const { CheckTeacher(teacher_, model); }

LossTerms DistilledLoss::Of(const LocalStep& step) const {
  const std::optional<at::Tensor> answers = FrozenLogits(teacher_, step.batch.images);
  const UaclLoss loss = ComputeUaclLoss(step.forward(), step.batch.labels, answers, gamma_);
  return {loss.total, loss.cross_entropy, loss.distillation};
}

SoftenedLoss::SoftenedLoss(const Classifier* teacher, double temperature)
    : teacher_(teacher), temperature_(temperature) {
  Require(temperature > 0.0 && std::isfinite(temperature), "temperature must be above 0");
}

void SoftenedLoss::Check(const Classifier& model, const BatchSource&) const { CheckTeacher(teacher_, model); }

LossTerms SoftenedLoss::Of(const LocalStep& step) const {
  const std::optional<at::Tensor> answers = FrozenLogits(teacher_, step.batch.images);
  const at::Tensor logits = step.forward();
  const at::Tensor cross_entropy = CrossEntropy(logits, step.batch.labels);
  if (!answers) return Only(cross_entropy);
  return SoftenedTerms(cross_entropy, logits, *answers, temperature_);
}

HeldLoss::HeldLoss(HeldWeights held, double share, double importance)
    : held_(std::move(held)), share_(share), importance_(importance) {
  Require(share >= 0.0 && share < 1.0, "lambda must be at least 0 and below 1");
  Require(importance >= 0.0 && std::isfinite(importance), "importance must not be negative");
}

void HeldLoss::Check(const Classifier& model, const BatchSource&) const { held_.RequireFits(model); }

LossTerms HeldLoss::Of(const LocalStep& step) const {
  const at::Tensor cross_entropy = CrossEntropy(step.forward(), step.batch.labels);
  if (held_.empty()) return Only(cross_entropy);
  return HeldTerms(cross_entropy, held_.Penalty(step.model), share_, importance_);
}

}  // namespace hemafed::learning
