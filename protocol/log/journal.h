// protocol/log/journal.h
// SPDX-License-Identifier: Apache-2.0
//
// The journal: the one file in which an acknowledged entry is durable. Everything else of the log can be made again
// from it. Format (docs/round_log.md has worked bytes): the line "hemafed-journal-v1\n", then one record an entry:
//
//   u32 little-endian length | u32 little-endian ~length | entry | RFC 6962 leaf hash of the entry (32 bytes)
//
// Reading tells two things apart that look alike. A *torn tail* is what a crash leaves of the last write: the file ends
// inside a record, or in zeros, or its last record has all its bytes but another hash. It is normal. *Damage* is
// anything else: a length that contradicts its complement, a wrong hash with more records behind it.
//
// Thread-safety: free functions; the visited views are valid during the call only. Memory: one window of the file.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed {

inline constexpr std::string_view kJournalHeader = "hemafed-journal-v1\n";
// Bytes that a record has beside its entry.
inline constexpr std::uint64_t kJournalRecordOverhead = 4 + 4 + 32;

// Appends the record of one entry (1..kMaxEntryBytes, else kInvalidInput) with its leaf hash.
void AppendJournalRecord(std::string& out, std::string_view entry, const Digest& leaf);

enum class JournalEnd : std::uint8_t { kClean, kTorn, kDamaged };

struct JournalScan {
  std::uint64_t entries = 0;      // Whole records from the start on.
  std::uint64_t whole_bytes = 0;  // Header and those records: where the next record belongs. 0 if the header is torn.
  std::uint64_t file_bytes = 0;
  JournalEnd end = JournalEnd::kClean;
  std::string reason;  // What is wrong with entry number `entries`; empty for kClean.
};

// Calls `visit` for each whole record in order. An empty file is kClean with whole_bytes 0.
[[nodiscard]] JournalScan ScanJournal(const ReadableFile& file,
                                      const std::function<void(std::string_view entry, const Digest& leaf)>& visit);

}  // namespace hemafed
