// protocol/log/round_log_reader.h
// SPDX-License-Identifier: Apache-2.0
//
// Reads and checks a published log with the log's public key only: checkpoint, tiles and entry bundles, never the
// journal. Trust runs from the signed root downwards: the last tile of each level must fold to the root, each further
// tile must hash to its parent's entry, each log entry to its hash in the level-0 tile. So an entry is handed out only
// once it is proven to be the one the checkpoint covers, and a difference is named where it is:
//
//   an entry's bytes      -> that entry's number
//   a hash tile           -> that tile; entries are recomputed to tell whether they are intact
//   checkpoint            -> Open throws (kCorrupt: altered; kRefused: another log or key; kNotFound)
//
// Where entries and their hash tiles were altered together, no hash tells which entry it was: the first one that can be
// affected is named, and the message says so.
//
// Errors: damage is a value (LogDefect); failures of the operating system throw. Memory: one bundle, one tile a level.
// Thread-safety: one thread. A writer may go on appending: the reader keeps to the checkpoint it opened.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/file_system.h"
#include "protocol/log/checkpoint.h"
#include "protocol/log/tile_folder.h"

namespace hemafed {

struct LogDefect {
  enum class Place : std::uint8_t {
    kEntry,    // An entry is not the one that the checkpoint covers.
    kTile,     // A published file is damaged; every entry is intact.
    kHistory,  // The log does not continue what it was, or the checkpoint contradicts itself.
  };

  Place place{};
  std::optional<std::uint64_t> entry;  // First entry that is or may be wrong; only with kEntry.
  std::string file;                    // Relative to the log's folder.
  std::string message;                 // For a person: what, where, what to do.
};

class RoundLogReader {
 public:
  using Visit = std::function<void(std::uint64_t index, std::string_view entry)>;

  // Reads the checkpoint and verifies its signature. `files` is borrowed and must outlive the reader.
  [[nodiscard]] static RoundLogReader Open(FileSystem& files, const Path& folder, const NoteKey& log_key);

  [[nodiscard]] const Checkpoint& checkpoint() const { return checkpoint_; }
  // As read from the folder, cosignatures included.
  [[nodiscard]] const std::string& note() const { return note_; }

  // Calls `visit` for every entry in order, each after it is proven, and stops at the first defect. Afterwards, with
  // no defect, every byte of every tile that the checkpoint needs has been checked.
  [[nodiscard]] std::optional<LogDefect> ForEach(const Visit& visit) const;
  [[nodiscard]] std::optional<LogDefect> Verify() const;

  // Whether this log is a continuation of what `old` saw; its signature is the caller's business (OpenCheckpoint).
  [[nodiscard]] std::optional<LogDefect> VerifyConsistency(const Checkpoint& old) const;

 private:
  RoundLogReader(FileSystem& files, const Path& folder, std::string note, Checkpoint checkpoint);

  class Pass;
  [[nodiscard]] LogDefect Diagnose(const std::string& tile, std::uint64_t proven) const;

  TileFolder tiles_;
  std::string note_;
  Checkpoint checkpoint_;
};

}  // namespace hemafed
