// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/fisher_information.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <numeric>

#include "codec/update.h"
#include "common/random.h"
#include "learning/continual/training_step.h"

namespace hemafed::learning {

namespace {

std::vector<std::uint32_t> ChoosePictures(std::size_t size, std::uint32_t wanted, std::uint64_t seed) {
  std::vector<std::uint32_t> order(size);
  std::iota(order.begin(), order.end(), 0u);
  if (wanted == 0 || wanted >= size) return order;
  RandomStream random(seed);
  order = Permutation(static_cast<std::uint32_t>(size), random);
  order.resize(wanted);
  return order;
}

}  // namespace

std::vector<at::Tensor> FisherDiagonal(const Classifier& model, BatchSource& source, std::uint32_t pictures,
                                       std::uint64_t seed,
                                       const std::function<void(std::uint64_t, std::uint64_t)>& on_pictures) {
  // A copy that wants gradients while its normalisation stays as in evaluation.
  const Classifier copy = model.Clone(model.tensors().front().value.scalar_type());
  std::vector<at::Tensor> sums(copy.tensors().size());
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (IsNormalisationBuffer(copy.tensors()[i].name)) continue;
    copy.tensors()[i].value.requires_grad_(true);
    sums[i] = at::zeros_like(copy.tensors()[i].value, at::TensorOptions().requires_grad(false));
  }
  const std::vector<std::uint32_t> chosen = ChoosePictures(source.Size(), pictures, seed);
  for (std::size_t n = 0; n < chosen.size(); ++n) {
    const at::Tensor images = source.Get(std::span(&chosen[n], 1), std::nullopt).images.to(DeviceOf(copy));
    const at::Tensor logits = copy.Forward(images);
    at::cross_entropy_loss(logits, logits.detach().argmax(1)).backward();
    const at::NoGradGuard no_gradients;
    for (std::size_t i = 0; i < sums.size(); ++i) {
      at::Tensor theta = copy.tensors()[i].value;
      if (!sums[i].defined() || !theta.grad().defined()) continue;
      sums[i].addcmul_(theta.grad(), theta.grad());
      theta.mutable_grad().reset();
    }
    if (on_pictures) on_pictures(n + 1, chosen.size());
  }
  for (at::Tensor& sum : sums) {
    if (sum.defined() && !chosen.empty()) sum.div_(static_cast<double>(chosen.size()));
  }
  return sums;
}

}  // namespace hemafed::learning
