// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/sgd.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <utility>

#include "common/error.h"

namespace hemafed::learning {

Sgd::Sgd(std::vector<at::Tensor> trained, const SgdSettings& settings)
    : trained_(std::move(trained)), settings_(settings) {
  const auto require = [](bool holds, const char* rule) {
    if (!holds) throw Error(ErrorCode::kInvalidInput, std::string("training settings: ") + rule);
  };
  require(settings.momentum >= 0.0 && settings.momentum < 1.0, "momentum must be at least 0 and below 1");
  require(!settings.nesterov || settings.momentum > 0.0, "nesterov needs a momentum above 0");
  require(settings.weight_decay >= 0.0 && std::isfinite(settings.weight_decay), "weight_decay must not be negative");
  require(settings.clip_norm >= 0.0 && std::isfinite(settings.clip_norm), "clip_norm must not be negative");
}

double Sgd::Step(double learning_rate) {
  const at::NoGradGuard no_gradients;
  const double norm = ClipGradients(trained_, settings_.clip_norm);
  if (!std::isfinite(norm)) {
    ClearGradients(trained_);
    return norm;
  }
  const bool first = velocity_.empty();
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    at::Tensor& theta = trained_[i];
    at::Tensor g = theta.grad().defined() ? theta.grad() : at::zeros_like(theta);
    if (settings_.weight_decay > 0.0) g.add_(theta, settings_.weight_decay);
    if (settings_.momentum == 0.0) {
      theta.sub_(g, learning_rate);
    } else {
      if (first) {
        velocity_.push_back(g.clone());
      } else {
        velocity_[i].mul_(settings_.momentum).add_(g);
      }
      if (settings_.nesterov) {
        theta.sub_(g.add_(velocity_[i], settings_.momentum), learning_rate);
      } else {
        theta.sub_(velocity_[i], learning_rate);
      }
    }
  }
  ClearGradients(trained_);
  return norm;
}

TensorMap Sgd::State() const {
  TensorMap state;
  for (std::size_t i = 0; i < velocity_.size(); ++i) state[StateName("velocity", i)] = velocity_[i];
  return state;
}

void Sgd::SetState(const TensorMap& state) {
  velocity_.clear();
  if (state.empty()) return;
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    velocity_.push_back(RequireState(state, StateName("velocity", i), trained_[i]));
  }
}

}  // namespace hemafed::learning
