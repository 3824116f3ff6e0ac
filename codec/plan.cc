// SPDX-License-Identifier: Apache-2.0
#include "codec/plan.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "codec/exact.h"
#include "codec/exchange.h"
#include "codec/merge.h"
#include "codec/projection.h"
#include "codec/ridge_head.h"
#include "codec/sealed_bundle.h"
#include "codec/slow_model.h"
#include "codec/update.h"
#include "common/settings.h"

namespace hemafed {

namespace {

constexpr std::int64_t kPlanFormat = 2;
constexpr std::uint32_t kMaxInputPx = 1024;  // Four times the largest published input; bounds the tile cache.
constexpr std::uint32_t kMinInputPx = 32;    // Below it the networks' last maps vanish.
constexpr std::int64_t kMaxSteps = 100'000;
constexpr std::int64_t kMaxBatch = 4096;
constexpr std::int64_t kMaxThreads = 256;
constexpr std::int64_t kMaxPasses = 100;
constexpr std::int64_t kMaxExemplars = 10'000;
constexpr std::int64_t kMaxBudget = 100'000;  // Of all hospitals; the vault's own limit (exemplar_store.h).
constexpr double kMinRate = 1e-8, kMaxRate = 10;
constexpr double kMinGamma = 1e-6, kMaxGamma = 1000;  // Steps of a millionth: what reports can say.

constexpr double kMaxImportance = 1e9;  // Of EWC; published values are 10^2 to 10^4.
constexpr double kMaxLossWeight = 1000;
constexpr double kMinTemperature = 0.1, kMaxTemperature = 100;
constexpr double kMaxRise = 1000;  // Nats; reports say no more.
const std::vector<std::string_view> kStrategyNames{"finetuning", "uacl",  "replay", "analytic", "icarl",
                                                   "ewc",        "derpp", "wa",     "slow_fast"};

// Above it a step echoes for more than a hundred rounds.
constexpr double kMaxServerMomentum = 0.99;
constexpr std::int64_t kMaxProbe = 10'000;
constexpr std::int64_t kMaxAbsenceSeconds = 30ll * 24 * 3600;  // Longer than any hospital's maintenance.
const std::vector<std::string_view> kRuleNames{"mean", "distillation", "median", "trimmed_mean"};

constexpr TextRule kPlainNameRule{"1 to 48 of a-z, 0-9, '_' and '-', starting with a letter or digit", IsPlainName};

// What says how to train means nothing where nothing is trained; left in, it would be read as if it did.
void RefuseKeys(const Settings& table, const std::vector<std::string_view>& keys) {
  for (const std::string_view key : keys) {
    if (table.Has(key)) table.Fail(key, "means nothing with strategy analytic, which trains nothing: take it out");
  }
}

std::uint32_t ReadThreads(const Settings& table) {
  return static_cast<std::uint32_t>(table.Integer("threads", 1, kMaxThreads));
}

ModelPlan ReadModel(const Settings& table) {
  ModelPlan model;
  const std::vector<std::string_view> architectures{"efficientnet_lite0", "small_cnn",       "resnet18",
                                                    "resnet50",           "resnext50_32x4d", kLatentArchitecture};
  const std::vector<std::string_view> normalisations{"batch_frozen", "group", "group_ws"};
  model.architecture = architectures[table.Choice("architecture", architectures)];
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

TrainingPlan ReadThreadsOnly(const Settings& table) {
  RefuseKeys(table, {"steps", "batch", "learning_rate", "schedule", "momentum", "nesterov", "weight_decay", "clip_norm",
                     "sampling", "train_affine"});
  TrainingPlan training;
  training.threads = ReadThreads(table);
  return training;
}

StrategyPlan ReadStrategy(const Settings& table) {
  StrategyPlan strategy;
  strategy.kind = static_cast<StrategyKind>(table.Choice("name", kStrategyNames));
  const auto whole = [&](std::string_view key, std::int64_t most) {
    return static_cast<std::uint32_t>(table.Integer(key, 1, most));
  };
  switch (strategy.kind) {
    case StrategyKind::kFinetuning:
    case StrategyKind::kReplay: break;
    case StrategyKind::kUacl:
    case StrategyKind::kIcarl:
      strategy.gamma = table.Number("gamma", kMinGamma, kMaxGamma);
      strategy.probe = whole("probe", kMaxProbe);
      break;
    case StrategyKind::kAnalytic:
      RefuseKeys(table, {"gamma", "probe"});
      strategy.features = whole("features", kMaxRandomFeatures);
      strategy.ridge = table.Number("ridge", std::ldexp(1.0, -kRidgeBits), kMaxRidge);
      break;
    case StrategyKind::kEwc:
      strategy.penalty_share = table.Number("lambda", 1e-6, 1 - 1e-6);
      strategy.importance = table.Number("importance", 1e-6, kMaxImportance);
      strategy.fisher_pictures = whole("fisher_pictures", kMaxProbe);
      break;
    case StrategyKind::kDerpp:
      strategy.alpha = table.Number("alpha", 0, kMaxLossWeight);
      strategy.beta = table.Number("beta", 0, kMaxLossWeight);
      if (strategy.alpha == 0 && strategy.beta == 0) table.Fail("alpha", "and beta are both 0: nothing is rehearsed");
      break;
    case StrategyKind::kWa:
      strategy.temperature = table.Number("temperature", kMinTemperature, kMaxTemperature);
      strategy.probe = whole("probe", kMaxProbe);
      break;
    case StrategyKind::kSlowFast: {
      const double rate = table.Number("rate", 1.0 / kSlowRateOne, 1);
      strategy.slow_rate = static_cast<std::uint32_t>(RoundHalfEven(rate * kSlowRateOne));
      strategy.consistency = table.Number("consistency", 0, kMaxLossWeight);
      break;
    }
  }
  return strategy;
}

RehearsalPlan ReadRehearsal(const Settings& table, StrategyKind strategy) {
  RehearsalPlan rehearsal;
  rehearsal.policy = static_cast<RehearsalPolicy>(table.Choice("policy", {"none", "local", "federated", "sealed"}));
  const bool rehearses =
      strategy != StrategyKind::kFinetuning && strategy != StrategyKind::kAnalytic && strategy != StrategyKind::kEwc;
  if (rehearses != (rehearsal.policy != RehearsalPolicy::kNone)) {
    table.Fail("policy", rehearses ? "is none, but the strategy rehearses: use federated, local or sealed"
                                   : "is not none, but the strategy keeps no exemplars");
  }
  if (!rehearses) return rehearsal;
  if (table.Has("budget") == table.Has("exemplars")) {
    table.Fail("exemplars", "or budget must be given, and not both: pictures of each list, or of all lists together");
  }
  if (table.Has("budget")) {
    rehearsal.budget = static_cast<std::uint32_t>(table.Integer("budget", 2, kMaxBudget));
  } else {
    rehearsal.exemplars = static_cast<std::uint32_t>(table.Integer("exemplars", 2, kMaxExemplars));
  }
  if (strategy == StrategyKind::kUacl) {
    rehearsal.passes = static_cast<std::uint32_t>(table.Integer("passes", 2, kMaxPasses));
  }
  rehearsal.normalised_herding = table.Choice("herding", {"raw", "normalised"}) == 1;
  // What the model answered to a picture that has travelled is not known where it arrives.
  const bool by_answers = strategy == StrategyKind::kDerpp || strategy == StrategyKind::kSlowFast;
  if (by_answers && rehearsal.policy == RehearsalPolicy::kSealed) {
    table.Fail("policy",
               "sealed does not go with strategy " + std::string(StrategyName(strategy)) + ": use federated or local");
  }
  if (rehearsal.policy == RehearsalPolicy::kSealed) {
    rehearsal.picture_bytes = static_cast<std::uint32_t>(table.Integer("picture_bytes", 1, kMaxBundleItemBytes));
  }
  return rehearsal;
}

AggregationRule ReadRule(const Settings& table, StrategyKind strategy, std::optional<std::size_t> fallback = {}) {
  const auto rule = static_cast<AggregationRule>(table.Choice("rule", kRuleNames, fallback));
  const bool by_sigmoids = strategy == StrategyKind::kUacl || strategy == StrategyKind::kIcarl;
  if (rule == AggregationRule::kDistillation && !by_sigmoids) {
    table.Fail("rule", "distillation needs a strategy that distils by sigmoids: uacl or icarl");
  }
  return rule;
}

AggregationPlan ReadAggregation(const Settings& table, const Plan& plan) {
  AggregationPlan aggregation;
  aggregation.rule = ReadRule(table, plan.strategy.kind);
  if (aggregation.rule == AggregationRule::kTrimmedMean) {
    aggregation.trim = static_cast<std::uint32_t>(table.Integer("trim", 1, kMaxSites / 2 - 1));
  }
  aggregation.server_momentum = static_cast<std::uint32_t>(
      RoundHalfEven(table.Number("server_momentum", 0, kMaxServerMomentum, 0.0) * kMomentumOne));
  aggregation.encoding = static_cast<UpdateEncoding>(table.Choice("update", {"int32", "int8"}));
  aggregation.norm_bound = table.Number("norm_bound", 1e-6, 1e6);
  aggregation.rehearsal_norm_bound = aggregation.norm_bound;
  if (table.Has("rehearsal_norm_bound")) {
    if (plan.rehearsal.policy != RehearsalPolicy::kFederated) {
      table.Fail("rehearsal_norm_bound", "bounds sites that rehearse: it needs the policy federated");
    }
    aggregation.rehearsal_norm_bound = table.Number("rehearsal_norm_bound", 1e-6, aggregation.norm_bound);
  }
  aggregation.max_share = table.Number("max_share", 0.34, 1);
  if (table.Has("max_rise")) {
    if (!plan.Distils() || plan.rehearsal.policy != RehearsalPolicy::kFederated) {
      table.Fail("max_rise",
                 "watches what rehearsing sites say of their distillation: it needs strategy uacl, icarl or "
                 "wa and the policy federated");
    }
    aggregation.max_rise_millionths =
        static_cast<std::uint64_t>(RoundHalfEven(table.Number("max_rise", 1e-6, kMaxRise) * 1e6));
  }
  if (table.Has("max_retreat")) {
    if (plan.rehearsal.policy != RehearsalPolicy::kFederated)
      table.Fail("max_retreat", "is about sites that rehearse: it needs the policy federated");
    aggregation.max_retreat_millionths =
        static_cast<std::uint64_t>(RoundHalfEven(table.Number("max_retreat", 1e-6, 1) * 1e6));
  }
  return aggregation;
}

RetentionPlan ReadRetention(const Settings& table, const Plan& plan) {
  RetentionPlan retention;
  if (!plan.KeepsExemplars())
    table.Fail("pictures", "are of hospitals that rehearse, but this plan keeps no exemplars");
  retention.pictures = static_cast<std::uint32_t>(table.Integer("pictures", 1, kMaxProbe));
  if (retention.pictures < plan.min_pictures) {
    table.Fail("pictures", "are fewer than min_pictures, so that no hospital could report on them");
  }
  const double max_drop = table.Number("max_drop", 0, 1);
  // Two standard errors of a share of n pictures are at most 2 sqrt(1 / 4n): below them chance would halve steps.
  if (max_drop * max_drop * retention.pictures < 1) {
    table.Fail("max_drop",
               "is below two standard errors of an agreement measured on so few pictures; at least 1 / sqrt(" +
                   std::to_string(retention.pictures) + ") can be told from chance");
  }
  retention.max_drop_millionths = static_cast<std::uint64_t>(RoundHalfEven(max_drop * 1e6));
  retention.halvings = static_cast<std::uint32_t>(table.Integer("halvings", 0, kMaxHalvings));
  return retention;
}

AbsencePlan ReadAbsence(const Settings& table) {
  AbsencePlan absence;
  absence.rehearsing = static_cast<AbsenceRule>(table.Choice("rehearsing", {"wait", "skip", "pause"}));
  absence.skips_evaluations = table.Choice("evaluating", {"wait", "skip"}) == 1;
  absence.joins_late = table.Choice("joining", {"first_task", "own_task"}) == 1;
  if (absence.rehearsing != AbsenceRule::kWait || absence.skips_evaluations) {
    absence.after_s = static_cast<std::uint32_t>(table.Integer("after_s", 1, kMaxAbsenceSeconds));
  }
  return absence;
}

// A rule that the task's number of sites cannot support is refused here, not run degenerate.
void CheckRule(const Settings& table, const Plan& plan, std::size_t task) {
  const std::size_t rehearsing = plan.Participants(task).size() - 1;
  if (rehearsing == 0) return;  // One update: there is nothing to merge.
  if (const auto why = WhyRuleCannotRun(MergeRuleOf(plan.tasks[task].rule), plan.aggregation.trim, rehearsing)) {
    table.Fail("rule",
               "cannot run in task " + std::to_string(task + 1) + ": " + *why + "; give the task rule = \"mean\"");
  }
}

// The task's classes as indices; all of them if it names none.
ClassSet ReadClasses(const Settings& table, const std::vector<std::string>& classes) {
  ClassSet set;
  if (!table.Has("classes")) {
    for (std::uint32_t label = 0; label < classes.size(); ++label) set.push_back(label);
    return set;
  }
  for (const std::string& name : table.TextList("classes", 1, classes.size(), kMaxNameBytes, kPlainNameRule)) {
    const auto found = std::find(classes.begin(), classes.end(), name);
    if (found == classes.end()) table.Fail("classes", "names " + name + ", which the plan's classes do not list");
    set.push_back(static_cast<std::uint32_t>(found - classes.begin()));
  }
  std::sort(set.begin(), set.end());
  if (std::adjacent_find(set.begin(), set.end()) != set.end()) table.Fail("classes", "names a class twice");
  return set;
}

// What a task says about its training.
void ReadTaskTraining(const Settings& table, const Plan& plan, TaskPlan& task) {
  const TrainingPlan& training = plan.training;
  task.training = training;
  if (plan.SolvesHead()) {
    RefuseKeys(table, {"rounds", "steps", "batch", "learning_rate", "gamma", "rule"});
    task.rounds = 1;
    return;
  }
  task.rounds = static_cast<std::uint32_t>(table.Integer("rounds", 1, kMaxRounds));
  task.training.steps = static_cast<std::uint32_t>(table.Integer("steps", 1, kMaxSteps, training.steps));
  task.training.batch = static_cast<std::uint32_t>(table.Integer("batch", 1, kMaxBatch, training.batch));
  task.training.learning_rate = table.Number("learning_rate", kMinRate, kMaxRate, training.learning_rate);
  task.gamma = plan.strategy.gamma;
  if (plan.strategy.gamma > 0) {
    task.gamma = table.Number("gamma", kMinGamma, kMaxGamma, plan.strategy.gamma);
  }
  task.rule = ReadRule(table, plan.strategy.kind, static_cast<std::size_t>(plan.aggregation.rule));
  if (task.rule == AggregationRule::kTrimmedMean && plan.aggregation.trim == 0) {
    table.Fail("rule", "trimmed_mean needs it as the plan's rule, with trim; other tasks may say otherwise");
  }
}

TaskPlan ReadTask(const Settings& table, const Plan& plan) {
  TaskPlan task;
  task.site = table.Text("site", kMaxNameBytes, kPlainNameRule);
  task.classes = ReadClasses(table, plan.classes);
  ReadTaskTraining(table, plan, task);
  for (const TaskPlan& earlier : plan.tasks) {
    if (earlier.site != task.site) continue;
    for (const std::uint32_t label : task.classes) {
      if (std::binary_search(earlier.classes.begin(), earlier.classes.end(), label)) {
        table.Fail("classes", "brings " + plan.classes[label] + " to " + task.site +
                                  " a second time; a hospital learns a class in one task");
      }
    }
  }
  // The head grows by rows at its end, so classes come in the order of their indices.
  const std::size_t known = plan.tasks.empty() ? 0 : plan.KnownClasses(plan.tasks.size() - 1);
  std::size_t next = known;
  for (const std::uint32_t label : task.classes) {
    if (label < known) continue;
    if (label != next) {
      table.Fail("classes", "brings " + plan.classes[label] + " before " + plan.classes[next] +
                                "; list the plan's classes in the order in which tasks bring them");
    }
    ++next;
  }
  return task;
}

void CheckBudget(const Settings& table, const Plan& plan) {
  const std::uint32_t least = plan.KeepsExemplars() ? plan.ExemplarsPerList(plan.tasks.size()) : 2;
  if (least < 2) {
    table.Fail("budget", "leaves fewer than 2 pictures for each list once all tasks are done; raise it");
  }
  if (plan.CollectsMeans() && least < plan.min_pictures) {
    table.Fail(plan.rehearsal.budget > 0 ? "budget" : "exemplars",
               "leaves fewer than min_pictures for each list, of which no class mean may leave a lab");
  }
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

std::string_view StrategyName(StrategyKind kind) noexcept { return kStrategyNames[static_cast<std::size_t>(kind)]; }

std::string_view AggregationRuleName(AggregationRule rule) noexcept {
  return kRuleNames[static_cast<std::size_t>(rule)];
}

MergeRule MergeRuleOf(AggregationRule rule) noexcept {
  switch (rule) {
    case AggregationRule::kMean:
    case AggregationRule::kDistillation: return MergeRule::kMean;
    case AggregationRule::kMedian: return MergeRule::kMedian;
    case AggregationRule::kTrimmedMean: return MergeRule::kTrimmedMean;
  }
  return MergeRule::kMean;
}

std::vector<Digest> ModelPlan::Files() const {
  std::vector<Digest> files{weights};
  if (extractor) files.insert(files.end(), {extractor->detector, extractor->autoencoder});
  return files;
}

std::vector<std::string> Plan::Sites() const {
  std::vector<std::string> sites;
  for (const TaskPlan& task : tasks) {
    if (std::find(sites.begin(), sites.end(), task.site) == sites.end()) sites.push_back(task.site);
  }
  sites.insert(sites.end(), observers.begin(), observers.end());
  return sites;
}

std::vector<std::string> Plan::Participants(std::size_t task) const {
  if (rehearsal.policy != RehearsalPolicy::kFederated) return {tasks.at(task).site};
  return Holders(task);
}

std::vector<std::string> Plan::Holders(std::size_t task) const {
  std::vector<std::string> sites{tasks.at(task).site};
  for (std::size_t earlier = 0; earlier < task; ++earlier) {
    if (std::find(sites.begin(), sites.end(), tasks[earlier].site) == sites.end()) sites.push_back(tasks[earlier].site);
  }
  return sites;
}

std::vector<std::string> Plan::Judges(std::size_t task) const {
  std::vector<std::string> sites;
  if (retention.pictures == 0) return sites;
  for (std::size_t earlier = 0; earlier < task; ++earlier) {
    if (std::find(sites.begin(), sites.end(), tasks[earlier].site) == sites.end()) sites.push_back(tasks[earlier].site);
  }
  return sites;
}

std::vector<Column> Plan::Columns() const {
  std::map<std::string_view, std::size_t> tasks_of, seen;
  for (const TaskPlan& task : tasks) ++tasks_of[task.site];
  std::vector<Column> columns;
  for (const TaskPlan& task : tasks) {
    const std::size_t pool = seen[task.site]++;
    const bool several = tasks_of[task.site] > 1;
    columns.push_back({task.site, pool, several ? task.site + " " + std::to_string(pool + 1) : task.site});
  }
  for (const std::string& site : observers) columns.push_back({site, 0, site});
  return columns;
}

std::vector<ClassSet> Plan::PoolsOf(std::string_view site) const {
  std::vector<ClassSet> pools;
  for (const TaskPlan& task : tasks) {
    if (task.site == site) pools.push_back(task.classes);
  }
  if (pools.empty()) {
    ClassSet all(classes.size());
    std::iota(all.begin(), all.end(), 0u);
    pools.push_back(std::move(all));
  }
  return pools;
}

std::size_t Plan::KnownClasses(std::size_t task) const {
  std::size_t known = 0;
  for (std::size_t t = 0; t <= task; ++t) known = std::max<std::size_t>(known, tasks.at(t).classes.back() + 1u);
  return known;
}

std::uint32_t Plan::ExemplarsPerList(std::size_t tasks_done) const {
  if (rehearsal.budget == 0) return rehearsal.exemplars;
  std::size_t lists = 0;
  for (std::size_t t = 0; t < tasks_done; ++t) lists += tasks.at(t).classes.size();
  return lists == 0 ? rehearsal.budget : static_cast<std::uint32_t>(rehearsal.budget / lists);
}

Plan ParsePlan(std::string_view toml, const std::string& where) {
  const Settings settings = Settings::Parse(toml, where);
  Plan plan;
  if (settings.Integer("format", 1, INT32_MAX) != kPlanFormat) {
    settings.Fail("format", "is not " + std::to_string(kPlanFormat) +
                                ", the one that this program reads; docs/plan.md says what changed");
  }
  plan.name = settings.Text("name", kMaxNameBytes, kPlainNameRule);
  plan.seed = static_cast<std::uint64_t>(settings.Integer("seed", 0, INT64_MAX));
  plan.classes = settings.TextList("classes", 2, kMaxClasses, kMaxNameBytes, kPlainNameRule);
  if (std::set<std::string>(plan.classes.begin(), plan.classes.end()).size() != plan.classes.size()) {
    settings.Fail("classes", "names a class twice");
  }
  plan.strategy = ReadStrategy(settings.Table("strategy"));
  plan.model = ReadModel(settings.Table("model"));
  const Settings rehearsal = settings.Table("rehearsal");
  plan.rehearsal = ReadRehearsal(rehearsal, plan.strategy.kind);
  if (plan.SolvesHead()) {
    RefuseKeys(settings, {"augmentation", "aggregation", "retention"});
    if (plan.model.dropout != 0) settings.Table("model").Fail("dropout", "must be 0 with strategy analytic");
    plan.training = ReadThreadsOnly(settings.Table("training"));
  } else {
    plan.training = ReadTraining(settings.Table("training"));
    if (plan.model.extractor && settings.Has("augmentation")) {
      settings.Fail("augmentation",
                    "means nothing with ae_cfe, which computes each picture's latent once: take it out");
    }
    if (!plan.model.extractor) plan.augmentation = ReadAugmentation(settings.Table("augmentation"));
    plan.aggregation = ReadAggregation(settings.Table("aggregation"), plan);
  }
  if (plan.model.extractor && plan.rehearsal.policy == RehearsalPolicy::kSealed) {
    rehearsal.Fail("policy", "sealed does not go with ae_cfe, whose exemplars are latents: use federated or local");
  }
  plan.min_pictures = static_cast<std::uint64_t>(settings.Table("privacy").Integer("min_pictures", 1, 10'000));
  if (const auto table = settings.OptionalTable("absence")) plan.absence = ReadAbsence(*table);
  if (const auto table = settings.OptionalTable("retention")) plan.retention = ReadRetention(*table, plan);
  // What a probe says is a statistic of so many pictures (design, 11.5).
  if (plan.strategy.probe > 0 && plan.strategy.probe < plan.min_pictures) {
    settings.Table("strategy").Fail("probe", "is of fewer pictures than min_pictures, which may not leave a lab");
  }
  if (plan.strategy.fisher_pictures > 0 && plan.strategy.fisher_pictures < plan.min_pictures) {
    settings.Table("strategy").Fail("fisher_pictures", "are fewer than min_pictures: statistics of them may not leave");
  }
  for (const Settings& table : settings.Tables("task", kMaxTasks)) {
    plan.tasks.push_back(ReadTask(table, plan));
    CheckRule(table, plan, plan.tasks.size() - 1);
  }
  if (plan.KnownClasses(plan.tasks.size() - 1) < plan.classes.size()) {
    settings.Fail("classes", "lists " + plan.classes.back() + ", which no task brings");
  }
  CheckBudget(rehearsal, plan);
  if (const auto why = WhyBundlesAreTooLarge(plan)) rehearsal.Fail("picture_bytes", *why);
  if (settings.Has("observers")) {
    plan.observers = settings.TextList("observers", 1, kMaxColumns - kMaxTasks, kMaxNameBytes, kPlainNameRule);
  }
  const std::vector<std::string> sites = plan.Sites();
  if (std::set<std::string>(sites.begin(), sites.end()).size() != sites.size()) {
    settings.Fail("observers", "names a site twice, or one that has a task and scores anyway");
  }
  if (sites.size() > kMaxSites) settings.Fail("observers", "are too many: " + std::to_string(kMaxSites) + " sites");
  settings.RequireAllRead();
  return plan;
}

}  // namespace hemafed
