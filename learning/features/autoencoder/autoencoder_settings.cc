// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/autoencoder_settings.h"

#include <cmath>
#include <string>

#include "common/error.h"
#include "learning/models/torch_setup.h"

namespace hemafed::learning {

namespace {

AutoencoderSettings With(DomainMethod method) {
  AutoencoderSettings settings;
  settings.method = method;
  return settings;
}

void Require(bool holds, const std::string& rule) {
  if (!holds) throw Error(ErrorCode::kInvalidInput, "autoencoder settings: " + rule);
}

}  // namespace

std::string_view DomainMethodName(DomainMethod method) {
  constexpr std::string_view kNames[] = {"none", "alignment", "normal", "adversarial"};
  return kNames[static_cast<std::size_t>(method)];
}

AutoencoderSettings AutoencoderSettings::WithoutAlignment() { return With(DomainMethod::kNone); }
AutoencoderSettings AutoencoderSettings::NormalVariant() { return With(DomainMethod::kNormal); }
AutoencoderSettings AutoencoderSettings::AdversarialVariant() { return With(DomainMethod::kAdversarial); }

void CheckSettings(const AutoencoderSettings& settings) {
  Require(settings.epochs >= 1 && settings.epochs <= kMaxAutoencoderEpochs, "epochs must be 1 to 100000");
  Require(settings.batch >= 1 && settings.batch <= kMaxAutoencoderBatch, "batch must be 1 to 65536");
  Require(settings.decode_cells >= 1, "decode_cells must be at least 1");
  Require(settings.learning_rate > 0.0 && std::isfinite(settings.learning_rate), "learning_rate must be above 0");
  Require(settings.beta >= 0.0 && std::isfinite(settings.beta), "beta must not be negative");
  Require(settings.adversary.learning_rate > 0.0 && std::isfinite(settings.adversary.learning_rate),
          "the adversary's learning_rate must be above 0");
  Require(settings.threads >= 1 && settings.threads <= kMaxThreads, "threads must be 1 to 256");
  (void)SsimTaps(settings.ssim);
}

nlohmann::json ToJson(const AutoencoderSettings& settings) {
  return {{"adversary.goal", AdversaryGoalName(settings.adversary.goal)},
          {"adversary.learning_rate", settings.adversary.learning_rate},
          {"adversary.widths", settings.adversary.widths},
          {"batch", settings.batch},
          {"beta", settings.beta},
          {"decode_cells", settings.decode_cells},
          {"epochs", settings.epochs},
          {"learning_rate", settings.learning_rate},
          {"method", DomainMethodName(settings.method)},
          {"seed", settings.seed},
          {"source", settings.source},
          {"ssim.c1", settings.ssim.c1},
          {"ssim.c2", settings.ssim.c2},
          {"ssim.sigma", settings.ssim.sigma},
          {"ssim.window", settings.ssim.window},
          {"threads", settings.threads}};
}

}  // namespace hemafed::learning
