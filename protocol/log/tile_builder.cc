// protocol/log/tile_builder.cc
// SPDX-License-Identifier: Apache-2.0
#include "protocol/log/tile_builder.h"

#include <optional>

#include "protocol/log/merkle.h"

namespace hemafed {

void TileBuilder::Add(std::string_view entry, const Digest& leaf, const Emit& full) {
  AppendToBundle(bundle_, entry);
  std::uint64_t index = size_ / kTileWidth;
  ++size_;
  Digest hash = leaf;
  for (unsigned level = 0; level < kTileLevels; ++level, index /= kTileWidth) {
    std::vector<Digest>& tile = last_[level];
    tile.push_back(hash);
    changed_[level] = true;
    if (tile.size() < kTileWidth) return;
    if (level == 0) {
      full(BundlePath(index), bundle_);
      bundle_.clear();
    }
    full(TilePath(level, index), EncodeTile(tile));
    hash = CombineNodes(tile);
    tile.clear();
  }
}

void TileBuilder::EmitPartials(const Emit& partial) {
  for (unsigned level = 0; level < kTileLevels; ++level) {
    const std::vector<Digest>& tile = last_[level];
    if (!changed_[level]) continue;
    changed_[level] = false;
    if (tile.empty()) continue;
    const auto width = static_cast<unsigned>(tile.size());
    const std::uint64_t index = (size_ >> (8 * level)) / kTileWidth;
    if (level == 0) partial(BundlePath(index, width), bundle_);
    partial(TilePath(level, index, width), EncodeTile(tile));
  }
}

Digest TileBuilder::root() const { return RootOfPartials(last_); }

Digest RootOfPartials(const std::array<std::vector<Digest>, kTileLevels>& last) {
  // What lies right of a level's perfect subtrees is one incomplete subtree, smaller than each of them. A tree splits
  // such a row as it splits leaves, so from the lowest level up each row is combined and handed on as one hash.
  std::optional<Digest> rest;
  for (const std::vector<Digest>& tile : last) {
    std::vector<Digest> row = tile;
    if (rest) row.push_back(*rest);
    if (!row.empty()) rest = CombineNodes(row);
  }
  return rest.value_or(EmptyRoot());
}

}  // namespace hemafed
