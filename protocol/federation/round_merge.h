// protocol/federation/round_merge.h
// SPDX-License-Identifier: Apache-2.0
//
// How the open round's accepted updates are merged, as coordinator and auditor alike derive it from the log: rule and
// settings from the plan, weights from the updates' signed reports (design 4.4).
//
//     mean, median, trimmed_mean    weights by pictures (codec/integer_weights.h)
//     distillation                  for each tensor by pictures times sensitivity; by pictures while there is no
//     teacher
//
// Errors: Error(kInvalidInput) if reports do not fit the layout; Intake has refused such updates before.
// Thread-safety: free function.
#pragma once

#include <functional>
#include <optional>

#include "codec/merge.h"
#include "codec/update.h"
#include "protocol/federation/federation_state.h"

namespace hemafed {

// `values`: where an update's integers lie, by their digest. `previous_step`: the last round's, where the plan has
// server momentum and the task had a round before.
[[nodiscard]] Merge MergeOfRound(const FederationState& state, const std::function<Path(const Digest&)>& values,
                                 const std::optional<Path>& previous_step);

}  // namespace hemafed
