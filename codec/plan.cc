// SPDX-License-Identifier: Apache-2.0
#include "codec/plan.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "codec/exchange.h"
#include "codec/plan_tables.h"
#include "common/settings.h"

namespace hemafed {

namespace {

using namespace plan_tables;  // NOLINT(google-build-using-namespace): the other half of this file

constexpr std::int64_t kPlanFormat = 2;

// Rules of a plan that trains an autoencoder; `settings` is the whole of it.
void CheckAutoencoder(const Settings& settings, const Plan& plan) {
  const Settings strategy = settings.Table("strategy");
  if (plan.TrainsAutoencoder() != (plan.model.architecture == kAutoencoderArchitecture)) {
    strategy.Fail("name", plan.TrainsAutoencoder()
                              ? "alignment trains an autoencoder: it needs the architecture cell_autoencoder"
                              : "does not go with cell_autoencoder: use alignment");
  }
  if (!plan.TrainsAutoencoder()) return;
  RefuseKeys(settings, {"augmentation", "retention", "observers"}, kTrainsCells);
}

void CheckSource(const Settings& settings, const Plan& plan) {
  if (!plan.TrainsAutoencoder()) return;
  const Settings strategy = settings.Table("strategy");
  if (plan.tasks.size() != 1) {
    settings.Fail("task", "must be there once where an autoencoder is trained: `with` names the other hospitals");
  }
  if (!plan.AlignsLatents()) return;
  if (plan.tasks.front().training.batch < 2) {
    settings.Table("training").Fail("batch", "must be 2 or more where latents are aligned: one cell has no covariance");
  }
  const std::vector<std::string> sites = plan.Participants(0);
  if (std::find(sites.begin(), sites.end(), plan.strategy.source) == sites.end()) {
    strategy.Fail("source", "is not a hospital of the task");
  }
  if (sites.size() < 2) strategy.Fail("beta", "must be 0 where one hospital trains alone: there is none to align with");
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

bool IsPlainName(std::string_view name) {
  const auto is_letter_or_digit = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= kMaxNameBytes && is_letter_or_digit(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_letter_or_digit(c) || c == '_' || c == '-'; });
}

std::vector<Digest> ModelPlan::FrozenFiles() const {
  if (extractor) return {extractor->detector, extractor->autoencoder};
  return detector ? std::vector<Digest>{*detector} : std::vector<Digest>{};
}

std::vector<Digest> ModelPlan::Files() const {
  std::vector<Digest> files{weights};
  const std::vector<Digest> frozen = FrozenFiles();
  files.insert(files.end(), frozen.begin(), frozen.end());
  return files;
}

std::vector<std::string> Plan::Sites() const {
  std::vector<std::string> sites;
  for (const TaskPlan& task : tasks) {
    if (std::find(sites.begin(), sites.end(), task.site) == sites.end()) sites.push_back(task.site);
    for (const std::string& equal : task.with) {
      if (std::find(sites.begin(), sites.end(), equal) == sites.end()) sites.push_back(equal);
    }
  }
  sites.insert(sites.end(), observers.begin(), observers.end());
  return sites;
}

std::vector<std::string> Plan::Scorers() const { return TrainsAutoencoder() ? std::vector<std::string>{} : Sites(); }

std::vector<std::string> Plan::Participants(std::size_t task) const {
  if (!tasks.at(task).with.empty()) {
    std::vector<std::string> sites{tasks[task].site};
    sites.insert(sites.end(), tasks[task].with.begin(), tasks[task].with.end());
    return sites;
  }
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
  if (TrainsAutoencoder()) return {};
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
  CheckAutoencoder(settings, plan);
  if (plan.SolvesHead()) {
    RefuseKeys(settings, {"augmentation", "aggregation", "retention"});
    if (plan.model.dropout != 0) settings.Table("model").Fail("dropout", "must be 0 with strategy analytic");
    plan.training = ReadThreadsOnly(settings.Table("training"));
  } else if (plan.TrainsAutoencoder()) {
    plan.training = ReadAutoencoderTraining(settings.Table("training"));
    plan.aggregation = ReadAggregation(settings.Table("aggregation"), plan);
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
  if (const auto table = settings.OptionalTable("absence")) plan.absence = ReadAbsence(*table, plan);
  if (const auto table = settings.OptionalTable("retention")) plan.retention = ReadRetention(*table, plan);
  if (const auto table = settings.OptionalTable("drift")) plan.drift = ReadDrift(*table, plan);
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
  CheckSource(settings, plan);
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
