// site_agent/trainer/received_pictures.h
// SPDX-License-Identifier: Apache-2.0
//
// Exemplars of other hospitals that this trainer holds under the policy `sealed`, encrypted at rest with the vault's
// key. Kept is what training needs and no more: each picture as the tile that the plan's model takes (learning/data/
// tile_cache.h), not the file that came, and the lists it belongs to.
//
//     vault/received-<plan>/index.sealed       lists, as an exemplar store: domain = sender, source of an exemplar =
//                                              "<SHA-256 of the bundle>/<place in the bundle>"
//     vault/received-<plan>/<picture>.sealed   a tile: side * side * 3 bytes, R G B
//
// The index is written last, so tiles that it does not name are what an interrupted job left; Settle removes them.
//
// Errors: kCorrupt for an altered file or a wrong key; kNotFound for a tile that is gone. Thread-safety: ReadTile from
// several threads; the rest from one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "common/sealed_file.h"
#include "common/sha256.h"
#include "learning/continual/exemplar_store.h"

namespace hemafed::trainer {

// How the lists name where a received picture came from.
[[nodiscard]] std::string SourceInBundle(const Digest& bundle, std::uint64_t place);

class ReceivedPictures {
 public:
  // `vault` is the vault's folder, with its key. `files` is borrowed.
  ReceivedPictures(FileSystem& files, const Path& vault, const Digest& plan);

  // Nothing received yet: an empty store.
  [[nodiscard]] learning::ExemplarStore Lists() const;
  // Fills `out`, which has the tile's exact size; kCorrupt if the tile has another.
  void ReadTile(const Digest& picture, std::span<std::uint8_t> out) const;

  void PutTile(const Digest& picture, ByteView tile) const;
  // Removes the sender's pictures with these places in this bundle; returns how many were held. Durable.
  std::size_t Remove(const std::string& sender, const Digest& bundle, const std::vector<std::uint64_t>& places) const;
  // Makes these the lists, durably, and removes every tile that none of them names.
  void Settle(const learning::ExemplarStore& lists) const;

 private:
  [[nodiscard]] Path IndexFile() const { return folder_ / "index.sealed"; }
  [[nodiscard]] Path TileFile(const Digest& picture) const { return folder_ / (picture.Hex() + ".sealed"); }
  [[nodiscard]] std::string TileContext(const Digest& picture) const;

  FileSystem& files_;
  Path folder_;
  Digest plan_;
  SealKey key_;
};

}  // namespace hemafed::trainer
