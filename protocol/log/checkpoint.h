// protocol/log/checkpoint.h
// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints (https://c2sp.org/tlog-checkpoint): the text of a note that states a log's size and root.
//
//   origin "\n" size in decimal "\n" base64(root) "\n" (extension line "\n")*
//
// The log's key carries the origin as its name, so a trust file line (NoteKey) names log and key at once.
//
// Parsing is strict: no leading zeros, no empty lines, canonical base64; a parsed checkpoint encodes to the same bytes.
// Thread-safety: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/sha256.h"
#include "protocol/log/note.h"

namespace hemafed {

struct Checkpoint {
  std::string origin;
  std::uint64_t size = 0;  // Entries.
  Digest root;
  std::vector<std::string> extensions;  // We write none; others' are kept.

  [[nodiscard]] std::string Encode() const;
  [[nodiscard]] static std::optional<Checkpoint> Parse(std::string_view text);
  bool operator==(const Checkpoint&) const = default;
};

// The checkpoint of a note, once `log_key` is found to have signed it and its origin is the key's name.
// Throws kCorrupt (not a note, not a checkpoint, wrong signature) or kRefused (another log or key); `where` begins the
// message, e.g. the path of the file.
[[nodiscard]] Checkpoint OpenCheckpoint(std::string_view note, const NoteKey& log_key, std::string_view where);

}  // namespace hemafed
