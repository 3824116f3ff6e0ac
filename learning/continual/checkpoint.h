// learning/continual/checkpoint.h
// SPDX-License-Identifier: Apache-2.0
//
// A checkpoint on disk: tensors by name in a safetensors file, everything else in a JSON file that names it by SHA-256.
//
//     checkpoint.json        {"fields": {...}, "format": "hemafed.checkpoint.1", "sha256": "...", "tensors": NAME}
//
//     state-7.safetensors    the tensors that NAME says; the number counts up
//
// Writing puts the new tensors beside the old ones, makes them durable, then replaces checkpoint.json in one rename,
// and only then removes the old tensors: at every moment the folder holds one whole checkpoint, the old one or the new.
// A disk that fills up leaves the old one; what was written of the new one is removed.
//
// Reading takes nothing on trust: the digest of the tensor file is computed before a value is used.
//
// Errors: kNotFound without a checkpoint; kCorrupt if the tensors do not have the digest; kInvalidInput for JSON of
// another form or tensors of a type that is not float32, float64 or int64; those of FileSystem (kNoSpace on a full
// disk). Thread-safety: one thread per folder.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "common/file_system.h"
#include "learning/continual/tensor_map.h"

namespace hemafed::learning {

// Largest checkpoint.json in bytes: the exemplars of the largest store, twice escaped, and room for the rest.
inline constexpr std::uint64_t kMaxCheckpointJsonBytes = 96u << 20;

struct Checkpoint {
  nlohmann::json fields;
  TensorMap tensors;
};

[[nodiscard]] bool HasCheckpoint(FileSystem& files, const Path& folder);
// Creates the folder if it is missing; folders above it that are missing too are created, but only the one directly
// above is synced.
void WriteCheckpoint(FileSystem& files, const Path& folder, const Checkpoint& checkpoint);
// Its files; the folder stays. None there is no error.
void RemoveCheckpoint(FileSystem& files, const Path& folder);
[[nodiscard]] Checkpoint ReadCheckpoint(FileSystem& files, const Path& folder);

}  // namespace hemafed::learning
