// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/adam.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <string>
#include <utility>

#include "common/error.h"

namespace hemafed::learning {

Adam::Adam(std::vector<at::Tensor> trained, const AdamSettings& settings)
    : trained_(std::move(trained)), settings_(settings) {
  const auto require = [](bool holds, const char* rule) {
    if (!holds) throw Error(ErrorCode::kInvalidInput, std::string("training settings: ") + rule);
  };
  require(settings.beta1 >= 0.0 && settings.beta1 < 1.0, "beta1 must be at least 0 and below 1");
  require(settings.beta2 >= 0.0 && settings.beta2 < 1.0, "beta2 must be at least 0 and below 1");
  require(settings.epsilon > 0.0 && std::isfinite(settings.epsilon), "epsilon must be above 0");
  require(settings.weight_decay >= 0.0 && std::isfinite(settings.weight_decay), "weight_decay must not be negative");
  require(settings.clip_norm >= 0.0 && std::isfinite(settings.clip_norm), "clip_norm must not be negative");
  for (const at::Tensor& theta : trained_) {
    first_.push_back(at::zeros_like(theta));
    second_.push_back(at::zeros_like(theta));
  }
}

double Adam::Step(double learning_rate) {
  const at::NoGradGuard no_gradients;
  const double norm = ClipGradients(trained_, settings_.clip_norm);
  if (!std::isfinite(norm)) {
    ClearGradients(trained_);
    return norm;
  }
  ++steps_;
  const auto t = static_cast<double>(steps_);
  const double step_size = learning_rate / (1.0 - std::pow(settings_.beta1, t));
  const double root = std::sqrt(1.0 - std::pow(settings_.beta2, t));
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    at::Tensor& theta = trained_[i];
    at::Tensor g = theta.grad().defined() ? theta.grad() : at::zeros_like(theta);
    if (settings_.weight_decay > 0.0) {
      if (settings_.decoupled) {
        theta.mul_(1.0 - learning_rate * settings_.weight_decay);
      } else {
        g.add_(theta, settings_.weight_decay);
      }
    }
    first_[i].mul_(settings_.beta1).add_(g, 1.0 - settings_.beta1);
    second_[i].mul_(settings_.beta2).addcmul_(g, g, 1.0 - settings_.beta2);
    theta.addcdiv_(first_[i], second_[i].sqrt().div_(root).add_(settings_.epsilon), -step_size);
  }
  ClearGradients(trained_);
  return norm;
}

TensorMap Adam::State() const {
  TensorMap state;
  if (steps_ == 0) return state;
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    state[StateName("m", i)] = first_[i];
    state[StateName("v", i)] = second_[i];
  }
  state["steps"] = at::full({1}, steps_, at::kLong);
  return state;
}

void Adam::SetState(const TensorMap& state) {
  steps_ = 0;
  for (at::Tensor& m : first_) m.zero_();
  for (at::Tensor& v : second_) v.zero_();
  if (state.empty()) return;
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    first_[i].copy_(RequireState(state, StateName("m", i), trained_[i]));
    second_[i].copy_(RequireState(state, StateName("v", i), trained_[i]));
  }
  const auto steps = RequireState(state, "steps", at::zeros({1}, at::kLong)).item<std::int64_t>();
  if (steps < 1) throw Error(ErrorCode::kInvalidInput, "the state of the optimiser counts no step");
  steps_ = steps;
}

}  // namespace hemafed::learning
