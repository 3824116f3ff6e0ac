// protocol/log/tile_folder.h
// SPDX-License-Identifier: Apache-2.0
//
// Tiles and entry bundles in a folder. A partial tile stays until the full one is there, as the format asks, so a
// reader with an older checkpoint finds its tiles; after that the full tile, cut to the width, stands in for it.
//
// Writing: to a temporary name, then renamed, not synced (round_log_writer.h says why that is enough).
// Errors: as FileSystem's. Thread-safety: as FileSystem's; holds no state beside the folder's name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/file_system.h"
#include "protocol/log/merkle.h"
#include "protocol/log/tiles.h"

namespace hemafed {

class TileFolder {
 public:
  TileFolder(FileSystem& files, Path folder) : files_(&files), folder_(std::move(folder)) {}

  [[nodiscard]] FileSystem& files() const { return *files_; }
  [[nodiscard]] const Path& folder() const { return folder_; }

  // Bytes as stored, unchecked, of the partial or the full file; nothing if neither is there. A file larger than any
  // of its kind comes back cut, still too large to be decoded.
  [[nodiscard]] std::optional<std::string> ReadTile(unsigned level, std::uint64_t index, unsigned width) const;
  [[nodiscard]] std::optional<std::string> ReadBundle(std::uint64_t index, unsigned width) const;

  // Content of one file, at most `limit_bytes` + 1 of it; nothing if it is not there.
  [[nodiscard]] std::optional<std::string> Read(const std::string& path, std::size_t limit_bytes) const;
  // Whether a reader would get this content for a tile or bundle, from the partial or from the full file.
  [[nodiscard]] bool Holds(const std::string& path, std::string_view content) const;
  void Write(const std::string& path, std::string_view content) const;
  // Removes the partial forms of a tile or bundle whose full form has this path.
  void RemovePartials(const std::string& full_path) const;

  // Roots of perfect subtrees out of the tiles of a log with `size` entries. Throws kCorrupt where a tile is missing or
  // has another length; hashes are not checked, a proof made of them is.
  [[nodiscard]] PerfectSubtrees Subtrees(std::uint64_t size) const;

 private:
  FileSystem* files_;
  Path folder_;
};

}  // namespace hemafed
