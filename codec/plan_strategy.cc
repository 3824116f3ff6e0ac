// SPDX-License-Identifier: Apache-2.0
//
// Of a plan: what counters forgetting, and what is rehearsed.
#include <cmath>
#include <string>

#include "codec/exact.h"
#include "codec/plan_tables.h"
#include "codec/projection.h"
#include "codec/ridge_head.h"
#include "codec/sealed_bundle.h"
#include "codec/slow_model.h"

namespace hemafed {

namespace {

const std::vector<std::string_view> kStrategyNames{"finetuning", "uacl",  "replay", "analytic",  "icarl",
                                                   "ewc",        "derpp", "wa",     "slow_fast", "alignment"};

}  // namespace

std::string_view StrategyName(StrategyKind kind) noexcept { return kStrategyNames[static_cast<std::size_t>(kind)]; }

namespace plan_tables {

namespace {

constexpr double kMaxImportance = 1e9;  // Of EWC; published values are 10^2 to 10^4.
constexpr double kMaxLossWeight = 1000;
// Taps of the structural similarity, at most half of the pictures that it compares; 10 as published.
constexpr std::int64_t kMinWindow = 1, kMaxWindow = 64;
constexpr double kMinTemperature = 0.1, kMaxTemperature = 100;
constexpr std::int64_t kMaxPasses = 100;
constexpr std::int64_t kMaxExemplars = 10'000;
constexpr std::int64_t kMaxBudget = 100'000;  // Of all hospitals; the vault's own limit (exemplar_store.h).

}  // namespace

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
    case StrategyKind::kAlignment:
      strategy.beta = table.Number("beta", 0, kMaxLossWeight);
      strategy.window = static_cast<std::uint32_t>(table.Integer("window", kMinWindow, kMaxWindow));
      if (strategy.beta > 0) {
        strategy.source = table.Text("source", kMaxNameBytes, kPlainNameRule);
      } else if (table.Has("source")) {
        table.Fail("source", "means nothing with beta 0, which aligns no hospitals: take it out");
      }
      break;
  }
  return strategy;
}

RehearsalPlan ReadRehearsal(const Settings& table, StrategyKind strategy) {
  RehearsalPlan rehearsal;
  rehearsal.policy = static_cast<RehearsalPolicy>(table.Choice("policy", {"none", "local", "federated", "sealed"}));
  const bool rehearses = strategy != StrategyKind::kFinetuning && strategy != StrategyKind::kAnalytic &&
                         strategy != StrategyKind::kEwc && strategy != StrategyKind::kAlignment;
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

}  // namespace plan_tables

}  // namespace hemafed
