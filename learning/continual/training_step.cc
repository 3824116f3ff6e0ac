// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/training_step.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <numeric>
#include <utility>

#include "common/error.h"
#include "learning/models/dropout.h"

namespace hemafed::learning {

namespace {

void RequireFinite(double value, const char* what, const std::string& where) {
  if (std::isfinite(value)) return;
  throw Error(ErrorCode::kInvalidInput, std::string("the ") + what + " is not a finite number in " + where +
                                            "; lower the learning rate or clip_norm");
}

}  // namespace

StepReport TakeStep(Optimiser& optimiser, double learning_rate, std::uint32_t parts,
                    const std::function<LossTerms(std::uint32_t part)>& loss_of, const std::string& where) {
  StepReport report;
  for (std::uint32_t part = 0; part < parts; ++part) {
    const LossTerms loss = loss_of(part);
    const auto total = loss.total.item<double>();
    RequireFinite(total, "loss", where);
    (parts == 1 ? loss.total : loss.total / static_cast<double>(parts)).backward();
    report.loss += total / parts;
    report.cross_entropy += loss.cross_entropy.item<double>() / parts;
    report.extra += loss.extra.item<double>() / parts;
  }
  report.gradient_norm = optimiser.Step(learning_rate);
  RequireFinite(report.gradient_norm, "gradient", where);
  return report;
}

at::Tensor LogitsWithDropout(const Classifier& model, const at::Tensor& pictures, double dropout, std::uint64_t seed,
                             std::uint32_t step) {
  at::Tensor activations = model.TrunkBefore(pictures);
  if (dropout > 0.0) {
    std::vector<std::uint64_t> places(static_cast<std::size_t>(pictures.size(0)));
    std::iota(places.begin(), places.end(), std::uint64_t{0});
    const at::Tensor mask =
        DropoutMask(seed, step, places, activations.size(1), activations.size(2), activations.size(3), dropout);
    activations = activations * mask.to(activations.device(), activations.scalar_type());
  }
  const at::Tensor logits = model.Head(model.TrunkAfter(activations));
  return logits.scalar_type() == at::kDouble ? logits : logits.to(at::kFloat);
}

std::optional<at::Tensor> FrozenLogits(const Classifier* model, const at::Tensor& images) {
  if (model == nullptr) return std::nullopt;
  const at::NoGradGuard no_gradients;
  const at::Tensor logits = model->Forward(images);
  return logits.scalar_type() == at::kDouble ? logits : logits.to(at::kFloat);
}

LossTerms Only(const at::Tensor& cross_entropy) {
  return {cross_entropy, cross_entropy.detach(), at::zeros({}, cross_entropy.options())};
}

at::Device DeviceOf(const Classifier& model) { return model.tensors().front().value.device(); }

TrainingScope::TrainingScope(Classifier& model, bool freeze_affine) : model_(model) {
  for (NamedTensor& tensor : model.BeginTraining(freeze_affine)) trained_.push_back(std::move(tensor.value));
}

TrainingScope::~TrainingScope() { model_.EndTraining(); }

}  // namespace hemafed::learning
