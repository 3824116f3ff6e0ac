// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/strategy.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <utility>

#include "codec/head_growth.h"
#include "common/error.h"
#include "learning/continual/strategies/analytic.h"
#include "learning/continual/strategies/cls_er.h"
#include "learning/continual/strategies/derpp.h"
#include "learning/continual/strategies/er_ace.h"
#include "learning/continual/strategies/ewc.h"
#include "learning/continual/strategies/finetuning.h"
#include "learning/continual/strategies/icarl.h"
#include "learning/continual/strategies/joint.h"
#include "learning/continual/strategies/lwf.h"
#include "learning/continual/strategies/replay.h"
#include "learning/continual/strategies/uacl.h"
#include "learning/continual/strategies/weight_alignment.h"
#include "learning/models/grow_head.h"

namespace hemafed::learning {

namespace {

using Maker = std::unique_ptr<Strategy> (*)(const StrategySettings&);

template <typename T>
std::unique_ptr<Strategy> Make(const StrategySettings& settings) {
  return std::make_unique<T>(settings);
}

struct Entry {
  std::string_view name;
  Maker make;
};
constexpr Entry kStrategies[] = {
    {"finetuning", Make<Finetuning>}, {"ewc", Make<Ewc>},      {"lwf", Make<Lwf>},
    {"icarl", Make<Icarl>},           {"uacl", Make<Uacl>},    {"joint", Make<Joint>},
    {"replay", Make<Replay>},         {"derpp", Make<DerPp>},  {"er_ace", Make<ErAce>},
    {"wa", Make<WeightAlignment>},    {"cls_er", Make<ClsEr>}, {"analytic", Make<Analytic>},
};

void CheckSettings(const StrategySettings& settings) {
  const auto require = [](bool holds, const char* rule) {
    if (!holds) throw Error(ErrorCode::kInvalidInput, std::string("strategy settings: ") + rule);
  };
  const auto weight = [](double value) { return value >= 0.0 && std::isfinite(value); };
  const auto share = [](double value) { return value >= 0.0 && value <= 1.0; };
  require(weight(settings.gamma), "gamma must not be negative");
  require(settings.ewc_lambda >= 0.0 && settings.ewc_lambda < 1.0, "ewc_lambda must be at least 0 and below 1");
  require(weight(settings.ewc_importance), "ewc_importance must not be negative");
  require(settings.temperature > 0.0 && std::isfinite(settings.temperature), "temperature must be above 0");
  require(weight(settings.lwf_weight), "lwf_weight must not be negative");
  require(weight(settings.der_alpha) && weight(settings.der_beta), "der_alpha and der_beta must not be negative");
  require(weight(settings.cls_consistency), "cls_consistency must not be negative");
  require(share(settings.cls_plastic_rate) && share(settings.cls_stable_rate), "rates of cls_er must be 0 to 1");
  require(share(settings.cls_plastic_decay) && share(settings.cls_stable_decay), "decays of cls_er must be 0 to 1");
  require(settings.analytic_features >= 1 && settings.analytic_features <= kMaxAnalyticFeatures,
          "analytic_features must be 1 to 2048");
  require(settings.analytic_ridge > 0.0 && std::isfinite(settings.analytic_ridge), "analytic_ridge must be above 0");
}

}  // namespace

at::Tensor Strategy::Scores(const Classifier& model, const at::Tensor& pictures) const {
  return model.Forward(pictures.to(DeviceOf(model))).to(at::kDouble).softmax(1);
}

void Strategy::SetState(const StrategyState& state, const Classifier&) {
  if (state.tensors.empty() && state.text.empty()) return;
  throw Error(ErrorCode::kInvalidInput, "the checkpoint holds the state of another strategy");
}

const std::vector<std::string_view>& StrategyNames() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> list;
    for (const Entry& entry : kStrategies) list.push_back(entry.name);
    return list;
  }();
  return names;
}

std::unique_ptr<Strategy> MakeStrategy(std::string_view name, const StrategySettings& settings) {
  CheckSettings(settings);
  std::string known;
  for (const Entry& entry : kStrategies) {
    if (entry.name == name) return entry.make(settings);
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw Error(ErrorCode::kInvalidInput, "the strategy '" + std::string(name) + "' is not known; there are " + known);
}

void PutModel(TensorMap& tensors, const std::string& prefix, const Classifier& model) {
  for (const NamedTensor& tensor : model.tensors()) tensors[prefix + tensor.name] = tensor.value.detach();
}

std::optional<Classifier> TakeModel(const TensorMap& tensors, const std::string& prefix, const Classifier& initial) {
  const auto head = tensors.find(prefix + std::string(kHeadWeight));
  if (head == tensors.end()) return std::nullopt;
  if (head->second.dim() != 2) {
    throw Error(ErrorCode::kInvalidInput, "tensor '" + head->first + "' of the checkpoint is not a matrix");
  }
  Classifier model = GrowHead(initial, head->second.size(0), /*seed=*/0, /*task=*/0);
  const at::NoGradGuard no_gradients;
  for (const NamedTensor& tensor : model.tensors()) {
    const auto found = tensors.find(prefix + tensor.name);
    if (found == tensors.end() || found->second.sizes() != tensor.value.sizes()) {
      throw Error(ErrorCode::kInvalidInput, "the checkpoint lacks tensor '" + prefix + tensor.name +
                                                "' or has it in another shape than the model");
    }
    at::Tensor target = tensor.value;
    target.copy_(found->second);
  }
  return model;
}

}  // namespace hemafed::learning
