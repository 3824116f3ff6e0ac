// SPDX-License-Identifier: Apache-2.0
#include "studies/setup/study_file.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/error.h"
#include "common/settings.h"
#include "learning/continual/strategy.h"

namespace hemafed::studies {

namespace {

using learning::ExemplarLimit;
using learning::LearnerSettings;

constexpr std::int64_t kFormat = 1;
constexpr std::size_t kMaxPathBytes = 1024;
constexpr std::size_t kMaxTitleBytes = 200;
constexpr std::int64_t kMaxBatch = 4096;
constexpr std::int64_t kMaxThreads = 256;
constexpr std::int64_t kMaxExemplarValue = 1'000'000'000;       // of a budget in bytes
constexpr std::int64_t kMaxSeed = (std::int64_t{1} << 53) - 1;  // larger ones do not survive JSON
constexpr TextRule kName{"1 to 48 of a-z, 0-9, '_' and '-', starting with a letter or digit", IsPlainName};

template <class Named>
std::size_t Find(const std::vector<Named>& list, std::string_view wanted, std::string_view what) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const Named& item) { return item.name == wanted; });
  if (found != list.end()) return static_cast<std::size_t>(found - list.begin());
  std::string known;
  for (const Named& item : list) known += (known.empty() ? "" : ", ") + item.name;
  throw Error(ErrorCode::kInvalidInput,
              "no " + std::string(what) + " '" + std::string(wanted.substr(0, 64)) + "' in the study; it has " + known);
}

template <class Named>
void RequireNew(const std::vector<Named>& list, const std::string& name, const Settings& table) {
  for (const Named& item : list) {
    if (item.name == name) table.Fail("name", "'" + name + "' is there already");
  }
}

// A choice by the names of an enumeration, through the function that reads one name.
template <class Enum>
Enum ReadNamed(const Settings& table, std::string_view key, Enum (*from_name)(std::string_view)) {
  const std::string name = table.Text(key, kMaxNameBytes);
  try {
    return from_name(name);
  } catch (const Error& error) {
    table.Fail(key, error.what());
  }
}

ModelChoice ReadModel(const Settings& table, const Path& folder) {
  ModelChoice model;
  model.architecture = ReadNamed(table, "architecture", learning::ArchitectureFromName);
  if (learning::InputChannels(model.architecture) != 3) {
    table.Fail("architecture", "sees latents, not pictures: plans of federations can have it (docs/extractor.md)");
  }
  model.normalisation = ReadNamed(table, "normalisation", learning::NormalisationFromName);
  const std::string weights = table.Text("weights", kMaxPathBytes);
  if (weights != "random") model.weights = folder / weights;
  model.precision = ReadNamed(table, "precision", learning::PrecisionFromName);
  model.input_px = static_cast<std::uint32_t>(table.Integer("input", learning::kMinTileSide, learning::kMaxTileSide));
  return model;
}

// Room for exemplars: exactly one of the three keys.
std::optional<ExemplarLimit> ReadLimit(const Settings& table, std::uint32_t input_px) {
  constexpr std::array<std::pair<std::string_view, ExemplarLimit::Kind>, 3> kKinds{
      {{"per_list", ExemplarLimit::Kind::kPerList},
       {"budget", ExemplarLimit::Kind::kBudget},
       {"budget_bytes", ExemplarLimit::Kind::kBytes}}};
  std::optional<ExemplarLimit> limit;
  for (const auto& [key, kind] : kKinds) {
    if (!table.Has(key)) continue;
    if (limit) table.Fail(key, "only one of per_list, budget and budget_bytes can hold");
    limit = {.kind = kind,
             .value = static_cast<std::size_t>(table.Integer(key, 0, kMaxExemplarValue)),
             .item_bytes = std::size_t{input_px} * input_px * 3};
  }
  return limit;
}

// Settings that a [[method]] may override, beside those of its strategy.
void ReadTrainingOverrides(const Settings& table, LearnerSettings& settings) {
  settings.epochs = static_cast<std::uint32_t>(table.Integer("epochs", 1, learning::kMaxEpochs, settings.epochs));
  settings.optimiser.learning_rate = table.Number("learning_rate", 1e-8, 10, settings.optimiser.learning_rate);
}

void ReadStrategyOverrides(const Settings& table, LearnerSettings& settings) {
  auto& s = settings.method;
  const auto number = [&](std::string_view key, double& value, double low, double high) {
    value = table.Number(key, low, high, value);
  };
  const auto flag = [&](std::string_view key, bool& value) { value = table.Boolean(key, value); };
  number("gamma", s.gamma, 0, 1000);
  number("ewc_lambda", s.ewc_lambda, 0, 1);
  number("ewc_importance", s.ewc_importance, 0, 1e9);
  s.ewc_anchors = static_cast<learning::EwcAnchors>(
      table.Choice("ewc_anchors", {"all", "last"}, static_cast<std::size_t>(s.ewc_anchors)));
  s.ewc_pictures = static_cast<std::uint32_t>(table.Integer("ewc_pictures", 0, 10'000'000, s.ewc_pictures));
  number("temperature", s.temperature, 0.1, 100);
  number("lwf_weight", s.lwf_weight, 0, 1000);
  flag("wa_clip", s.wa_clip);
  number("der_alpha", s.der_alpha, 0, 1000);
  number("der_beta", s.der_beta, 0, 1000);
  flag("der_sum_over_classes", s.der_sum_over_classes);
  s.ace_classes = static_cast<learning::AceClasses>(
      table.Choice("ace_classes", {"batch", "task"}, static_cast<std::size_t>(s.ace_classes)));
  number("cls_consistency", s.cls_consistency, 0, 1000);
  number("cls_plastic_decay", s.cls_plastic_decay, 0, 1);
  number("cls_plastic_rate", s.cls_plastic_rate, 0, 1);
  number("cls_stable_decay", s.cls_stable_decay, 0, 1);
  number("cls_stable_rate", s.cls_stable_rate, 0, 1);
  s.analytic_features = static_cast<std::uint32_t>(
      table.Integer("analytic_features", 1, learning::kMaxAnalyticFeatures, s.analytic_features));
  number("analytic_ridge", s.analytic_ridge, 1e-9, 1e9);
  if (table.Has("exemplar_mix")) {
    settings.mix =
        static_cast<learning::ExemplarMix>(table.Choice("exemplar_mix", {"both", "herding", "uncertainty", "random"}));
  }
  if (table.Has("prediction")) {
    settings.prediction = static_cast<learning::Prediction>(
        table.Choice("prediction", {"softmax", "nearest_mean", "nearest_domain_mean"}));
  }
}

LearnerSettings ReadTraining(const Settings& table) {
  LearnerSettings settings;
  settings.epochs = static_cast<std::uint32_t>(table.Integer("epochs", 1, learning::kMaxEpochs));
  settings.batch = static_cast<std::uint32_t>(table.Integer("batch", 1, kMaxBatch));
  settings.accumulation = static_cast<std::uint32_t>(table.Integer("accumulation", 1, learning::kMaxAccumulation));
  auto& optimiser = settings.optimiser;
  optimiser.kind = ReadNamed(table, "optimiser", learning::OptimiserFromName);
  optimiser.learning_rate = table.Number("learning_rate", 1e-8, 10);
  optimiser.weight_decay = table.Number("weight_decay", 0, 1);
  optimiser.clip_norm = table.Number("clip_norm", 0, 1e6);
  if (optimiser.kind == learning::OptimiserKind::kSgd) {
    optimiser.momentum = table.Number("momentum", 0, 0.999);
    optimiser.nesterov = table.Boolean("nesterov");
    if (optimiser.nesterov && optimiser.momentum == 0) table.Fail("nesterov", "needs a momentum above 0");
  } else {
    optimiser.beta1 = table.Number("beta1", 0, 0.9999);
    optimiser.beta2 = table.Number("beta2", 0, 0.999999);
    optimiser.epsilon = table.Number("epsilon", 1e-12, 1);
  }
  settings.schedule.kind = ReadNamed(table, "schedule", learning::ScheduleFromName);
  if (settings.schedule.kind == learning::ScheduleKind::kStep) {
    settings.schedule.every_epochs =
        static_cast<std::uint32_t>(table.Integer("schedule_every", 1, learning::kMaxEpochs));
    settings.schedule.factor = table.Number("schedule_factor", 1e-6, 1);
  }
  settings.sampling = static_cast<Sampling>(table.Choice("sampling", {"uniform", "balanced"}));
  settings.freeze_affine = !table.Boolean("train_affine");
  settings.dropout = table.Number("dropout", 0, 0.9);
  settings.threads = static_cast<int>(table.Integer("threads", 1, kMaxThreads));
  return settings;
}

std::vector<std::int64_t> ReadClasses(const Settings& table, const std::vector<std::string>& classes) {
  std::vector<std::int64_t> labels;
  if (!table.Has("classes")) {
    for (std::size_t i = 0; i < classes.size(); ++i) labels.push_back(static_cast<std::int64_t>(i));
    return labels;
  }
  for (const std::string& name : table.TextList("classes", 1, kMaxClasses, kMaxNameBytes, kName)) {
    const auto found = std::find(classes.begin(), classes.end(), name);
    if (found == classes.end()) table.Fail("classes", "'" + name + "' is not a class of the study");
    labels.push_back(found - classes.begin());
  }
  std::sort(labels.begin(), labels.end());
  if (std::adjacent_find(labels.begin(), labels.end()) != labels.end()) table.Fail("classes", "one is there twice");
  return labels;
}

learning::DomainSource ReadDomain(const Settings& table, const Path& folder) {
  learning::DomainSource domain;
  domain.name = table.Text("name", kMaxNameBytes, kName);
  domain.folder = table.Text("folder", kMaxPathBytes);
  domain.layout = static_cast<PictureLayout>(table.Choice("layout", {"manifest", "folders"}));
  domain.labels = folder / table.Text("labels", kMaxPathBytes);
  domain.crop = static_cast<std::uint32_t>(table.Integer("crop", 0, learning::kMaxCropPixels));
  return domain;
}

Experiment ReadExperiment(const Settings& table, const StudyFile& study) {
  Experiment experiment;
  experiment.name = table.Text("name", kMaxNameBytes);
  experiment.title = table.Text("title", kMaxTitleBytes);
  constexpr std::array<std::string_view, 6> kPublished{"", "D", "C_M", "C_I", "C_A", "DC"};
  experiment.published = kPublished[table.Choice("published", {kPublished.begin(), kPublished.end()}, 0)];
  for (const Settings& task : table.Tables("task", kMaxTasks)) {
    StudyTask made{.domain = task.Text("domain", kMaxNameBytes, kName), .classes = ReadClasses(task, study.classes)};
    try {
      (void)study.DomainNamed(made.domain);
    } catch (const Error& error) {
      task.Fail("domain", error.what());
    }
    experiment.tasks.push_back(std::move(made));
  }
  if (table.Has("unseen")) {
    experiment.unseen = table.TextList("unseen", 1, kMaxDomains, kMaxNameBytes, kName);
    for (const std::string& domain : experiment.unseen) (void)study.DomainNamed(domain);
  }
  if (table.Has("methods")) {
    experiment.methods = table.TextList("methods", 1, kMaxMethods, kMaxNameBytes, kName);
    for (const std::string& method : experiment.methods) (void)study.MethodNamed(method);
  } else {
    for (const Method& method : study.methods) experiment.methods.push_back(method.name);
  }
  if (table.Has("budgets")) {
    for (const std::int64_t budget : table.IntegerList("budgets", 1, kMaxBudgets, 1, learning::kMaxExemplars)) {
      experiment.budgets.push_back(static_cast<std::size_t>(budget));
    }
  }
  return experiment;
}

// A class is learned once in a domain: the exemplar lists are keyed so.
void CheckTasks(const Experiment& experiment, const Settings& table) {
  for (std::size_t i = 0; i < experiment.tasks.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (experiment.tasks[i].domain != experiment.tasks[j].domain) continue;
      for (const std::int64_t label : experiment.tasks[i].classes) {
        const auto& before = experiment.tasks[j].classes;
        if (std::binary_search(before.begin(), before.end(), label)) {
          table.Fail("task", "tasks " + std::to_string(j + 1) + " and " + std::to_string(i + 1) +
                                 " learn the same class of " + experiment.tasks[i].domain);
        }
      }
    }
  }
}

}  // namespace

StudyFile StudyFile::Load(FileSystem& files, const Path& path) {
  return Parse(ReadFile(files, path, kMaxSettingsBytes), path.string(), path.parent_path());
}

StudyFile StudyFile::Parse(std::string_view text, const std::string& where, const Path& folder) {
  const Settings root = Settings::Parse(text, where);
  StudyFile study;
  study.text = text;
  (void)root.Integer("format", kFormat, kFormat);
  study.name = root.Text("name", kMaxNameBytes, kName);
  study.title = root.Text("title", kMaxTitleBytes);
  study.part = static_cast<StudyPart>(root.Choice("part", {"test", "validation"}));
  study.classes = root.TextList("classes", 1, kMaxClasses, kMaxNameBytes, kName);
  for (const std::int64_t seed : root.IntegerList("seeds", 1, kMaxSeeds, 0, kMaxSeed)) {
    study.seeds.push_back(static_cast<std::uint64_t>(seed));
  }
  study.model = ReadModel(root.Table("model"), folder);
  LearnerSettings common = ReadTraining(root.Table("training"));
  const Settings exemplars = root.Table("exemplars");
  const auto limit = ReadLimit(exemplars, study.model.input_px);
  if (!limit) exemplars.Fail("per_list", "is missing: give per_list, budget or budget_bytes");
  common.exemplars = *limit;
  common.herding = static_cast<learning::HerdingVariant>(exemplars.Choice("herding", {"raw", "normalised"}));
  common.passes = static_cast<std::uint32_t>(exemplars.Integer("passes", 2, 100));
  common.uncertainty_dropout = exemplars.Number("dropout", 0.01, 0.9);
  common.augment = root.Has("augmentation");
  if (common.augment) study.augmentation = ReadAugmentation(root.Table("augmentation"));
  for (const Settings& table : root.Tables("domain", kMaxDomains)) {
    learning::DomainSource domain = ReadDomain(table, folder);
    RequireNew(study.domains, domain.name, table);
    study.domains.push_back(std::move(domain));
  }
  const std::vector<Settings> method_tables = root.Tables("method", kMaxMethods);
  for (const Settings& table : method_tables) {
    Method method{.name = table.Text("name", kMaxNameBytes, kName),
                  .strategy = table.Text("strategy", kMaxNameBytes, kName)};
    RequireNew(study.methods, method.name, table);
    study.methods.push_back(std::move(method));
  }
  for (const Settings& table : root.Tables("experiment", kMaxExperiments)) {
    Experiment experiment = ReadExperiment(table, study);
    RequireNew(study.experiments, experiment.name, table);
    CheckTasks(experiment, table);
    LearnerSettings of_experiment = common;
    if (const auto own = ReadLimit(table, study.model.input_px)) of_experiment.exemplars = *own;
    of_experiment.method.gamma = table.Number("gamma", 0, 1000, of_experiment.method.gamma);
    std::vector<LearnerSettings> of_methods;
    for (std::size_t m = 0; m < study.methods.size(); ++m) {
      LearnerSettings settings = of_experiment;
      settings.strategy = study.methods[m].strategy;
      ReadTrainingOverrides(method_tables[m], settings);
      ReadStrategyOverrides(method_tables[m], settings);
      try {
        learning::CheckSettings(settings);
      } catch (const Error& error) {
        method_tables[m].Fail("strategy", error.what());
      }
      of_methods.push_back(std::move(settings));
    }
    study.experiments.push_back(std::move(experiment));
    study.settings_.push_back(std::move(of_methods));
  }
  root.RequireAllRead();
  return study;
}

std::size_t StudyFile::MethodNamed(std::string_view wanted) const { return Find(methods, wanted, "method"); }
std::size_t StudyFile::ExperimentNamed(std::string_view wanted) const {
  return Find(experiments, wanted, "experiment");
}
std::size_t StudyFile::DomainNamed(std::string_view wanted) const { return Find(domains, wanted, "domain"); }

LearnerSettings StudyFile::SettingsOf(const RunKey& run) const {
  LearnerSettings settings = settings_.at(run.experiment).at(run.method);
  settings.seed = run.seed;
  if (run.budget) settings.exemplars = {.kind = ExemplarLimit::Kind::kBudget, .value = *run.budget};
  return settings;
}

std::vector<RunKey> StudyFile::Runs() const {
  std::vector<RunKey> runs;
  for (const std::uint64_t seed : seeds) {
    for (std::size_t e = 0; e < experiments.size(); ++e) {
      for (const std::string& method : experiments[e].methods) {
        const std::size_t m = MethodNamed(method);
        if (experiments[e].budgets.empty()) runs.push_back({.experiment = e, .method = m, .budget = {}, .seed = seed});
        for (const std::size_t budget : experiments[e].budgets) {
          runs.push_back({.experiment = e, .method = m, .budget = budget, .seed = seed});
        }
      }
    }
  }
  return runs;
}

std::string StudyFile::RunName(const RunKey& run) const {
  std::string place = experiments.at(run.experiment).name + "/" + methods.at(run.method).name;
  if (run.budget) place += "-K" + std::to_string(*run.budget);
  return place + "/seed-" + std::to_string(run.seed);
}

}  // namespace hemafed::studies
