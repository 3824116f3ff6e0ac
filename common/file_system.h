// common/file_system.h
// SPDX-License-Identifier: Apache-2.0
//
// Files as an interface, so that a test double can fail any call and forget whatever was not synced
// (tests/fault/fault_file_system.h). Production code receives a FileSystem& and never opens files behind its back.
//
// Durability: bytes are durable after WritableFile::Sync; a created, renamed or removed name is durable after
// SyncDirectory of its folder. WriteFileAtomically does all of it: readers see the old content or the new, never part.
//
// Errors: every call throws Error with the path in the message. kNotFound: the path is missing. kNoSpace: the disk or
// quota is full. kUnavailable: any other failure of the operating system, with its own words.
//
// Thread-safety: a FileSystem may be used from any thread; a file object belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"

namespace hemafed {

using Path = std::filesystem::path;

class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual void Append(ByteView bytes) = 0;
  void Append(std::string_view text) { Append(AsBytes(text)); }
  // Returns after the operating system reports the bytes (not the name) as stable.
  virtual void Sync() = 0;
  // Further calls are errors. The destructor closes quietly if this was not called.
  virtual void Close() = 0;
};

class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  // Fills `out` from byte `offset` on; returns the bytes read, fewer only at the end of the file.
  [[nodiscard]] virtual std::size_t ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) const = 0;
  [[nodiscard]] virtual std::uint64_t Size() const = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // Creates or empties the file. `mode` are permission bits; keys use 0600.
  [[nodiscard]] virtual std::unique_ptr<WritableFile> Create(const Path& path, unsigned mode = 0644) = 0;
  // Opens for appending; creates the file if it is missing.
  [[nodiscard]] virtual std::unique_ptr<WritableFile> OpenForAppend(const Path& path) = 0;
  [[nodiscard]] virtual std::unique_ptr<ReadableFile> OpenForRead(const Path& path) = 0;
  // Size in bytes; nothing if there is no such file.
  [[nodiscard]] virtual std::optional<std::uint64_t> SizeOf(const Path& path) = 0;
  // Permission bits (0600 ...); nothing where the file system keeps none.
  [[nodiscard]] virtual std::optional<unsigned> ModeOf(const Path& path);
  // Names (not paths) in a folder, in ascending byte order, without "." and "..".
  [[nodiscard]] virtual std::vector<std::string> List(const Path& folder) = 0;
  virtual void Rename(const Path& from, const Path& to) = 0;
  // Removing what is not there is not an error.
  virtual void Remove(const Path& path) = 0;
  virtual void Truncate(const Path& path, std::uint64_t size) = 0;
  virtual void CreateFolders(const Path& folder, unsigned mode = 0755) = 0;
  virtual void SyncDirectory(const Path& folder) = 0;

  [[nodiscard]] bool Exists(const Path& path) { return SizeOf(path).has_value(); }
};

// The machine's files, through POSIX calls. One instance for the process; holds no state.
[[nodiscard]] FileSystem& RealFileSystem();

// Whole content; throws kInvalidInput when the file is larger than `limit_bytes` (before anything is reserved).
[[nodiscard]] std::string ReadFile(FileSystem& files, const Path& path, std::uint64_t limit_bytes);

// Write to "<path>.tmp", sync, rename over `path`, sync the folder. On failure `path` is as it was.
void WriteFileAtomically(FileSystem& files, const Path& path, std::string_view content, unsigned mode = 0644);

}  // namespace hemafed
