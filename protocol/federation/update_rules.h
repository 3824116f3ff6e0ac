// protocol/federation/update_rules.h
// SPDX-License-Identifier: Apache-2.0
//
// What an update must keep to that only its integers show: coordinator and auditor ask the same question.
//
//     probe       can be what the formulas give (codec/reports.h)
//     norm        at most the plan's bound, which may be tighter for sites that rehearse; the reason names the tensor
//                 with the largest share
//     retreat     of a rehearsing site: takes back at most the plan's share of what the task has taught so far
//                 (codec/retreat.h)
//     freshness   not the integers of an update that was taken before: a stale one, or another lab's. Integers that are
//                 all zero may come again: a lab whose steps are below the grid
//
// Errors: those of RetreatOf. Thread-safety: free function.
#pragma once

#include <optional>
#include <string>

#include "codec/reports.h"
#include "codec/update.h"
#include "common/safetensors.h"
#include "protocol/federation/federation_state.h"

namespace hemafed {

// Where a round stands in its task.
struct TaskModels {
  const SafetensorsReader& now;    // The round's base.
  const SafetensorsReader& first;  // The task's.
};

// Nothing, or the rule that the update breaks. `raw`: its integers in canonical form; `layout` that of the round's
// base; `site` is who sent it.
[[nodiscard]] std::optional<std::string> WhyNotTaken(const FederationState& state, const std::string& site,
                                                     const UpdateReport& report, const ReadableFile& raw,
                                                     const UpdateLayout& layout, const TaskModels& models);

}  // namespace hemafed
