// codec/aggregate.h
// SPDX-License-Identifier: Apache-2.0
//
// Applies the step of one round (codec/merge.h) to the model (design 4.5, 11.11):
//
//     theta' = float32(double(theta) + double(step) * 2^-22)         both conversions half to even
//
// Tensors outside the layout (normalisation buffers, counters) and the metadata are copied as they are. The same
// updates give the same bytes on any machine, in whatever order they are named.
//
// Everything streams from disk in blocks: memory (about 1 MB) grows neither with the model nor with the sites.
//
// Errors: those of codec/merge.h; kInvalidInput for a layout that does not fit the base, and for a value that is not
// finite (the message names it). Thread-safety: free function; it runs one more thread of its own, and uses `files`
// from both. On an error a partial output is left behind.
#pragma once

#include <optional>

#include "codec/exact.h"
#include "codec/merge.h"
#include "codec/update.h"
#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed {

struct AggregateResult {
  Digest step;               // Of what was applied, in canonical form: SHA-256 over little-endian int32.
  Digest model;              // SHA-256 of the new model file.
  UInt128 squared_norm = 0;  // Sum of squared steps.
};

// Writes the new model to `out`, and the steps in canonical form to `step_file` if one is given.
[[nodiscard]] AggregateResult Aggregate(FileSystem& files, const Path& base, const UpdateLayout& layout,
                                        const Merge& merge, const Path& out,
                                        const std::optional<Path>& step_file = std::nullopt,
                                        Durability durability = Durability::kSynced);

}  // namespace hemafed
