// learning/models/model_file.h
// SPDX-License-Identifier: Apache-2.0
//
// A classifier as a safetensors file, and back. The file's metadata names the architecture
// ("hemafed.architecture"), the number of features ("hemafed.feature_width", decimal), so that a program without
// LibTorch can grow the head (codec/head_growth.h), and the normalisation ("hemafed.normalisation"). The last is not
// written for efficientnet_lite0 with batch_frozen and small_cnn with group_ws, which is what its absence means there:
// signed plans name digests of such files from before there was a choice. Tensors are in canonical order
// (architecture.h) and float32; the same parameters and metadata give the same bytes on every machine.
//
// Reading takes nothing on trust: every tensor's name, type and shape is compared with the architecture, a missing or
// surplus tensor is named, and values must be finite. The head may have any number of rows, or be missing.
//
// Errors: Error(kInvalidInput) with the path; those of FileSystem.
// Thread-safety: free functions.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "common/file_system.h"
#include "common/sha256.h"
#include "learning/models/classifier.h"

namespace hemafed::learning {

inline constexpr std::string_view kArchitectureKey = "hemafed.architecture";
inline constexpr std::string_view kNormalisationKey = "hemafed.normalisation";

[[nodiscard]] Classifier LoadModel(FileSystem& files, const Path& path);

// Writes the whole file beside `path`, then renames; afterwards it is durable. `notes` are further metadata (where the
// weights came from); they must not set the three keys above. Returns the file's SHA-256. Tensors must be float32.
Digest SaveModel(FileSystem& files, const Path& path, const Classifier& model,
                 const std::map<std::string, std::string>& notes = {});

// Initial weights of a network that trains from scratch, computed from `seed` alone and therefore the same everywhere:
//
//     w[e] = float32( sqrt(6 / fan_in) * (2 u - 1) ),   u = (word >> 8) / 2^24       (Kaiming-uniform, He et al. 2015)
//
// where word is word e % 4 of Philox4x32-10(key = seed, counter = (e / 4, t, 0, 0)), e counts the tensor's elements in
// row-major order and t the tensors in canonical order, running statistics left out: the same weights under every
// normalisation. Scales are 1, shifts and running means 0, running variances 1; there is no head: the coordinator grows
// it. Throws kInvalidInput for batch_frozen, whose statistics would never become those of any picture. Without a
// normalisation: NormalisationOf(architecture).
[[nodiscard]] Classifier InitialModel(Architecture architecture, std::uint64_t seed, Normalisation normalisation);
[[nodiscard]] Classifier InitialModel(Architecture architecture, std::uint64_t seed);
// The same as a file, with the seed among its metadata.
Digest WriteInitialModel(FileSystem& files, const Path& path, Architecture architecture, std::uint64_t seed,
                         Normalisation normalisation);
Digest WriteInitialModel(FileSystem& files, const Path& path, Architecture architecture, std::uint64_t seed);

}  // namespace hemafed::learning
