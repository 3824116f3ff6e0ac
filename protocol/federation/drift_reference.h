// protocol/federation/drift_reference.h
// SPDX-License-Identifier: Apache-2.0
//
// What a hospital's latents were compared with, as coordinator and auditor recompute it from the moments in the log.
//
// Errors: Error(kCorrupt) where a stored object of moments is missing or not what the log says; those of `open`.
// Thread-safety: free function.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "codec/drift_report.h"
#include "common/file_system.h"
#include "protocol/federation/federation_state.h"

namespace hemafed {

// Why what the open task's site says is not about the moments of state.described(), in their order; nothing if it is.
[[nodiscard]] std::optional<std::string> WhyAnotherReference(
    const FederationState& state, const DriftAnswer& answer,
    const std::function<std::unique_ptr<ReadableFile>(const Digest&)>& open);

}  // namespace hemafed
