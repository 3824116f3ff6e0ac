// protocol/log/round_log_reader.cc
// SPDX-License-Identifier: Apache-2.0
#include "protocol/log/round_log_reader.h"

#include <array>
#include <utility>

#include "common/error.h"
#include "protocol/log/merkle.h"
#include "protocol/log/tile_builder.h"
#include "protocol/log/tiles.h"

namespace hemafed {

namespace {

constexpr const char* kCheckpointName = "checkpoint";
constexpr const char* kAdvice = "; get this file again from the coordinator or a mirror";

LogDefect BadEntry(std::uint64_t entry, const std::string& file, const std::string& what) {
  return {LogDefect::Place::kEntry, entry, file, "entry " + std::to_string(entry) + " in " + file + " " + what};
}

LogDefect BadTile(const std::string& file, const std::string& what) {
  return {LogDefect::Place::kTile, std::nullopt, file, file + " " + what + kAdvice};
}

LogDefect BadHistory(const std::string& what) {
  return {LogDefect::Place::kHistory, std::nullopt, kCheckpointName, what};
}

}  // namespace

// One walk from the signed root down to the entries.
class RoundLogReader::Pass {
 public:
  explicit Pass(const RoundLogReader& log)
      : tiles_(log.tiles_), size_(log.checkpoint_.size), root_(log.checkpoint_.root) {}

  // Path of the first tile that the root does not prove, if there is one.
  [[nodiscard]] std::optional<std::string> LoadPartials() {
    std::optional<std::string> lowest;
    for (unsigned level = 0; level < kTileLevels; ++level) {
      const std::uint64_t index = (size_ >> (8 * level)) / kTileWidth;
      const unsigned width = TileWidthAt(size_, level, index);
      if (width == 0) continue;
      if (!lowest) lowest = TilePath(level, index, width);
      if (!Load(level, index, width, partials_[level])) return TilePath(level, index, width);
    }
    return RootOfPartials(partials_) == root_ ? std::nullopt : lowest;
  }

  // Makes tile (level, index) the proven one of its level; the path of the tile that fails, if one does.
  [[nodiscard]] std::optional<std::string> Prove(unsigned level, std::uint64_t index) {
    if (TileWidthAt(size_, level, index) < kTileWidth) {
      proven_[level] = {index, partials_[level]};
      return std::nullopt;
    }
    if (!proven_[level].hashes.empty() && proven_[level].index == index) return std::nullopt;
    if (auto failed = Prove(level + 1, index / kTileWidth)) return failed;
    std::vector<Digest> hashes;
    if (!Load(level, index, kTileWidth, hashes) ||
        CombineNodes(hashes) != proven_[level + 1].hashes[index % kTileWidth]) {
      return TilePath(level, index);
    }
    proven_[level] = {index, std::move(hashes)};
    return std::nullopt;
  }

  [[nodiscard]] const std::vector<Digest>& leaves() const { return proven_[0].hashes; }

 private:
  struct Tile {
    std::uint64_t index = 0;
    std::vector<Digest> hashes;
  };

  bool Load(unsigned level, std::uint64_t index, unsigned width, std::vector<Digest>& out) const {
    const auto bytes = tiles_.ReadTile(level, index, width);
    auto hashes = bytes ? DecodeTile(*bytes, width) : std::nullopt;
    if (hashes) out = *std::move(hashes);
    return hashes.has_value();
  }

  const TileFolder& tiles_;
  std::uint64_t size_;
  Digest root_;
  std::array<std::vector<Digest>, kTileLevels> partials_;
  std::array<Tile, kTileLevels> proven_;
};

RoundLogReader::RoundLogReader(FileSystem& files, const Path& folder, std::string note, Checkpoint checkpoint)
    : tiles_(files, folder), note_(std::move(note)), checkpoint_(std::move(checkpoint)) {}

RoundLogReader RoundLogReader::Open(FileSystem& files, const Path& folder, const NoteKey& log_key) {
  const std::string path = (folder / kCheckpointName).string();
  auto note = TileFolder(files, folder).Read(kCheckpointName, kMaxNoteBytes);
  if (!note) {
    throw Error(ErrorCode::kNotFound, "there is no round log in " + folder.string() + ": " + path + " is missing");
  }
  Checkpoint checkpoint = OpenCheckpoint(*note, log_key, path);
  return RoundLogReader(files, folder, *std::move(note), std::move(checkpoint));
}

std::optional<LogDefect> RoundLogReader::ForEach(const Visit& visit) const {
  const std::uint64_t size = checkpoint_.size;
  if (size == 0) {
    if (checkpoint_.root == EmptyRoot()) return std::nullopt;
    return BadHistory("the checkpoint states a root that no empty log has: its signer is at fault");
  }
  Pass pass(*this);
  if (const auto tile = pass.LoadPartials()) return Diagnose(*tile, 0);
  for (std::uint64_t bundle = 0; bundle * kTileWidth < size; ++bundle) {
    if (const auto tile = pass.Prove(0, bundle)) return Diagnose(*tile, bundle * kTileWidth);
    const unsigned width = TileWidthAt(size, 0, bundle);
    const std::string path = BundlePath(bundle, width);
    const auto bytes = tiles_.ReadBundle(bundle, width);
    if (!bytes)
      return BadEntry(bundle * kTileWidth, path, std::string("cannot be read: the file is missing") + kAdvice);
    BundleReader reader(*bytes);
    for (unsigned i = 0; i < width; ++i) {
      const std::uint64_t index = bundle * kTileWidth + i;
      const auto entry = reader.Next();
      if (!entry) return BadEntry(index, path, std::string("cannot be read: its length is wrong") + kAdvice);
      if (LeafHash(*entry) != pass.leaves()[i]) {
        return BadEntry(
            index, path,
            std::string("is not the one that the signed checkpoint covers: its bytes were altered") + kAdvice);
      }
      visit(index, *entry);
    }
    if (!reader.AtEnd()) {
      return BadTile(path, "has " + std::to_string(reader.bytes_left()) + " bytes after its last entry");
    }
  }
  return std::nullopt;
}

std::optional<LogDefect> RoundLogReader::Verify() const {
  return ForEach([](std::uint64_t, std::string_view) {});
}

// `tile` is missing or not proven by what lies above it, and the first `proven` entries are. Computes the whole log
// from its entries to tell whether they are intact.
LogDefect RoundLogReader::Diagnose(const std::string& tile, std::uint64_t proven) const {
  TileBuilder builder;
  std::optional<std::string> first_different;
  const auto compare = [&](const std::string& path, std::string_view content) {
    if (!first_different && !tiles_.Holds(path, content)) first_different = path;
  };
  std::optional<std::uint64_t> first_entry;  // That disagrees with its stored leaf hash.
  const std::uint64_t size = checkpoint_.size;
  for (std::uint64_t bundle = 0; bundle * kTileWidth < size; ++bundle) {
    const unsigned width = TileWidthAt(size, 0, bundle);
    const auto bytes = tiles_.ReadBundle(bundle, width);
    const auto tile_bytes = tiles_.ReadTile(0, bundle, width);
    const auto leaves = tile_bytes ? DecodeTile(*tile_bytes, width) : std::nullopt;
    BundleReader reader(bytes ? std::string_view(*bytes) : std::string_view());
    for (unsigned i = 0; i < width; ++i) {
      const std::uint64_t index = bundle * kTileWidth + i;
      const auto entry = reader.Next();
      if (!entry) {
        return BadEntry(first_entry.value_or(index), BundlePath(bundle, width),
                        "cannot be read, and " + tile + " is damaged as well" + kAdvice);
      }
      const Digest leaf = LeafHash(*entry);
      if (!first_entry && leaves && leaf != (*leaves)[i]) first_entry = index;
      builder.Add(*entry, leaf, compare);
    }
  }
  builder.EmitPartials(compare);
  if (builder.root() == checkpoint_.root) {
    return BadTile(first_different.value_or(tile), "is damaged; every entry leads to the signed root and is intact");
  }
  const std::uint64_t entry = first_entry.value_or(proven);
  return BadEntry(entry, BundlePath(entry / kTileWidth, TileWidthAt(size, 0, entry / kTileWidth)),
                  "or a later one is not what the signed checkpoint covers; " + tile +
                      " was altered too, so the exact entry cannot be told" + kAdvice);
}

std::optional<LogDefect> RoundLogReader::VerifyConsistency(const Checkpoint& old) const {
  if (old.origin != checkpoint_.origin) {
    return BadHistory("the older checkpoint is one of the log '" + old.origin + "', this is '" + checkpoint_.origin +
                      "'");
  }
  const std::string rewritten = "the log's history was rewritten: when it had " + std::to_string(old.size) +
                                " entries it had another root; keep both checkpoints, their signatures prove it";
  if (old.size > checkpoint_.size) {
    return BadHistory("the log shrank from " + std::to_string(old.size) + " to " + std::to_string(checkpoint_.size) +
                      " entries; keep both checkpoints, their signatures prove it");
  }
  if (old.size == 0 || old.size == checkpoint_.size) {
    const Digest expected = old.size == 0 ? EmptyRoot() : checkpoint_.root;
    return old.root == expected ? std::nullopt : std::optional(BadHistory(rewritten));
  }
  try {
    const MerkleProof proof = ConsistencyProof(old.size, checkpoint_.size, tiles_.Subtrees(checkpoint_.size));
    if (hemafed::VerifyConsistency(old.size, checkpoint_.size, proof, old.root, checkpoint_.root)) return std::nullopt;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCorrupt) throw;
  }
  // No proof came about: either a tile is damaged, or the history is another one.
  if (auto defect = Verify()) return defect;
  return BadHistory(rewritten);
}

}  // namespace hemafed
