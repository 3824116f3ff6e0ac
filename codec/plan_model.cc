// SPDX-License-Identifier: Apache-2.0
//
// Of a plan: the model and how it is trained.
#include <string>
#include <vector>

#include "codec/latent_moments.h"
#include "codec/plan_tables.h"

namespace hemafed {

namespace plan_tables {

void RefuseKeys(const Settings& table, const std::vector<std::string_view>& keys, std::string_view with) {
  for (const std::string_view key : keys) {
    if (table.Has(key)) table.Fail(key, "means nothing with " + std::string(with) + ": take it out");
  }
}

namespace {

constexpr std::uint32_t kMaxInputPx = 1024;  // Four times the largest published input; bounds the tile cache.
constexpr std::uint32_t kMinInputPx = 32;    // Below it the networks' last maps vanish.
// Of an autoencoder's latent: published ones are 5 to 1,000 wide.
constexpr std::int64_t kMinLatent = 5;
constexpr std::int64_t kMaxThreads = 256;

std::uint32_t ReadThreads(const Settings& table) {
  return static_cast<std::uint32_t>(table.Integer("threads", 1, kMaxThreads));
}

}  // namespace

ModelPlan ReadModel(const Settings& table) {
  ModelPlan model;
  const std::vector<std::string_view> architectures{
      "efficientnet_lite0",    "small_cnn", "resnet18", "resnet50", "resnext50_32x4d", kLatentArchitecture,
      kAutoencoderArchitecture};
  const std::vector<std::string_view> normalisations{"batch_frozen", "group", "group_ws"};
  model.architecture = architectures[table.Choice("architecture", architectures)];
  if (model.architecture == kAutoencoderArchitecture) {
    RefuseKeys(table, {"normalisation", "dropout", "autoencoder"}, kTrainsCells);
    model.detector = table.Sha256Digest("detector");
    model.latent = static_cast<std::uint32_t>(table.Integer("latent", kMinLatent, kMaxLatentWidth));
    model.input_px = static_cast<std::uint32_t>(table.Integer("input", kMinInputPx, kMaxInputPx));
    model.weights = table.Sha256Digest("weights");
    return model;
  }
  model.normalisation = normalisations[table.Choice("normalisation", normalisations)];
  // Frozen statistics are those of imported weights, of which small_cnn has none; Lite0 learns little with others
  // (measured; design, 4.6).
  if (model.architecture == "efficientnet_lite0" && model.normalisation != "batch_frozen") {
    table.Fail("normalisation", "does not go with efficientnet_lite0: use batch_frozen");
  }
  const bool sees_latents = model.architecture == kLatentArchitecture;
  if ((model.architecture == "small_cnn" || sees_latents) && model.normalisation == "batch_frozen") {
    table.Fail("normalisation", "does not go with " + model.architecture + ": use group_ws");
  }
  if (sees_latents) {
    model.extractor =
        ExtractorPlan{.detector = table.Sha256Digest("detector"), .autoencoder = table.Sha256Digest("autoencoder")};
  }
  model.input_px = static_cast<std::uint32_t>(table.Integer("input", kMinInputPx, kMaxInputPx));
  model.weights = table.Sha256Digest("weights");
  model.dropout = table.Number("dropout", 0, 0.9);
  return model;
}

TrainingPlan ReadTraining(const Settings& table) {
  TrainingPlan training;
  training.steps = static_cast<std::uint32_t>(table.Integer("steps", 1, kMaxSteps));
  training.batch = static_cast<std::uint32_t>(table.Integer("batch", 1, kMaxBatch));
  training.learning_rate = table.Number("learning_rate", kMinRate, kMaxRate);
  training.schedule = static_cast<LearningRateSchedule>(table.Choice("schedule", {"constant", "linear"}));
  training.momentum = table.Number("momentum", 0, 0.999);
  training.nesterov = table.Boolean("nesterov");
  if (training.nesterov && training.momentum == 0) table.Fail("nesterov", "needs a momentum above 0");
  training.weight_decay = table.Number("weight_decay", 0, 1);
  training.clip_norm = table.Number("clip_norm", 0, 1e6);
  training.sampling = static_cast<Sampling>(table.Choice("sampling", {"uniform", "balanced"}));
  training.train_affine = table.Boolean("train_affine");
  training.threads = ReadThreads(table);
  return training;
}

TrainingPlan ReadAutoencoderTraining(const Settings& table) {
  RefuseKeys(table, {"schedule", "momentum", "nesterov", "weight_decay", "clip_norm", "sampling", "train_affine"},
             kTrainsCells);
  TrainingPlan training;
  training.steps = static_cast<std::uint32_t>(table.Integer("steps", 1, kMaxSteps));
  training.batch = static_cast<std::uint32_t>(table.Integer("batch", 1, kMaxBatch));
  training.learning_rate = table.Number("learning_rate", kMinRate, kMaxRate);
  training.threads = ReadThreads(table);
  return training;
}

TrainingPlan ReadThreadsOnly(const Settings& table) {
  RefuseKeys(table, {"steps", "batch", "learning_rate", "schedule", "momentum", "nesterov", "weight_decay", "clip_norm",
                     "sampling", "train_affine"});
  TrainingPlan training;
  training.threads = ReadThreads(table);
  return training;
}

}  // namespace plan_tables

AugmentationPlan ReadAugmentation(const Settings& table) {
  AugmentationPlan augmentation;
  augmentation.flips = table.Boolean("flips");
  augmentation.rotation = static_cast<Rotation>(table.Choice("rotation", {"none", "quarter", "any"}));
  augmentation.brightness = table.Number("brightness", 0, 0.9);
  augmentation.contrast = table.Number("contrast", 0, 0.9);
  augmentation.saturation = table.Number("saturation", 0, 0.9);
  augmentation.hue = table.Number("hue", 0, 0.5);
  augmentation.zoom = table.Number("zoom", 0, 0.5);
  augmentation.shift = table.Number("shift", 0, 0.5);
  augmentation.blur = table.Number("blur", 0, 5);
  return augmentation;
}

}  // namespace hemafed
