// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/optimiser.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <utility>

#include "common/error.h"
#include "learning/continual/adam.h"
#include "learning/continual/sgd.h"

namespace hemafed::learning {

namespace {

constexpr std::string_view kNames[] = {"sgd", "adam", "adamw"};

}  // namespace

std::string_view OptimiserName(OptimiserKind kind) { return kNames[static_cast<std::size_t>(kind)]; }

OptimiserKind OptimiserFromName(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (name == kNames[i]) return static_cast<OptimiserKind>(i);
  }
  throw Error(ErrorCode::kInvalidInput,
              "the optimiser '" + std::string(name) + "' is not known; there are sgd, adam and adamw");
}

std::unique_ptr<Optimiser> MakeOptimiser(std::vector<at::Tensor> trained, const OptimiserSettings& settings) {
  if (settings.kind == OptimiserKind::kSgd) {
    return std::make_unique<Sgd>(std::move(trained), SgdSettings{.momentum = settings.momentum,
                                                                 .nesterov = settings.nesterov,
                                                                 .weight_decay = settings.weight_decay,
                                                                 .clip_norm = settings.clip_norm});
  }
  return std::make_unique<Adam>(std::move(trained), AdamSettings{.beta1 = settings.beta1,
                                                                 .beta2 = settings.beta2,
                                                                 .epsilon = settings.epsilon,
                                                                 .weight_decay = settings.weight_decay,
                                                                 .decoupled = settings.kind == OptimiserKind::kAdamW,
                                                                 .clip_norm = settings.clip_norm});
}

double ClipGradients(const std::vector<at::Tensor>& trained, double clip_norm) {
  const at::NoGradGuard no_gradients;
  double squares = 0.0;
  for (const at::Tensor& theta : trained) {
    if (theta.grad().defined()) squares += theta.grad().square().sum(at::kDouble).item<double>();
  }
  const double norm = std::sqrt(squares);
  if (clip_norm > 0.0 && norm > clip_norm && std::isfinite(norm)) {
    for (const at::Tensor& theta : trained) {
      if (theta.grad().defined()) theta.grad().mul_(clip_norm / norm);
    }
  }
  return norm;
}

void ClearGradients(std::vector<at::Tensor>& trained) {
  for (at::Tensor& theta : trained) theta.mutable_grad().reset();
}

std::string StateName(std::string_view kind, std::size_t place) {
  const std::string number = std::to_string(place);
  return std::string(kind) + "." + std::string(number.size() < 4 ? 4 - number.size() : 0, '0') + number;
}

at::Tensor RequireState(const TensorMap& state, const std::string& name, const at::Tensor& like) {
  const auto found = state.find(name);
  if (found == state.end() || found->second.sizes() != like.sizes() ||
      found->second.scalar_type() != like.scalar_type()) {
    throw Error(ErrorCode::kInvalidInput, "the state of the optimiser lacks '" + name +
                                              "' or has it in another shape; it belongs to another model");
  }
  return found->second.detach().to(like.device(), like.scalar_type(), /*non_blocking=*/false, /*copy=*/true);
}

}  // namespace hemafed::learning
