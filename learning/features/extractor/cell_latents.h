// learning/features/extractor/cell_latents.h
// SPDX-License-Identifier: Apache-2.0
//
// AE-CFE as an extractor (design 4.7): the detector finds the cell, its 256 x 14 x 14 features go through the
// autoencoder's encoder, and the latent is what a model sees (published-systems 3.1 to 3.3).
//
//     picture -> best scored box -> features of the pyramid there -> scaled to -1..1 -> encoder -> latent
//             -> spread, where the autoencoder's file says how (autoencoder/latent_scale.h)
//
// A picture in which no cell is found, or whose features are all the same, is taken whole; if even that has no features
// (a picture of one colour), its latent is 0. So every picture that training or a test counts has a latent.
//
// Errors: kInvalidInput, naming the file, where the autoencoder's latent has not the numbers that ae_cfe sees
// (kLatentChannels), or the detector's features are not what it takes; those of LoadDetector and LoadAutoencoder.
// Thread-safety: as LatentExtractor says.
#pragma once

#include <memory>

#include "common/file_system.h"
#include "learning/features/extractor/latent_extractor.h"

namespace hemafed::learning {

// Files as detection/detector_file.h and autoencoder/autoencoder_file.h write them. `side` in pixels: the squares that
// pictures are handed over as.
[[nodiscard]] std::unique_ptr<const LatentExtractor> LoadCellLatents(FileSystem& files, const Path& detector,
                                                                     const Path& autoencoder, std::uint32_t side);

}  // namespace hemafed::learning
