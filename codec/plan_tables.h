// codec/plan_tables.h
// SPDX-License-Identifier: Apache-2.0
//
// The tables of a plan file (docs/plan.md), one function each. Used by codec/plan*.cc only.
//
// Errors: Error(kInvalidInput) naming the key. Thread-safety: free functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/plan.h"
#include "common/settings.h"

namespace hemafed::plan_tables {

inline constexpr std::int64_t kMaxSteps = 100'000;
inline constexpr std::int64_t kMaxBatch = 4096;
inline constexpr std::int64_t kMaxProbe = 10'000;  // Pictures that something is measured on.
inline constexpr double kMinRate = 1e-8, kMaxRate = 10;
inline constexpr double kMinGamma = 1e-6, kMaxGamma = 1000;  // Steps of a millionth: what reports can say.

inline constexpr TextRule kPlainNameRule{"1 to 48 of a-z, 0-9, '_' and '-', starting with a letter or digit",
                                         IsPlainName};

inline constexpr std::string_view kTrainsNothing = "strategy analytic, which trains nothing";
inline constexpr std::string_view kTrainsCells =
    "an autoencoder of cells, which has its own way to be trained and no classes";

// What would say nothing is refused; left in, it would be read as if it did.
void RefuseKeys(const Settings& table, const std::vector<std::string_view>& keys,
                std::string_view with = kTrainsNothing);

// plan_model.cc
[[nodiscard]] ModelPlan ReadModel(const Settings& table);
[[nodiscard]] TrainingPlan ReadTraining(const Settings& table);
[[nodiscard]] TrainingPlan ReadAutoencoderTraining(const Settings& table);
[[nodiscard]] TrainingPlan ReadThreadsOnly(const Settings& table);

// plan_strategy.cc
[[nodiscard]] StrategyPlan ReadStrategy(const Settings& table);
[[nodiscard]] RehearsalPlan ReadRehearsal(const Settings& table, StrategyKind strategy);

// plan_rules.cc
[[nodiscard]] AggregationRule ReadRule(const Settings& table, StrategyKind strategy,
                                       std::optional<std::size_t> fallback = {});
[[nodiscard]] AggregationPlan ReadAggregation(const Settings& table, const Plan& plan);
[[nodiscard]] RetentionPlan ReadRetention(const Settings& table, const Plan& plan);
[[nodiscard]] AbsencePlan ReadAbsence(const Settings& table, const Plan& plan);
[[nodiscard]] DriftPlan ReadDrift(const Settings& table, const Plan& plan);

// plan_tasks.cc
// `plan` holds what comes before: all tables, and the tasks so far.
[[nodiscard]] TaskPlan ReadTask(const Settings& table, const Plan& plan);
// A rule that the task's number of sites cannot support is refused here, not run degenerate.
void CheckRule(const Settings& table, const Plan& plan, std::size_t task);

}  // namespace hemafed::plan_tables
