// protocol/log/tile_folder.cc
// SPDX-License-Identifier: Apache-2.0
#include "protocol/log/tile_folder.h"

#include <algorithm>
#include <span>
#include <utility>

#include "common/error.h"

namespace hemafed {

namespace {
constexpr std::size_t kTileBytes = kTileWidth * sizeof(Digest::bytes);
}  // namespace

std::optional<std::string> TileFolder::Read(const std::string& path, std::size_t limit_bytes) const {
  try {
    const auto file = files_->OpenForRead(folder_ / path);
    std::string content(std::min<std::uint64_t>(file->Size(), limit_bytes + 1), '\0');
    content.resize(file->ReadAt(0, {reinterpret_cast<std::uint8_t*>(content.data()), content.size()}));
    return content;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    return std::nullopt;
  }
}

std::optional<std::string> TileFolder::ReadTile(unsigned level, std::uint64_t index, unsigned width) const {
  if (auto tile = Read(TilePath(level, index, width), kTileBytes)) return tile;
  if (width == kTileWidth) return std::nullopt;
  auto full = Read(TilePath(level, index), kTileBytes);
  if (full && full->size() == kTileBytes) full->resize(width * sizeof(Digest::bytes));
  return full;
}

std::optional<std::string> TileFolder::ReadBundle(std::uint64_t index, unsigned width) const {
  if (auto bundle = Read(BundlePath(index, width), kMaxBundleBytes)) return bundle;
  if (width == kTileWidth) return std::nullopt;
  auto full = Read(BundlePath(index), kMaxBundleBytes);
  if (!full) return std::nullopt;
  BundleReader reader(*full);
  for (unsigned i = 0; i < width; ++i) {
    if (!reader.Next()) return full;
  }
  full->resize(full->size() - reader.bytes_left());
  return full;
}

bool TileFolder::Holds(const std::string& path, std::string_view content) const {
  if (const auto stored = Read(path, content.size())) return *stored == content;
  const auto suffix = path.find(".p/");
  const auto full = suffix == std::string::npos ? std::nullopt : Read(path.substr(0, suffix), kMaxBundleBytes);
  return full && full->starts_with(content);
}

void TileFolder::Write(const std::string& path, std::string_view content) const {
  const Path final_path = folder_ / path;
  const Path temporary = folder_ / "tile.tmp";
  files_->CreateFolders(final_path.parent_path());
  const auto file = files_->Create(temporary);
  file->Append(content);
  file->Close();
  files_->Rename(temporary, final_path);
}

void TileFolder::RemovePartials(const std::string& full_path) const { files_->Remove(folder_ / (full_path + ".p")); }

PerfectSubtrees TileFolder::Subtrees(std::uint64_t size) const {
  return [*this, size](unsigned level, std::uint64_t index) {
    // Level 8t + r of the tree is level t of the tiles, 2^r hashes at a time.
    const unsigned tile_level = level / 8;
    const unsigned count = 1u << (level % 8);
    const std::uint64_t first = index * count;
    const unsigned width = TileWidthAt(size, tile_level, first / kTileWidth);
    const auto bytes = ReadTile(tile_level, first / kTileWidth, width);
    const auto hashes = bytes ? DecodeTile(*bytes, width) : std::nullopt;
    if (!hashes || first % kTileWidth + count > width) {
      throw Error(ErrorCode::kCorrupt, (folder_ / TilePath(tile_level, first / kTileWidth, width)).string() +
                                           " is missing or has the wrong length; open the log with its writer to "
                                           "repair it, or get it again");
    }
    return CombineNodes(std::span(*hashes).subspan(first % kTileWidth, count));
  };
}

}  // namespace hemafed
