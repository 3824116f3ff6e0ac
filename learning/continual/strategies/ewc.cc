// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/strategies/ewc.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <numeric>
#include <string_view>
#include <utility>

#include "codec/update.h"
#include "common/error.h"
#include "common/random.h"
#include "learning/continual/uacl_loss.h"

namespace hemafed::learning {

namespace {

// A parameter, or the rows of it that the anchor knows: the head may have grown.
at::Tensor KnownPart(const at::Tensor& value, const at::Tensor& anchor) {
  return value.size(0) == anchor.size(0) ? value : value.narrow(0, 0, anchor.size(0));
}

// The other way round: zeros where the anchor does not reach.
at::Tensor Widened(const at::Tensor& anchor, const at::Tensor& like) {
  if (anchor.sizes() == like.sizes()) return anchor;
  at::Tensor wide = at::zeros_like(like);
  wide.narrow(0, 0, anchor.size(0)).copy_(anchor);
  return wide;
}

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

at::Tensor Ewc::Penalty(const Classifier& model) const {
  at::Tensor penalty = at::full({}, constant_, at::TensorOptions().dtype(at::kDouble).device(DeviceOf(model)));
  for (const NamedTensor& tensor : model.tensors()) {
    const auto found = anchors_.find(tensor.name);
    if (found == anchors_.end()) continue;
    const at::Tensor distance = KnownPart(tensor.value, found->second.mean) - found->second.mean;
    penalty = penalty + (found->second.fisher * distance * distance).sum(at::kDouble);
  }
  return penalty;
}

LossTerms Ewc::Loss(const StepInput& input) {
  const at::Tensor cross_entropy = CrossEntropy(input.forward(input.batch.images, 0), input.batch.labels);
  if (anchors_.empty()) return Only(cross_entropy);
  const at::Tensor penalty = Penalty(*input.context.model);
  const at::Tensor total = (1.0 - settings_.ewc_lambda) * cross_entropy.to(at::kDouble) +
                           settings_.ewc_lambda * settings_.ewc_importance * penalty;
  return {total, cross_entropy.detach(), penalty.detach()};
}

void Ewc::AfterTask(const TaskContext& context) {
  const std::vector<at::Tensor> fisher = FisherDiagonal(*context.model, *context.pictures, settings_.ewc_pictures,
                                                        DeriveSeed(context.seed, "fisher"), context.on_pictures);
  const bool adds = settings_.ewc_anchors == EwcAnchors::kAll && !anchors_.empty();
  if (!adds) constant_ = 0.0;
  for (std::size_t i = 0; i < fisher.size(); ++i) {
    if (!fisher[i].defined()) continue;
    const at::Tensor theta = context.model->tensors()[i].value.detach();
    Anchor& anchor = anchors_[context.model->tensors()[i].name];
    if (!adds) {
      anchor = {fisher[i], theta.clone()};
      continue;
    }
    const at::Tensor old = Widened(anchor.fisher, theta);
    const at::Tensor mean = Widened(anchor.mean, theta);
    const at::Tensor sum = old + fisher[i];
    const at::Tensor share = at::where(sum > 0, fisher[i] / sum, at::ones_like(sum));  // 0 / 0: take the new weights.
    constant_ += (old * share * (mean - theta).square()).sum(at::kDouble).item<double>();
    anchor = {sum, mean + share * (theta - mean)};
  }
}

StrategyState Ewc::State() const {
  StrategyState state;
  for (const auto& [name, anchor] : anchors_) {
    state.tensors["fisher." + name] = anchor.fisher;
    state.tensors["anchor." + name] = anchor.mean;
  }
  if (!anchors_.empty()) state.tensors["constant"] = at::full({1}, constant_, at::kDouble);
  return state;
}

void Ewc::SetState(const StrategyState& state, const Classifier& initial) {
  anchors_.clear();
  constant_ = 0.0;
  if (state.tensors.empty()) return;
  const auto take = [&](const std::string& name) {
    const auto found = state.tensors.find(name);
    if (found == state.tensors.end()) {
      throw Error(ErrorCode::kInvalidInput, "the checkpoint lacks '" + name + "' of strategy ewc");
    }
    return found->second;
  };
  const auto on_device = [&](const at::Tensor& value) {
    return value.to(DeviceOf(initial), value.scalar_type(), /*non_blocking=*/false, /*copy=*/true);
  };
  constexpr std::string_view kPrefix = "fisher.";
  for (const auto& [key, fisher] : state.tensors) {
    if (!key.starts_with(kPrefix)) continue;
    const std::string name = key.substr(kPrefix.size());
    anchors_[name] = {on_device(fisher), on_device(take("anchor." + name))};
    if (fisher.sizes() != anchors_[name].mean.sizes()) {
      throw Error(ErrorCode::kInvalidInput, "the checkpoint has '" + name + "' of strategy ewc in two shapes");
    }
  }
  constant_ = take("constant").item<double>();
}

}  // namespace hemafed::learning
