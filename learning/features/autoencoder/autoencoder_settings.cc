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
  Require(settings.decode_cells >= 1 && settings.decode_cells <= kMaxAutoencoderBatch,
          "decode_cells must be 1 to 65536");
  Require(settings.learning_rate > 0.0 && std::isfinite(settings.learning_rate), "learning_rate must be above 0");
  Require(settings.beta >= 0.0 && std::isfinite(settings.beta), "beta must not be negative");
  Require(settings.method <= DomainMethod::kAdversarial, "method must be none, alignment, normal or adversarial");
  CheckSettings(settings.adversary);
  Require(settings.threads >= 1 && settings.threads <= kMaxThreads, "threads must be 1 to 256");
  Require(settings.picture_loss.kind <= PictureLossKind::kSquaredError, "picture_loss must be ssim or mse");
  CheckSsim(settings.picture_loss.ssim);
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
          {"picture_loss", PictureLossName(settings.picture_loss.kind)},
          {"seed", settings.seed},
          {"source", settings.source},
          {"ssim.c1", settings.picture_loss.ssim.c1},
          {"ssim.c2", settings.picture_loss.ssim.c2},
          {"ssim.sigma", settings.picture_loss.ssim.sigma},
          {"ssim.window", settings.picture_loss.ssim.window},
          {"threads", settings.threads}};
}

}  // namespace hemafed::learning
