// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/learner_settings.h"

#include <cmath>
#include <iterator>

#include "common/error.h"
#include "learning/continual/local_training.h"
#include "learning/continual/prefetch.h"
#include "learning/continual/uncertainty.h"
#include "learning/models/dropout.h"
#include "learning/models/torch_setup.h"

namespace hemafed::learning {

using nlohmann::json;

namespace {

constexpr std::string_view kMixNames[] = {"both", "herding", "uncertainty", "random"};
constexpr std::string_view kPredictionNames[] = {"softmax", "nearest_mean", "nearest_domain_mean"};

template <std::size_t N>
std::size_t IndexOf(const std::string_view (&names)[N], std::string_view name, const char* what) {
  std::string known;
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == name) return i;
    known += (i == 0 ? "" : ", ") + std::string(names[i]);
  }
  throw Error(ErrorCode::kInvalidInput,
              std::string(what) + " '" + std::string(name) + "' is not known; there are " + known);
}

void Require(bool holds, const char* rule) {
  if (!holds) throw Error(ErrorCode::kInvalidInput, std::string("learner settings: ") + rule);
}

const char* LimitName(ExemplarLimit::Kind kind) {
  switch (kind) {
    case ExemplarLimit::Kind::kPerList: return "per_list";
    case ExemplarLimit::Kind::kBudget: return "budget";
    case ExemplarLimit::Kind::kBytes: return "bytes";
  }
  return "";
}

json MethodJson(const StrategySettings& method) {
  return {{"ace_classes", method.ace_classes == AceClasses::kBatch ? "batch" : "task"},
          {"analytic_features", method.analytic_features},
          {"analytic_ridge", method.analytic_ridge},
          {"cls_consistency", method.cls_consistency},
          {"cls_plastic_decay", method.cls_plastic_decay},
          {"cls_plastic_rate", method.cls_plastic_rate},
          {"cls_stable_decay", method.cls_stable_decay},
          {"cls_stable_rate", method.cls_stable_rate},
          {"der_alpha", method.der_alpha},
          {"der_beta", method.der_beta},
          {"der_sum_over_classes", method.der_sum_over_classes},
          {"ewc_anchors", method.ewc_anchors == EwcAnchors::kAll ? "all" : "last"},
          {"ewc_importance", method.ewc_importance},
          {"ewc_lambda", method.ewc_lambda},
          {"ewc_pictures", method.ewc_pictures},
          {"gamma", method.gamma},
          {"lwf_weight", method.lwf_weight},
          {"temperature", method.temperature},
          {"wa_clip", method.wa_clip}};
}

}  // namespace

std::string_view MixName(ExemplarMix mix) { return kMixNames[static_cast<std::size_t>(mix)]; }
ExemplarMix MixFromName(std::string_view name) {
  return static_cast<ExemplarMix>(IndexOf(kMixNames, name, "the choice of exemplars"));
}
std::string_view PredictionName(Prediction prediction) {
  return kPredictionNames[static_cast<std::size_t>(prediction)];
}
Prediction PredictionFromName(std::string_view name) {
  return static_cast<Prediction>(IndexOf(kPredictionNames, name, "the prediction"));
}

void CheckSettings(const LearnerSettings& settings) {
  Require(settings.epochs >= 1 && settings.epochs <= kMaxEpochs, "epochs must be 1 to 100000");
  Require(settings.batch >= 1 && settings.batch <= kMaxBatch, "batch must be 1 to 4096");
  Require(settings.memory_batch <= kMaxBatch, "memory_batch must be at most 4096");
  Require(settings.accumulation >= 1 && settings.accumulation <= kMaxAccumulation, "accumulation must be 1 to 1024");
  Require(settings.optimiser.learning_rate > 0.0 && std::isfinite(settings.optimiser.learning_rate),
          "learning_rate must be above 0");
  Require(settings.memory_share >= 0.0 && settings.memory_share < 1.0, "memory_share must be at least 0 and below 1");
  Require(settings.memory_share == 0.0 || settings.batch >= 2, "memory_share needs a batch of at least 2");
  Require(settings.passes <= kMaxUncertaintyPasses, "passes must be at most 1000");
  Require(settings.threads >= 1 && settings.threads <= kMaxThreads, "threads must be 1 to 256");
  Require(settings.loaders <= kMaxLoaderThreads, "loaders must be at most 64");
  CheckSchedule(settings.schedule);
  RequireDropoutProbability(settings.dropout);
  RequireDropoutProbability(settings.uncertainty_dropout);
  (void)RoomPerList(settings.exemplars, 1);
  // The rest is checked where it is used: making the parts now refuses bad ones before anything is trained.
  const StrategyNeeds needs = MakeStrategy(settings.strategy, settings.method)->needs();
  (void)MakeOptimiser({}, settings.optimiser);
  const ExemplarMix mix = settings.mix.value_or(needs.mix);
  if (needs.KeepsExemplars() && (mix == ExemplarMix::kBoth || mix == ExemplarMix::kUncertainty)) {
    Require(settings.passes >= 1, "choosing exemplars by uncertainty needs at least 1 pass");
  }
  if (settings.prediction.value_or(needs.prediction) != Prediction::kSoftmax) {
    Require(needs.KeepsExemplars(), "prediction by nearest mean needs a strategy that keeps exemplars");
  }
}

json ToJson(const LearnerSettings& settings) {
  json result = {{"accumulation", settings.accumulation},
                 {"augment", settings.augment},
                 {"batch", settings.batch},
                 {"dropout", settings.dropout},
                 {"epochs", settings.epochs},
                 {"exemplars",
                  {{"item_bytes", settings.exemplars.item_bytes},
                   {"kind", LimitName(settings.exemplars.kind)},
                   {"value", settings.exemplars.value}}},
                 {"freeze_affine", settings.freeze_affine},
                 {"herding", settings.herding == HerdingVariant::kNormalised ? "normalised" : "raw"},
                 {"memory_batch", settings.memory_batch},
                 {"memory_share", settings.memory_share},
                 {"method", MethodJson(settings.method)},
                 {"optimiser",
                  {{"beta1", settings.optimiser.beta1},
                   {"beta2", settings.optimiser.beta2},
                   {"clip_norm", settings.optimiser.clip_norm},
                   {"epsilon", settings.optimiser.epsilon},
                   {"kind", OptimiserName(settings.optimiser.kind)},
                   {"learning_rate", settings.optimiser.learning_rate},
                   {"momentum", settings.optimiser.momentum},
                   {"nesterov", settings.optimiser.nesterov},
                   {"weight_decay", settings.optimiser.weight_decay}}},
                 {"passes", settings.passes},
                 {"sampling", settings.sampling == Sampling::kUniform ? "uniform" : "balanced"},
                 {"schedule",
                  {{"every_epochs", settings.schedule.every_epochs},
                   {"factor", settings.schedule.factor},
                   {"kind", ScheduleName(settings.schedule.kind)}}},
                 {"seed", settings.seed},
                 {"strategy", settings.strategy},
                 {"threads", settings.threads},
                 {"uncertainty_dropout", settings.uncertainty_dropout}};
  result["mix"] = settings.mix ? json(MixName(*settings.mix)) : json();
  result["prediction"] = settings.prediction ? json(PredictionName(*settings.prediction)) : json();
  return result;
}

}  // namespace hemafed::learning
