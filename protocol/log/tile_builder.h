// protocol/log/tile_builder.h
// SPDX-License-Identifier: Apache-2.0
//
// Grows a log entry by entry and yields its tiles and bundles: the one place that knows which bytes a log of given
// entries has. The writer publishes what it yields, recovery and the auditor compare it with what is there.
//
// Memory: the bundle being filled and one tile a level; nothing else of the log.
// Thread-safety: one thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/sha256.h"
#include "protocol/log/tiles.h"

namespace hemafed {

class TileBuilder {
 public:
  // `path` as TilePath and BundlePath write it.
  using Emit = std::function<void(const std::string& path, std::string_view content)>;

  // Adds the next entry with its leaf hash; each bundle and tile that it fills goes to `full`.
  void Add(std::string_view entry, const Digest& leaf, const Emit& full);
  // Yields the partial bundle and tiles that changed since the last call.
  void EmitPartials(const Emit& partial);

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] Digest root() const;

 private:
  std::uint64_t size_ = 0;
  std::string bundle_;
  std::array<std::vector<Digest>, kTileLevels> last_;  // Hashes of the last tile of each level, fewer than kTileWidth.
  std::array<bool, kTileLevels> changed_{};
};

// The root of a log out of its last, partial tiles: `last[l]` are the hashes of the partial tile of level l.
[[nodiscard]] Digest RootOfPartials(const std::array<std::vector<Digest>, kTileLevels>& last);

}  // namespace hemafed
