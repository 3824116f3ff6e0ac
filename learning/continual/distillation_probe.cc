// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/distillation_probe.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <string>

#include "common/error.h"
#include "common/random.h"
#include "learning/continual/training_step.h"
#include "learning/continual/uacl_loss.h"

namespace hemafed::learning {

namespace {

[[noreturn]] void Fail(const std::string& message) {
  throw Error(ErrorCode::kInvalidInput, "distillation probe: " + message);
}

// Batches of the pictures, in order.
template <typename Use>
void ForEachBatch(const Classifier& model, BatchSource& source, const std::vector<std::uint32_t>& pictures,
                  std::uint32_t batch, const Use& use) {
  if (pictures.empty() || batch < 1) Fail("there is no picture to measure on");
  for (std::size_t first = 0; first < pictures.size(); first += batch) {
    const std::size_t count = std::min<std::size_t>(batch, pictures.size() - first);
    use(source.Get(std::span(pictures).subspan(first, count), std::nullopt).images.to(DeviceOf(model)), first);
  }
}

// r_nj of the pictures from place `first` on: +-1 by the bits of the generator's words.
at::Tensor Signs(std::uint64_t seed, std::size_t first, const at::Tensor& logits) {
  at::Tensor signs = at::empty(logits.sizes(), at::kFloat);
  float* next = signs.mutable_data_ptr<float>();
  for (std::int64_t n = 0; n < logits.size(0); ++n) {
    RandomStream random(seed, first + static_cast<std::uint64_t>(n));
    for (std::int64_t j = 0; j < logits.size(1); ++j) *next++ = (random.NextWord() & 1) != 0 ? 1.0f : -1.0f;
  }
  return signs.to(logits.options());
}

void RequireFinite(double value, const char* what) {
  if (!std::isfinite(value)) Fail(std::string(what) + " is not a finite number; the model is broken");
}

}  // namespace

std::vector<std::uint32_t> ProbedPictures(const BatchSource& source, const ProbeSettings& settings) {
  RandomStream random(DeriveSeed(settings.seed, "pictures"));
  std::vector<std::uint32_t> pictures = Permutation(static_cast<std::uint32_t>(source.Size()), random);
  pictures.resize(std::min<std::size_t>(pictures.size(), settings.pictures));
  std::sort(pictures.begin(), pictures.end());
  return pictures;
}

DistillationState MeasureDistillation(const Classifier& model, const Classifier& teacher, BatchSource& source,
                                      const std::vector<std::uint32_t>& pictures, std::uint32_t batch) {
  const std::int64_t old_classes = teacher.classes();
  if (old_classes < 1 || old_classes > model.classes()) Fail("the teacher knows a class that the model does not");
  const at::NoGradGuard no_gradients;
  DistillationState state;
  at::Tensor disagreement = at::zeros({old_classes}, at::kDouble);
  ForEachBatch(model, source, pictures, batch, [&](const at::Tensor& images, std::size_t) {
    const at::Tensor logits = model.Forward(images).to(at::kDouble);
    const at::Tensor targets = teacher.Forward(images).to(at::kDouble);
    state.loss += Distillation(logits, targets).item<double>() * static_cast<double>(images.size(0));
    disagreement += (logits.narrow(1, 0, old_classes).sigmoid() - targets.sigmoid()).abs().sum(0).to(at::kCPU);
  });
  const auto all = static_cast<double>(pictures.size());
  state.loss /= all;
  RequireFinite(state.loss, "the distillation loss");
  for (std::int64_t j = 0; j < old_classes; ++j) {
    state.disagreement.push_back(disagreement[j].item<double>() / all);
    RequireFinite(state.disagreement.back(), "a disagreement");
  }
  return state;
}

std::vector<double> DistillationSensitivity(Classifier& model, std::int64_t old_classes, BatchSource& source,
                                            const std::vector<std::uint32_t>& pictures, std::uint32_t batch,
                                            std::uint64_t seed) {
  if (old_classes < 1 || old_classes > model.classes()) Fail("there are no old classes, or more than the model has");
  if (UsesBatchStatistics(model.normalisation())) {
    Fail("the model's normalisation depends on the batch, so a picture has no gradient of its own");
  }
  const TrainingScope scope(model, /*freeze_affine=*/false);
  const std::vector<NamedTensor>& tensors = model.tensors();
  std::vector<double> sensitivity(tensors.size(), 0.0);
  ForEachBatch(model, source, pictures, batch, [&](const at::Tensor& images, std::size_t first) {
    const at::Tensor logits = model.Forward(images).narrow(1, 0, old_classes);
    const at::Tensor p = logits.detach().sigmoid();
    (logits * (p * (1 - p)).sqrt() * Signs(seed, first, logits)).sum().backward();
    const at::NoGradGuard no_gradients;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      at::Tensor value = tensors[i].value;
      if (!value.requires_grad()) continue;
      if (value.grad().defined()) sensitivity[i] += value.grad().to(at::kDouble).square().mean().item<double>();
      value.mutable_grad().reset();
    }
  });
  for (double& value : sensitivity) {
    value /= static_cast<double>(pictures.size());
    RequireFinite(value, "a sensitivity");
  }
  return sensitivity;
}

}  // namespace hemafed::learning
