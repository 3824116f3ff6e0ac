// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/detector_training_settings.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "common/error.h"

namespace hemafed::learning {

namespace {

using nlohmann::ordered_json;

ordered_json ToJson(const MatchRule& rule) {
  return {{"positive", rule.positive}, {"negative", rule.negative}, {"best_of_each_truth", rule.best_of_each_truth}};
}
ordered_json ToJson(const SampleRule& rule) {
  return {{"count", rule.count}, {"positive_share", rule.positive_share}, {"keep_share", rule.keep_share}};
}
ordered_json ToJson(const BoxLossRule& rule) {
  return {{"switch_at", rule.switch_at}, {"over_all_sampled", rule.over_all_sampled}};
}

const char* Name(MaskSampling sampling) {
  switch (sampling) {
    case MaskSampling::kAligned: return "aligned";
    case MaskSampling::kTorchvision: return "torchvision";
    case MaskSampling::kPublished: return "published";
  }
  throw Error(ErrorCode::kInternal, "a mask sampling without a name");
}

}  // namespace

DetectorTrainingSettings TorchvisionTraining(std::int64_t batch, std::uint64_t steps) {
  DetectorTrainingSettings settings;
  settings.targets.mask_sampling = MaskSampling::kTorchvision;
  settings.optimiser = {.kind = OptimiserKind::kSgd,
                        .learning_rate = 0.00125 * static_cast<double>(batch),
                        .momentum = 0.9,
                        .nesterov = false,
                        .weight_decay = 1e-4};
  settings.warm_up_steps = std::min<std::uint64_t>(1000, steps);
  settings.batch = batch;
  settings.steps = steps;
  return settings;
}

DetectorTrainingSettings PublishedTraining(std::uint64_t steps, bool adam) {
  DetectorTrainingSettings settings;
  settings.targets = {.head_sample = SampleRule::PublishedHead(),
                      .proposal_loss = BoxLossRule::Published(),
                      .head_loss = BoxLossRule::Published(),
                      .mask_sampling = MaskSampling::kPublished,
                      .truth_joins_proposals = false};
  settings.parts = {.affine = true, .frozen_stages = 0};
  settings.optimiser = {.kind = adam ? OptimiserKind::kAdam : OptimiserKind::kSgd,
                        .learning_rate = 1e-3,
                        .momentum = 0.9,
                        .nesterov = false,
                        .weight_decay = adam ? 0.0 : 1e-4,
                        .clip_norm = adam ? 0.0 : 5.0};
  settings.batch = 1;
  settings.steps = steps;
  return settings;
}

DetectorTrainingSettings SmallMachineTraining(std::uint64_t steps) {
  DetectorTrainingSettings settings;
  settings.targets.proposal_sample = {128, 0.5, false};
  settings.targets.head_sample = {32, 0.25, false};
  settings.optimiser = {
      .kind = OptimiserKind::kAdamW, .learning_rate = 3e-4, .nesterov = false, .weight_decay = 1e-4, .clip_norm = 5.0};
  settings.schedule = ScheduleKind::kCosine;
  settings.warm_up_steps = std::min<std::uint64_t>(50, steps);
  settings.batch = 4;
  settings.steps = steps;
  settings.checkpoint_every = 50;
  return settings;
}

void RequireValid(const DetectorTrainingSettings& settings) {
  const auto require = [](bool holds, const char* rule) {
    if (!holds) throw Error(ErrorCode::kInvalidInput, std::string("detector training settings: ") + rule);
  };
  require(settings.steps >= 1, "steps must be at least 1");
  require(settings.batch >= 1 && settings.batch <= 1024, "batch must be 1 to 1024 pictures");
  require(settings.checkpoint_every >= 1, "checkpoint_every must be at least 1");
  require(settings.schedule == ScheduleKind::kConstant || settings.schedule == ScheduleKind::kCosine,
          "schedule must be constant or cosine");
  require(settings.warm_up_steps <= settings.steps, "warm_up_steps must not exceed steps");
  require(settings.optimiser.learning_rate > 0.0 && std::isfinite(settings.optimiser.learning_rate),
          "learning_rate must be above 0");
}

double RateAt(const DetectorTrainingSettings& settings, std::uint64_t step) {
  const double rate =
      ScheduledRate({.kind = settings.schedule}, settings.optimiser.learning_rate, step, settings.steps, 1);
  if (step >= settings.warm_up_steps) return rate;
  return rate * static_cast<double>(step + 1) / static_cast<double>(settings.warm_up_steps);
}

std::string TrainingSettingsText(const DetectorTrainingSettings& settings) {
  const TargetRules& t = settings.targets;
  const OptimiserSettings& o = settings.optimiser;
  const ordered_json json = {{"proposal_match", ToJson(t.proposal_match)},
                             {"head_match", ToJson(t.head_match)},
                             {"proposal_sample", ToJson(t.proposal_sample)},
                             {"head_sample", ToJson(t.head_sample)},
                             {"proposal_loss", ToJson(t.proposal_loss)},
                             {"head_loss", ToJson(t.head_loss)},
                             {"mask_sampling", Name(t.mask_sampling)},
                             {"truth_joins_proposals", t.truth_joins_proposals},
                             {"trains_affine", settings.parts.affine},
                             {"frozen_stages", settings.parts.frozen_stages},
                             {"trains_mask_head", settings.parts.mask_head},
                             {"optimiser", OptimiserName(o.kind)},
                             {"learning_rate", o.learning_rate},
                             {"momentum", o.momentum},
                             {"nesterov", o.nesterov},
                             {"beta1", o.beta1},
                             {"beta2", o.beta2},
                             {"epsilon", o.epsilon},
                             {"weight_decay", o.weight_decay},
                             {"clip_norm", o.clip_norm},
                             {"schedule", ScheduleName(settings.schedule)},
                             {"warm_up_steps", settings.warm_up_steps},
                             {"steps", settings.steps},
                             {"batch", settings.batch},
                             {"seed", settings.seed}};
  return json.dump();
}

}  // namespace hemafed::learning
