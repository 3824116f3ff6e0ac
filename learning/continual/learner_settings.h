// learning/continual/learner_settings.h
// SPDX-License-Identifier: Apache-2.0
//
// Everything that decides what a learner does, in one struct, as checked values and as JSON: a study prints it, and a
// checkpoint refuses to go on under other settings. Only `loaders`, which changes no bit, is not part of the JSON.
// Initial values are UACL's where it names one (30 epochs, SGD with Nesterov momentum 0.9, learning rate 5e-4, T = 10
// passes) and the facts page's recommendation where it does not.
//
// What belongs to the model is not here: normalisation, precision and device travel with the Classifier.
//
// Errors: Error(kInvalidInput) that names the setting. Thread-safety: value type and free functions.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "codec/plan.h"
#include "learning/continual/exemplar_store.h"
#include "learning/continual/herding.h"
#include "learning/continual/optimiser.h"
#include "learning/continual/schedule.h"
#include "learning/continual/strategy.h"
#include "learning/continual/strategy_settings.h"

namespace hemafed::learning {

inline constexpr std::uint32_t kMaxEpochs = 100'000;
inline constexpr std::uint32_t kMaxAccumulation = 1024;

struct LearnerSettings {
  std::string strategy = "uacl";
  std::uint32_t epochs = 30;       // per task
  std::uint32_t batch = 32;        // pictures of one forward pass
  std::uint32_t accumulation = 1;  // batches whose gradients make one step
  OptimiserSettings optimiser;     // fresh for every task: the head's shape changes
  ScheduleSettings schedule;       // over the steps of each task
  double dropout = 0.2;            // probability, between the second and the third stage
  bool freeze_affine = false;      // scales and shifts of the normalisation do not learn
  bool augment = true;             // as far as the sources do
  Sampling sampling = Sampling::kUniform;
  double memory_share = 0.0;  // part of each batch that are exemplars, for strategies that mix them in; 0: as they are
  std::uint32_t memory_batch = 0;  // exemplars of one draw, for strategies that draw them apart; 0: as many as `batch`
  int threads = 1;
  std::uint64_t seed = 0;
  unsigned loaders = 0;  // threads that make batches ahead; 0: in place. More than 1: for sources safe for several

  ExemplarLimit exemplars{ExemplarLimit::Kind::kPerList, 20};
  HerdingVariant herding = HerdingVariant::kNormalised;
  std::uint32_t passes = 10;             // T of MC dropout
  double uncertainty_dropout = 0.2;      // its probability
  std::optional<ExemplarMix> mix;        // nothing: what the strategy published
  std::optional<Prediction> prediction;  // nothing: what the strategy published

  StrategySettings method;
};

void CheckSettings(const LearnerSettings& settings);
// Every setting that results depend on, by name; equal settings give equal JSON.
[[nodiscard]] nlohmann::json ToJson(const LearnerSettings& settings);

[[nodiscard]] std::string_view MixName(ExemplarMix mix);  // "both", "herding", "uncertainty", "random"
[[nodiscard]] ExemplarMix MixFromName(std::string_view name);
[[nodiscard]] std::string_view PredictionName(
    Prediction prediction);  // "softmax", "nearest_mean", "nearest_domain_mean"
[[nodiscard]] Prediction PredictionFromName(std::string_view name);

}  // namespace hemafed::learning
