// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/strategies/cls_er.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "codec/head_growth.h"
#include "common/error.h"
#include "common/random.h"
#include "learning/continual/uacl_loss.h"

namespace hemafed::learning {

namespace {

// `slow` with as many head rows as `model`; the new ones are the model's.
Classifier Grown(const Classifier& slow, const Classifier& model) {
  Classifier grown = model.Clone(model.tensors().front().value.scalar_type());
  for (std::size_t i = 0; i < grown.tensors().size(); ++i) {
    at::Tensor target = grown.tensors()[i].value;
    const at::Tensor& old = slow.tensors()[i].value;
    (target.size(0) == old.size(0) ? target : target.narrow(0, 0, old.size(0))).copy_(old);
  }
  return grown;
}

}  // namespace

void MoveTowards(Classifier& slow, const Classifier& fast, double decay) {
  const at::NoGradGuard no_gradients;
  for (std::size_t i = 0; i < slow.tensors().size(); ++i) {
    at::Tensor target = slow.tensors()[i].value;
    target.mul_(decay).add_(fast.tensors()[i].value, 1.0 - decay);
  }
}

at::Tensor BetterAnswers(const at::Tensor& plastic, const at::Tensor& stable, const at::Tensor& labels) {
  const at::Tensor place = labels.unsqueeze(1);
  const at::Tensor choose = plastic.softmax(1).gather(1, place) > stable.softmax(1).gather(1, place);
  return at::where(choose, plastic, stable);
}

void ClsEr::BeforeTask(const TaskContext& context) {
  const at::NoGradGuard no_gradients;
  plastic_ = Grown(plastic_ ? *plastic_ : *context.model, *context.model);
  stable_ = Grown(stable_ ? *stable_ : *context.model, *context.model);
}

LossTerms ClsEr::Loss(const StepInput& input) {
  const std::optional<MemoryBatch> memory = input.draw_memory(1);
  if (!memory) return Only(CrossEntropy(input.forward(input.batch.images, 0), input.batch.labels));
  const at::Tensor images = at::cat({input.batch.images, memory->batch.images});
  const at::Tensor logits = input.forward(images, 0);
  const at::Tensor cross_entropy = CrossEntropy(logits, at::cat({input.batch.labels, memory->batch.labels}));
  const at::Tensor target = BetterAnswers(*FrozenLogits(&*plastic_, memory->batch.images),
                                          *FrozenLogits(&*stable_, memory->batch.images), memory->batch.labels);
  const at::Tensor own = logits.narrow(0, input.batch.images.size(0), memory->batch.images.size(0));
  const at::Tensor consistency = (own - target).square().mean();
  return {cross_entropy + settings_.cls_consistency * consistency, cross_entropy.detach(), consistency.detach()};
}

void ClsEr::AfterStep(const TaskContext& context, std::uint32_t step) {
  const PhiloxBlock words = Philox4x32(DeriveSeed(context.seed, "cls_er"), {step, 0, 0, 0});
  const double most = 1.0 - 1.0 / static_cast<double>(steps_ + 1);
  if (words[0] * 0x1p-32 < settings_.cls_plastic_rate) {
    MoveTowards(*plastic_, *context.model, std::min(most, settings_.cls_plastic_decay));
  }
  if (words[1] * 0x1p-32 < settings_.cls_stable_rate) {
    MoveTowards(*stable_, *context.model, std::min(most, settings_.cls_stable_decay));
  }
  ++steps_;
}

at::Tensor ClsEr::Scores(const Classifier& model, const at::Tensor& pictures) const {
  return Strategy::Scores(stable_ ? *stable_ : model, pictures);
}

StrategyState ClsEr::State() const {
  StrategyState state;
  if (!stable_) return state;
  PutModel(state.tensors, "plastic.", *plastic_);
  PutModel(state.tensors, "stable.", *stable_);
  state.tensors["steps"] = at::full({1}, steps_, at::kLong);
  return state;
}

void ClsEr::SetState(const StrategyState& state, const Classifier& initial) {
  plastic_.reset();
  stable_.reset();
  steps_ = 0;
  if (state.tensors.empty()) return;
  plastic_ = TakeModel(state.tensors, "plastic.", initial);
  stable_ = TakeModel(state.tensors, "stable.", initial);
  const auto steps = state.tensors.find("steps");
  if (!plastic_ || !stable_ || steps == state.tensors.end() || steps->second.numel() != 1) {
    throw Error(ErrorCode::kInvalidInput, "the checkpoint lacks a part of the state of strategy cls_er");
  }
  steps_ = steps->second.item<std::int64_t>();
}

}  // namespace hemafed::learning
