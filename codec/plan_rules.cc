// SPDX-License-Identifier: Apache-2.0
//
// Of a plan: how updates are merged and checked, who is waited for, and what is compared before training.
#include <cmath>
#include <string>

#include "codec/drift_report.h"
#include "codec/exact.h"
#include "codec/merge.h"
#include "codec/plan_tables.h"

namespace hemafed {

namespace {

const std::vector<std::string_view> kRuleNames{"mean", "distillation", "median", "trimmed_mean"};

}  // namespace

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

namespace plan_tables {

namespace {

constexpr double kMaxRise = 1000;  // Nats; reports say no more.
// Above it a step echoes for more than a hundred rounds.
constexpr double kMaxServerMomentum = 0.99;
constexpr std::int64_t kMaxAbsenceSeconds = 30ll * 24 * 3600;  // Longer than any hospital's maintenance.

}  // namespace

AggregationRule ReadRule(const Settings& table, StrategyKind strategy, std::optional<std::size_t> fallback) {
  const auto rule = static_cast<AggregationRule>(table.Choice("rule", kRuleNames, fallback));
  const bool by_sigmoids = strategy == StrategyKind::kUacl || strategy == StrategyKind::kIcarl;
  if (rule == AggregationRule::kDistillation && !by_sigmoids) {
    table.Fail("rule", "distillation needs a strategy that distils by sigmoids: uacl or icarl");
  }
  // The votes of the others are among sites that rehearse; here all learn.
  if (strategy == StrategyKind::kAlignment && rule != AggregationRule::kMean) {
    table.Fail("rule", "votes among rehearsing sites, but all sites that train an autoencoder are equals: use mean");
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

AbsencePlan ReadAbsence(const Settings& table, const Plan& plan) {
  AbsencePlan absence;
  absence.rehearsing = static_cast<AbsenceRule>(table.Choice("rehearsing", {"wait", "skip", "pause"}));
  absence.skips_evaluations = table.Choice("evaluating", {"wait", "skip"}) == 1;
  absence.joins_late = table.Choice("joining", {"first_task", "own_task"}) == 1;
  if (plan.TrainsAutoencoder() && absence.skips_evaluations) {
    table.Fail("evaluating", "nobody scores an autoencoder: use wait");
  }
  if (plan.TrainsAutoencoder() && absence.joins_late) {
    table.Fail("joining", "there is one task, and all hospitals train in it: use first_task");
  }
  if (absence.rehearsing != AbsenceRule::kWait || absence.skips_evaluations) {
    absence.after_s = static_cast<std::uint32_t>(table.Integer("after_s", 1, kMaxAbsenceSeconds));
  }
  return absence;
}

DriftPlan ReadDrift(const Settings& table, const Plan& plan) {
  if (!plan.model.extractor) {
    table.Fail("permutations", "are of a test between latents, which only the architecture " +
                                   std::string(kLatentArchitecture) + " has: take the table out");
  }
  return {.permutations =
              static_cast<std::uint32_t>(table.Integer("permutations", kMinPlanPermutations, kMaxPlanPermutations)),
          .rows = static_cast<std::uint32_t>(table.Integer("rows", static_cast<std::int64_t>(kMinDriftRows),
                                                           static_cast<std::int64_t>(kMaxDriftRows)))};
}

}  // namespace plan_tables

}  // namespace hemafed
