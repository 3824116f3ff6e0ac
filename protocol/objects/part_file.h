// protocol/objects/part_file.h
// SPDX-License-Identifier: Apache-2.0
//
// A file that is being received. It grows only at its end, is synced every kPartSyncBytes, and is resumed at the last
// whole chunk of what a crash left: opening it cuts a ragged end off and syncs the rest, so that the offset it names to
// the sender is durable.
//
// Errors: what FileSystem throws. After a failed Append the content beyond synced_bytes() is unknown; Discard it or
// open it again. Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <memory>

#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed {

// Bounds what a power failure costs in bytes sent again, without a sync (some ms on a disk) for every chunk.
inline constexpr std::uint64_t kPartSyncBytes = 16u << 20;

class PartFile {
 public:
  // Creates the file or resumes it. `files` is borrowed; `digest` is what the whole content must hash to.
  PartFile(FileSystem& files, Path path, const Digest& digest);

  void Append(ByteView bytes);
  void Sync();
  // Hashes the whole content; true if it is what was announced. Syncs and closes: no Append afterwards.
  [[nodiscard]] bool FinishAndVerify();
  // Removes the file.
  void Discard();

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t synced_bytes() const { return synced_; }
  [[nodiscard]] const Path& path() const { return path_; }
  [[nodiscard]] const Digest& digest() const { return digest_; }

 private:
  FileSystem* files_;
  Path path_;
  Digest digest_;
  std::unique_ptr<WritableFile> file_;
  std::uint64_t size_ = 0;
  std::uint64_t synced_ = 0;
};

}  // namespace hemafed
