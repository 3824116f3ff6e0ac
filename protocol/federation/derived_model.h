// protocol/federation/derived_model.h
// SPDX-License-Identifier: Apache-2.0
//
// Models that follow from others by the plan's strategy, as coordinator and auditor alike compute them from the log and
// its objects:
//
//     icarl      after a task: the trained trunk with the head of the nearest class means (codec/prototype_head.h)
//     wa         after a task that brought classes: new head rows aligned with old ones (codec/aligned_head.h)
//     slow_fast  after each round: the slow model follows the merged one (codec/slow_model.h); when a task opens, its
//                head grows as the base's does
//
// Errors: those of the codec. Thread-safety: free functions.
#pragma once

#include <functional>

#include "common/file_system.h"
#include "common/sha256.h"
#include "protocol/federation/federation_state.h"

namespace hemafed {

// Where an object lies, by its digest.
using ObjectPlace = std::function<Path(const Digest&)>;

// The model of the entry model_derived that is due; `model`: the trained one. Returns the digest of `out`.
[[nodiscard]] Digest DeriveModel(FileSystem& files, const FederationState& state, const ObjectPlace& object,
                                 const Path& model, const Path& out);

// The slow model after the open round ends with `model`.
[[nodiscard]] Digest SlowModelAfter(FileSystem& files, const FederationState& state, const Path& slow,
                                    const Path& model, const Path& out);

}  // namespace hemafed
