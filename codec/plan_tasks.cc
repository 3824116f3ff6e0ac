// SPDX-License-Identifier: Apache-2.0
//
// Of a plan: its tasks.
#include <algorithm>
#include <set>
#include <string>

#include "codec/merge.h"
#include "codec/plan_tables.h"

namespace hemafed::plan_tables {

namespace {

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
  if (plan.TrainsAutoencoder()) RefuseKeys(table, {"classes", "gamma"}, kTrainsCells);
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

// Hospitals that train beside the task's own, as equals.
std::vector<std::string> ReadEquals(const Settings& table, const Plan& plan, const std::string& site) {
  if (!table.Has("with")) return {};
  if (!plan.TrainsAutoencoder()) {
    table.Fail("with", "names hospitals that train as equals, which only the training of " +
                           std::string(kAutoencoderArchitecture) +
                           " knows; a hospital that learns classes has a task of its own");
  }
  std::vector<std::string> with = table.TextList("with", 1, kMaxSites - 1, kMaxNameBytes, kPlainNameRule);
  std::set<std::string> names(with.begin(), with.end());
  names.insert(site);
  if (names.size() != with.size() + 1) table.Fail("with", "names a hospital twice, or the task's own");
  return with;
}

}  // namespace

void CheckRule(const Settings& table, const Plan& plan, std::size_t task) {
  const std::size_t rehearsing = plan.Participants(task).size() - 1;
  if (rehearsing == 0) return;  // One update: there is nothing to merge.
  if (const auto why = WhyRuleCannotRun(MergeRuleOf(plan.tasks[task].rule), plan.aggregation.trim, rehearsing)) {
    table.Fail("rule",
               "cannot run in task " + std::to_string(task + 1) + ": " + *why + "; give the task rule = \"mean\"");
  }
}

TaskPlan ReadTask(const Settings& table, const Plan& plan) {
  TaskPlan task;
  task.site = table.Text("site", kMaxNameBytes, kPlainNameRule);
  task.with = ReadEquals(table, plan, task.site);
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

}  // namespace hemafed::plan_tables
