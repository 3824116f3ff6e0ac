// protocol/log/round_log_writer.h
// SPDX-License-Identifier: Apache-2.0
//
// Appends entries to the round log and makes them durable and public. Format: docs/round_log.md.
//
// Append returns after (1) the entry is in `journal` and synced, (2) the tiles that changed are written, (3) a
// checkpoint over the new size is signed, synced and renamed into place. Two syncs an append or batch, however large:
// the journal is the truth, so tiles are not synced (Open compares them with the journal and writes again what a
// crash took), and neither is the rename (an older checkpoint that comes back after a loss of power is moved forward).
// A checkpoint is never written before the entries it covers are synced: no crash can make the log contradict one.
//
// Open recovers: cuts a torn tail off the journal (normal, see recovery()), repairs tiles, signs the missing
// checkpoint. It refuses to go on where that would hide a loss: damage inside the journal, a journal shorter than the
// checkpoint, or one that does not lead to the checkpoint's root throw kCorrupt with the entry's number, and nothing
// on disk is changed. A checkpoint of another key or origin throws kRefused.
//
// After any error in Append the writer refuses every further call with kConflict until it is opened again, because what
// reached the disk is unknown: an entry that was not acknowledged may or may not be there.
//
// Memory does not grow with the log: the bundle being filled (at most kMaxBundleBytes), one tile a level.
// Errors: kInvalidInput (entry or index), kNoSpace, kUnavailable, kCorrupt, kConflict.
// Thread-safety: one writer for a folder, one thread. Readers may be opened at any time by anyone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/file_system.h"
#include "common/sha256.h"
#include "protocol/identity/ed25519.h"
#include "protocol/log/checkpoint.h"
#include "protocol/log/merkle.h"
#include "protocol/log/tile_folder.h"
#include "protocol/log/tiles.h"

namespace hemafed {

// Bytes of one batch with its records: it is put together in memory, which the coordinator has little of.
inline constexpr std::size_t kMaxBatchBytes = 4u << 20;

class RoundLogWriter {
 public:
  struct Recovery {
    std::uint64_t torn_bytes = 0;      // Cut off the end of the journal: never acknowledged.
    std::uint64_t repaired_files = 0;  // Tiles, bundles and checkpoint written again from the journal.
  };

  // `files` is borrowed and must outlive the writer. `origin` names the log and its key (see IsKeyName). A folder that
  // is not there is created, and an empty log is published.
  [[nodiscard]] static RoundLogWriter Open(FileSystem& files, const Path& folder, const std::string& origin,
                                           const Ed25519KeyPair& key);
  RoundLogWriter(RoundLogWriter&&) noexcept;
  RoundLogWriter& operator=(RoundLogWriter&&) noexcept;
  ~RoundLogWriter();

  // Returns the entry's index. Sizes outside 1..kMaxEntryBytes: throws kInvalidInput and nothing is written.
  std::uint64_t Append(std::string_view entry);
  // All with one set of syncs and one checkpoint; returns the index of the first. At least one entry.
  std::uint64_t AppendBatch(std::span<const std::string> entries);

  [[nodiscard]] std::uint64_t size() const;
  [[nodiscard]] Digest root() const;
  [[nodiscard]] const NoteKey& key() const;
  [[nodiscard]] const Recovery& recovery() const;
  // The signed note over size() and root(), as published.
  [[nodiscard]] const std::string& CheckpointNote() const;

  // Checked against its leaf hash on every read.
  [[nodiscard]] std::string Entry(std::uint64_t index) const;
  // Calls `visit` for every entry from `first` on, in order; the view is valid during the call only.
  void ForEach(std::uint64_t first,
               const std::function<void(std::uint64_t index, std::string_view entry)>& visit) const;

  // Proofs towards root(); each is verified before it is handed out (kCorrupt names a damaged tile).
  [[nodiscard]] MerkleProof InclusionProof(std::uint64_t index) const;
  // 0 < old_size <= size().
  [[nodiscard]] MerkleProof ConsistencyProof(std::uint64_t old_size) const;

 private:
  struct State;
  explicit RoundLogWriter(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace hemafed
