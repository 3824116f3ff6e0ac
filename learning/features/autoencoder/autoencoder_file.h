// learning/features/autoencoder/autoencoder_file.h
// SPDX-License-Identifier: Apache-2.0
//
// An autoencoder as a safetensors file, and back. Metadata: "hemafed.architecture" = "cell_autoencoder" and
// "hemafed.feature_width" = the latent's size in decimal, so that a program without LibTorch can put a head on its
// latents (codec/head_growth.h). Tensors are in canonical order (cell_autoencoder.h) and float32; the same parameters
// and metadata give the same bytes on every machine. Two further tensors may follow: how an extractor spreads the
// latents (latent_scale.h).
//
// Reading takes nothing on trust: the latent's size is bounded before anything is reserved, every tensor's name, type
// and shape is compared, a missing or surplus tensor is named, and values must be finite.
//
// Errors: Error(kInvalidInput) with the path; those of FileSystem. Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/file_system.h"
#include "common/sha256.h"
#include "learning/features/autoencoder/cell_autoencoder.h"
#include "learning/features/autoencoder/latent_scale.h"

namespace hemafed::learning {

inline constexpr std::string_view kAutoencoderName = "cell_autoencoder";

// The network alone; a scale is looked at, not returned.
[[nodiscard]] CellAutoencoder LoadAutoencoder(FileSystem& files, const Path& path);
// What the file says of its latents' scale; none in files of autoencoders that are still to be trained. The network's
// tensors are not read.
[[nodiscard]] std::optional<LatentScale> LoadLatentScale(FileSystem& files, const Path& path);

// Writes the whole file beside `path`, then renames; afterwards it is durable. `notes` are further metadata; they must
// not set the two keys above. Returns the file's SHA-256.
Digest SaveAutoencoder(FileSystem& files, const Path& path, const CellAutoencoder& model,
                       const std::map<std::string, std::string>& notes = {},
                       const std::optional<LatentScale>& scale = {});

// Weights to train from, from `seed` alone: PyTorch's rule for convolutions and transposed convolutions
// (uniform_weights.h) with the fan-in that AutoencoderTensors() gives, the tensor's place in canonical order as its
// number; scales of the normalisation are 1, shifts 0.
[[nodiscard]] CellAutoencoder InitialAutoencoder(std::int64_t latent_size, std::uint64_t seed);

// SHA-256 over the names and float32 values in canonical order: which weights these are, without a file.
[[nodiscard]] Digest DigestOfAutoencoder(const CellAutoencoder& model);

}  // namespace hemafed::learning
