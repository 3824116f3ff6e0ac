// learning/data/tile_cache.h
// SPDX-License-Identifier: Apache-2.0
//
// Pictures at the size the model takes, decoded once and kept as bytes: training reads them without a decoder. One file
// for each (index, side, crop):
//
//   offset  bytes
//        0      8   "HFTILES1"
//        8      4   side in pixels, little-endian
//       12      4   crop in pixels, 0 for none, little-endian
//       16      4   number of tiles, little-endian
//       20      4   0
//       24     32   digest of the index (dataset_index.h)
//       56      n   tiles in the order of the index: side * side * 3 bytes, rows from the top, R G B for each pixel
//   56 + n     32   SHA-256 of everything before
//
// A file that is missing, damaged, or of another index is made again; it appears by rename, so it is never seen in
// part.
//
// From picture to tile: the middle square of `crop` pixels (25 um are 345 px in Matek-19, 288 in INT-20, 250 in
// Acevedo-20), or as much of it as the picture has; with crop 0 the whole picture, its aspect ratio lost as in the
// published systems. Then resized: averaging over areas where both sides shrink, bilinear otherwise.
//
// Memory: one decoded picture and one tile while building, one tile while reading (the system's page cache holds the
// rest). Bits: the same on one machine class.
//
// Errors: Error(kConflict) a picture is not what the index says (changed or moved since the import): import again;
// kNoSpace; kInterrupted when `progress` asks to stop, and then nothing is left but a ".tmp" file.
// Thread-safety: Read() may be called from any thread, also several at once and through copies, which share the file;
// the rest belongs to one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <opencv2/core/mat.hpp>
#include <span>

#include "common/file_system.h"
#include "learning/data/dataset_index.h"
#include "learning/data/import.h"

namespace hemafed::learning {

// Sides of a tile in pixels: what a plan may ask for as input.
inline constexpr std::uint32_t kMinTileSide = 16;
inline constexpr std::uint32_t kMaxTileSide = 1024;
inline constexpr std::uint32_t kMaxCropPixels = 4096;

struct TileShape {
  std::uint32_t side = 128;  // pixels of the tile
  std::uint32_t crop = 0;    // pixels of the picture, 0 for all of it

  [[nodiscard]] std::size_t Bytes() const { return std::size_t{side} * side * 3; }
};

// RGB (CV_8UC3) in, RGB of side x side out.
[[nodiscard]] cv::Mat MakeTile(const cv::Mat& picture, const TileShape& shape);

class TileCache {
 public:
  // Opens the cache of `index` below `cache_folder`, after building it from `pictures_folder` if it must be.
  [[nodiscard]] static TileCache OpenOrBuild(FileSystem& files, const Path& pictures_folder, const DatasetIndex& index,
                                             const TileShape& shape, const Path& cache_folder,
                                             const ImportProgress& progress = {});

  // Whether OpenOrBuild found it ready.
  [[nodiscard]] bool was_ready() const { return was_ready_; }
  [[nodiscard]] const TileShape& shape() const { return shape_; }
  [[nodiscard]] std::uint32_t size() const { return count_; }
  [[nodiscard]] const Path& path() const { return path_; }
  // Fills `out`, exactly shape().Bytes() long, with tile `position` of the index.
  void Read(std::uint32_t position, std::span<std::uint8_t> out) const;

 private:
  // A file object belongs to one thread at a time (common/file_system.h); a read is a copy from the system's memory.
  struct SharedFile {
    std::unique_ptr<const ReadableFile> file;
    mutable std::mutex mutex;
  };

  TileCache() = default;

  Path path_;
  TileShape shape_;
  std::uint32_t count_ = 0;
  bool was_ready_ = false;
  std::shared_ptr<const SharedFile> file_;
};

}  // namespace hemafed::learning
