// learning/features/extractor/latent_table.h
// SPDX-License-Identifier: Apache-2.0
//
// The latents of all pictures of one domain, computed once and kept in a file beside the tiles: a safetensors file with
// the tensors "latents" [pictures, width] float32 and "of" [pictures] uint8 (LatentOf) in the order of the index, whose
// metadata names the extractor, the index and the digest of both. A file of another extractor or index, or one that is
// damaged, is made anew.
//
// Computing takes about a third of a second a picture without a GPU, so what is done is kept at once, in "<file>.part":
// its first 64 bytes are SHA-256 of the extractor's digest, of the index's and the width, in hex; then for each picture
// the latent, one byte (LatentOf) and SHA-256 of the two. Rows are taken from it as far as they are whole and their
// digests fit.
//
// Errors: kInterrupted when `progress` asks to stop; kInvalidInput where the extractor takes pictures of another size
// than the domain's tiles; those of FileSystem. Thread-safety: immutable once made.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "learning/data/domain_pictures.h"
#include "learning/features/extractor/latent_extractor.h"

namespace hemafed::learning {

class LatentTable {
 public:
  // Reads `file`, or computes and writes it. `progress(done, total)` in pictures; false stops.
  LatentTable(FileSystem& files, const DomainPictures& pictures, const LatentExtractor& extractor, const Path& file,
              const ImportProgress& progress);

  [[nodiscard]] std::size_t width() const { return width_; }
  // Of one position of the index.
  [[nodiscard]] std::span<const float> At(std::uint32_t position) const {
    return std::span(values_).subspan(position * width_, width_);
  }
  // How many pictures have a latent of each kind.
  [[nodiscard]] std::size_t Count(LatentOf of) const;

 private:
  std::size_t width_;
  std::vector<float> values_;     // [pictures, width]
  std::vector<std::uint8_t> of_;  // [pictures], LatentOf
};

}  // namespace hemafed::learning
