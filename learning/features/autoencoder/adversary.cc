// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/adversary.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <string>
#include <utility>

#include "common/error.h"
#include "learning/continual/optimiser.h"
#include "learning/features/autoencoder/uniform_weights.h"

namespace hemafed::learning {

namespace {

constexpr std::int64_t kMaxDomains = 65'536;  // as many as a cell of a feature cache can name

[[noreturn]] void Fail(const std::string& problem) { throw Error(ErrorCode::kInvalidInput, "adversary: " + problem); }

std::string NameOf(std::size_t place) { return std::to_string(place / 2) + (place % 2 == 0 ? ".bias" : ".weight"); }

at::Tensor LabelTensor(std::span<const std::uint32_t> labels, std::int64_t domains, const at::Tensor& like) {
  if (static_cast<std::int64_t>(labels.size()) != like.size(0)) Fail("there is not one domain for each latent");
  std::vector<std::int64_t> values;
  for (const std::uint32_t label : labels) {
    if (label >= domains) {
      Fail("domain " + std::to_string(label) + " is not one of " + std::to_string(domains));
    }
    values.push_back(label);
  }
  return at::tensor(values, at::kLong).to(like.device());
}

}  // namespace

std::string_view AdversaryGoalName(AdversaryGoal goal) {
  return goal == AdversaryGoal::kUniform ? "uniform" : "reversed";
}

void CheckSettings(const AdversarySettings& settings) {
  for (const std::int64_t width : settings.widths) {
    if (width < 1 || width > kMaxAdversaryWidth) {
      Fail("a layer of " + std::to_string(width) + " values is not one of 1 to " + std::to_string(kMaxAdversaryWidth));
    }
  }
  if (settings.goal > AdversaryGoal::kReversed) Fail("the goal must be uniform or reversed");
  if (!(settings.learning_rate > 0.0) || !std::isfinite(settings.learning_rate)) Fail("learning_rate must be above 0");
}

Adversary::Adversary(std::int64_t latent_size, std::int64_t domains, const AdversarySettings& settings,
                     std::uint64_t seed, at::Device device)
    : domains_(domains), goal_(settings.goal) {
  if (latent_size < 1 || domains < 2 || domains > kMaxDomains) {
    Fail("needs latents of at least one value and two domains; there are " + std::to_string(domains));
  }
  CheckSettings(settings);
  const std::array<std::int64_t, 4> widths = {latent_size, settings.widths[0], settings.widths[1], domains};
  for (std::uint32_t layer = 0; layer < 3; ++layer) {
    at::Tensor bias = at::zeros({widths[layer + 1]}, at::kFloat);
    at::Tensor weight = at::zeros({widths[layer + 1], widths[layer]}, at::kFloat);
    FillUniform(bias, widths[layer], seed, 2 * layer);
    FillUniform(weight, widths[layer], seed, 2 * layer + 1);
    tensors_.push_back(bias.to(device).requires_grad_(true));
    tensors_.push_back(weight.to(device).requires_grad_(true));
  }
}

at::Tensor Adversary::Run(const at::Tensor& latents, bool constant) const {
  at::Tensor x = latents;
  for (std::size_t layer = 0; layer < 3; ++layer) {
    const at::Tensor& bias = tensors_[2 * layer];
    const at::Tensor& weight = tensors_[2 * layer + 1];
    x = constant ? at::linear(x, weight.detach(), bias.detach()) : at::linear(x, weight, bias);
    if (layer < 2) x = at::relu(x);
  }
  return x;
}

at::Tensor Adversary::Scores(const at::Tensor& latents) const { return Run(latents, /*constant=*/true); }

at::Tensor Adversary::OwnLoss(const at::Tensor& latents, std::span<const std::uint32_t> labels) const {
  const at::Tensor scores = Run(latents.detach(), /*constant=*/false);
  return at::cross_entropy_loss(scores, LabelTensor(labels, domains_, latents));
}

at::Tensor Adversary::EncoderTerm(const at::Tensor& latents, std::span<const std::uint32_t> labels) const {
  const at::Tensor scores = Run(latents, /*constant=*/true);
  const at::Tensor targets = LabelTensor(labels, domains_, latents);
  if (goal_ == AdversaryGoal::kReversed) return -at::cross_entropy_loss(scores, targets);
  return -at::log_softmax(scores, 1).mean();
}

TensorMap Adversary::State() const {
  TensorMap state;
  for (std::size_t i = 0; i < tensors_.size(); ++i) state[NameOf(i)] = tensors_[i].detach();
  return state;
}

void Adversary::SetState(const TensorMap& state) {
  const at::NoGradGuard no_gradients;
  std::vector<at::Tensor> values;
  for (std::size_t i = 0; i < tensors_.size(); ++i) values.push_back(RequireState(state, NameOf(i), tensors_[i]));
  for (std::size_t i = 0; i < tensors_.size(); ++i) tensors_[i].copy_(values[i]);
}

}  // namespace hemafed::learning
