// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/held_weights.h"

#include <ATen/ATen.h>

#include <string_view>

#include "common/error.h"

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

// The trailing sizes are the same, and the value reaches at least as far.
bool Reaches(const at::Tensor& value, const at::Tensor& anchor) {
  return value.dim() == anchor.dim() && value.dim() >= 1 && value.size(0) >= anchor.size(0) &&
         value.sizes().slice(1) == anchor.sizes().slice(1);
}

}  // namespace

void HeldWeights::RequireFits(const Classifier& model) const {
  std::size_t found = 0;
  for (const NamedTensor& tensor : model.tensors()) {
    const auto anchor = anchors_.find(tensor.name);
    if (anchor == anchors_.end()) continue;
    ++found;
    if (!Reaches(tensor.value, anchor->second.mean)) {
      throw Error(ErrorCode::kInvalidInput, "tensor '" + tensor.name + "' is held in another shape than the model's");
    }
  }
  if (found != anchors_.size()) throw Error(ErrorCode::kInvalidInput, "the model lacks a tensor that is held");
}

void HeldWeights::Hold(const Classifier& model, const std::vector<at::Tensor>& fisher) {
  RequireFits(model);
  for (std::size_t i = 0; i < fisher.size(); ++i) {
    if (!fisher[i].defined()) continue;
    const at::Tensor theta = model.tensors()[i].value.detach();
    const auto [place, first] = anchors_.try_emplace(model.tensors()[i].name);
    Anchor& anchor = place->second;
    if (first) {
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

void HeldWeights::Clear() {
  anchors_.clear();
  constant_ = 0.0;
}

at::Tensor HeldWeights::Penalty(const Classifier& model) const {
  at::Tensor penalty = at::full({}, constant_, at::TensorOptions().dtype(at::kDouble).device(DeviceOf(model)));
  for (const NamedTensor& tensor : model.tensors()) {
    const auto found = anchors_.find(tensor.name);
    if (found == anchors_.end()) continue;
    const at::Tensor distance = KnownPart(tensor.value, found->second.mean) - found->second.mean;
    penalty = penalty + (found->second.fisher * distance * distance).sum(at::kDouble);
  }
  return penalty;
}

TensorMap HeldWeights::State() const {
  TensorMap state;
  for (const auto& [name, anchor] : anchors_) {
    state["fisher." + name] = anchor.fisher;
    state["anchor." + name] = anchor.mean;
  }
  if (!anchors_.empty()) state["constant"] = at::full({1}, constant_, at::kDouble);
  return state;
}

void HeldWeights::SetState(const TensorMap& state, const Classifier& like) {
  Clear();
  if (state.empty()) return;
  const auto take = [&](const std::string& name) {
    const auto found = state.find(name);
    if (found == state.end()) {
      throw Error(ErrorCode::kInvalidInput, "the checkpoint lacks '" + name + "' of strategy ewc");
    }
    return found->second;
  };
  const auto on_device = [&](const at::Tensor& value) {
    return value.to(DeviceOf(like), value.scalar_type(), /*non_blocking=*/false, /*copy=*/true);
  };
  constexpr std::string_view kPrefix = "fisher.";
  for (const auto& [key, fisher] : state) {
    if (!key.starts_with(kPrefix)) continue;
    const std::string name = key.substr(kPrefix.size());
    anchors_[name] = {on_device(fisher), on_device(take("anchor." + name))};
    if (fisher.sizes() != anchors_[name].mean.sizes()) {
      throw Error(ErrorCode::kInvalidInput, "the checkpoint has '" + name + "' of strategy ewc in two shapes");
    }
  }
  constant_ = take("constant").item<double>();
}

LossTerms HeldTerms(const at::Tensor& cross_entropy, const at::Tensor& penalty, double share, double importance) {
  const at::Tensor total = (1.0 - share) * cross_entropy.to(at::kDouble) + share * importance * penalty;
  return {total, cross_entropy.detach(), penalty.detach()};
}

}  // namespace hemafed::learning
