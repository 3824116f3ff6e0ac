// SPDX-License-Identifier: Apache-2.0
#include "codec/plan.h"

#include <algorithm>
#include <set>

#include "common/settings.h"

namespace hemafed {

namespace {

constexpr std::uint32_t kMaxInputPx = 1024;  // Four times the largest published input; bounds the tile cache.
constexpr std::uint32_t kMinInputPx = 32;    // Below it the networks' last maps vanish.
constexpr std::int64_t kMaxSteps = 100'000;
constexpr std::int64_t kMaxBatch = 4096;
constexpr std::int64_t kMaxThreads = 256;
constexpr std::int64_t kMaxPasses = 100;
constexpr std::int64_t kMaxExemplars = 10'000;

constexpr TextRule kPlainNameRule{"1 to 48 of a-z, 0-9, '_' and '-', starting with a letter or digit", IsPlainName};

ModelPlan ReadModel(const Settings& table) {
  ModelPlan model;
  const std::vector<std::string_view> architectures{"efficientnet_lite0", "small_cnn"};
  const std::vector<std::string_view> normalisations{"batch_frozen", "group_ws"};
  model.architecture = architectures[table.Choice("architecture", architectures)];
  model.normalisation = normalisations[table.Choice("normalisation", normalisations)];
  // Frozen statistics are those of imported weights; random weights have none (design, 4.6).
  const std::string_view fitting = model.architecture == "efficientnet_lite0" ? "batch_frozen" : "group_ws";
  if (model.normalisation != fitting) {
    table.Fail("normalisation", "does not go with " + model.architecture + ": use " + std::string(fitting));
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
  training.learning_rate = table.Number("learning_rate", 1e-8, 10);
  training.schedule = static_cast<LearningRateSchedule>(table.Choice("schedule", {"constant", "linear"}));
  training.momentum = table.Number("momentum", 0, 0.999);
  training.nesterov = table.Boolean("nesterov");
  if (training.nesterov && training.momentum == 0) table.Fail("nesterov", "needs a momentum above 0");
  training.weight_decay = table.Number("weight_decay", 0, 1);
  training.clip_norm = table.Number("clip_norm", 0, 1e6);
  training.sampling = static_cast<Sampling>(table.Choice("sampling", {"uniform", "balanced"}));
  training.train_affine = table.Boolean("train_affine");
  training.threads = static_cast<std::uint32_t>(table.Integer("threads", 1, kMaxThreads));
  return training;
}

RehearsalPlan ReadRehearsal(const Settings& table) {
  RehearsalPlan rehearsal;
  rehearsal.policy = static_cast<RehearsalPolicy>(table.Choice("policy", {"none", "federated"}));
  rehearsal.gamma = table.Number("gamma", 0, 1000);
  if (rehearsal.policy == RehearsalPolicy::kNone) {
    // Sequential fine-tuning (design, 11.1): a teacher without exemplars would be another method.
    if (rehearsal.gamma != 0) table.Fail("gamma", "must be 0 without rehearsal");
    return rehearsal;
  }
  rehearsal.exemplars = static_cast<std::uint32_t>(table.Integer("exemplars", 2, kMaxExemplars));
  rehearsal.passes = static_cast<std::uint32_t>(table.Integer("passes", 2, kMaxPasses));
  rehearsal.normalised_herding = table.Choice("herding", {"raw", "normalised"}) == 1;
  return rehearsal;
}

}  // namespace

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

bool IsPlainName(std::string_view name) {
  const auto is_letter_or_digit = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= kMaxNameBytes && is_letter_or_digit(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_letter_or_digit(c) || c == '_' || c == '-'; });
}

std::vector<std::string> Plan::Sites() const {
  std::vector<std::string> sites;
  for (const TaskPlan& task : tasks) {
    if (std::find(sites.begin(), sites.end(), task.site) == sites.end()) sites.push_back(task.site);
  }
  return sites;
}

std::vector<std::string> Plan::Participants(std::size_t task) const {
  std::vector<std::string> sites{tasks.at(task).site};
  if (rehearsal.policy != RehearsalPolicy::kFederated) return sites;
  for (std::size_t earlier = 0; earlier < task; ++earlier) {
    if (std::find(sites.begin(), sites.end(), tasks[earlier].site) == sites.end()) sites.push_back(tasks[earlier].site);
  }
  return sites;
}

Plan ParsePlan(std::string_view toml, const std::string& where) {
  const Settings settings = Settings::Parse(toml, where);
  Plan plan;
  if (settings.Integer("format", 1, INT32_MAX) != 1)
    settings.Fail("format", "is not 1, the format that this program reads");
  plan.name = settings.Text("name", kMaxNameBytes, kPlainNameRule);
  plan.seed = static_cast<std::uint64_t>(settings.Integer("seed", 0, INT64_MAX));
  plan.classes = settings.TextList("classes", 2, kMaxClasses, kMaxNameBytes, kPlainNameRule);
  if (std::set<std::string>(plan.classes.begin(), plan.classes.end()).size() != plan.classes.size()) {
    settings.Fail("classes", "names a class twice");
  }
  plan.model = ReadModel(settings.Table("model"));
  plan.training = ReadTraining(settings.Table("training"));
  plan.augmentation = ReadAugmentation(settings.Table("augmentation"));
  plan.rehearsal = ReadRehearsal(settings.Table("rehearsal"));
  const Settings aggregation = settings.Table("aggregation");
  plan.aggregation.rule = std::vector<std::string>{"mean"}[aggregation.Choice("rule", {"mean"})];
  plan.aggregation.norm_bound = aggregation.Number("norm_bound", 1e-6, 1e6);
  plan.aggregation.max_share = aggregation.Number("max_share", 0.34, 1);
  plan.min_pictures = static_cast<std::uint64_t>(settings.Table("privacy").Integer("min_pictures", 1, 10'000));
  for (const Settings& table : settings.Tables("task", kMaxTasks)) {
    TaskPlan task;
    task.site = table.Text("site", kMaxNameBytes, kPlainNameRule);
    task.rounds = static_cast<std::uint32_t>(table.Integer("rounds", 1, kMaxRounds));
    const auto same_site = [&](const TaskPlan& earlier) { return earlier.site == task.site; };
    if (std::any_of(plan.tasks.begin(), plan.tasks.end(), same_site)) {
      table.Fail("site", "has a task already; every hospital has one task, with all classes");
    }
    plan.tasks.push_back(std::move(task));
  }
  settings.RequireAllRead();
  return plan;
}

}  // namespace hemafed
