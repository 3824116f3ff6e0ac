// learning/features/extractor/cell_cache.h
// SPDX-License-Identifier: Apache-2.0
//
// The cells of one or more domains' pictures, described once and kept: a feature cache
// (learning/features/autoencoder/feature_cache.h), which the autoencoder learns from and whose latents a study
// compares.
//
// Of each picture the best scored cell is taken, as the published loader has exactly one. The target picture is cut out
// of the square that the detector saw, with the published margins (learning/features/cells/cell_crop.h); the published
// code cuts it out of the original picture, which differs by the scaling only.
//
// Without a GPU a picture takes about a third of a second, so nothing is done twice: what became of each picture stands
// in "<file>.pictures": 64 hexadecimal digits, the SHA-256 of everything that the cells depend on; then for each
// picture one byte (CellOutcome) and the SHA-256 of its record, zeros where it has none. A cache of other things is
// made anew, one that was interrupted goes on behind the last whole record; a power cut costs at most the last 200
// pictures.
//
// Errors: kInterrupted when `progress` asks to stop; kInvalidInput where the describer takes pictures of another size
// than the domains' tiles; those of FeatureCacheWriter and FileSystem. Thread-safety: free function; the result belongs
// to one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/file_system.h"
#include "learning/data/domain_pictures.h"
#include "learning/features/autoencoder/feature_cache.h"
#include "learning/features/extractor/cell_describer.h"

namespace hemafed::learning {

struct DomainCells {
  const DomainPictures* pictures = nullptr;
  std::vector<std::uint32_t> positions;  // of the index, ascending
  std::uint16_t domain = 0;              // number in the cache
};

// What became of a picture.
enum class CellOutcome : std::uint8_t {
  kCell,      // a record of its best cell
  kWhole,     // a record of the whole picture
  kNoCell,    // none was found: no record
  kUnusable,  // its features are all the same, not finite, or beyond the storage: no record
};

struct CellCacheSettings {
  FeatureStorage storage = FeatureStorage::kFloat16;
  // Whether a picture without a usable cell is taken whole, as latents are (cell_latents.h), or left out, as published.
  bool take_whole = false;
  // Whether the target picture is the cell's box with its margins (columns "BB" of the thesis's table 3.1) or the whole
  // picture.
  bool crop_to_box = true;
};

struct CellCache {
  FeatureCache cells;
  std::vector<CellOutcome> outcomes;  // of each picture, sources one after another

  [[nodiscard]] std::uint64_t Count(CellOutcome outcome) const;
  // Number of each picture's record in `cells`.
  [[nodiscard]] std::vector<std::optional<std::uint32_t>> Records() const;
};

// Reads `file`, or makes it. `progress(done, total)` in pictures; false stops. Sources are borrowed during the call.
[[nodiscard]] CellCache OpenCellCache(FileSystem& files, const Path& file, const CellDescriber& describer,
                                      std::span<const DomainCells> sources, const CellCacheSettings& settings = {},
                                      const ImportProgress& progress = {});

}  // namespace hemafed::learning
