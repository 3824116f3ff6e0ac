// protocol/log/tiles.h
// SPDX-License-Identifier: Apache-2.0
//
// Names and bytes of the published log (https://c2sp.org/tlog-tiles). Paths are relative to the log's folder.
//
//   tile/<level>/<index>[.p/<width>]     width * 32 bytes: consecutive hashes
//   tile/entries/<index>[.p/<width>]     width entries, each a u16 big-endian length and its bytes
//
// Hash i of tile (level, index) is the root over entries [(index*256 + i) * 256^level, (index*256 + i + 1) *
// 256^level). A tile of 256 is full; the last one of a level is partial, at most 255 wide, and there is none of width
// 0. Indexes are written in groups of three digits, all but the last with an x: 1234067 is x001/x234/067.
//
// Thread-safety: free functions; a BundleReader belongs to one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/sha256.h"

namespace hemafed {

inline constexpr unsigned kTileWidth = 256;
// Levels that a tree of fewer than 2^64 entries can have.
inline constexpr unsigned kTileLevels = 8;
// Bytes of one log entry. The format's u16 could hold 65,535; larger content is an object named by its digest.
inline constexpr std::size_t kMaxEntryBytes = 60'000;
inline constexpr std::size_t kMaxBundleBytes = kTileWidth * (2 + kMaxEntryBytes);

// Width 1..255 names a partial tile, kTileWidth a full one.
[[nodiscard]] std::string TilePath(unsigned level, std::uint64_t index, unsigned width = kTileWidth);
[[nodiscard]] std::string BundlePath(std::uint64_t index, unsigned width = kTileWidth);

// Width of tile (level, index) in a log of `size` entries; 0 where there is none.
[[nodiscard]] unsigned TileWidthAt(std::uint64_t size, unsigned level, std::uint64_t index);

[[nodiscard]] std::string EncodeTile(std::span<const Digest> hashes);
// Exactly `width` hashes, or nothing.
[[nodiscard]] std::optional<std::vector<Digest>> DecodeTile(std::string_view bytes, unsigned width);

// Appends one entry of 1..kMaxEntryBytes to a bundle; throws kInvalidInput for another size.
void AppendToBundle(std::string& bundle, std::string_view entry);

// Reads a bundle entry by entry, so that what precedes damage can still be compared.
class BundleReader {
 public:
  explicit BundleReader(std::string_view bundle) : rest_(bundle) {}
  // The next entry; nothing at the end, or where length and bytes do not fit (then AtEnd() is false).
  [[nodiscard]] std::optional<std::string_view> Next();
  [[nodiscard]] bool AtEnd() const { return rest_.empty(); }
  [[nodiscard]] std::size_t bytes_left() const { return rest_.size(); }

 private:
  std::string_view rest_;
};

}  // namespace hemafed
