// studies/local_federation/unsynced_file_system.h
// SPDX-License-Identifier: Apache-2.0
//
// The machine's files without waiting for the disk: Sync and SyncDirectory return at once. For simulations, whose log
// would otherwise spend most of its time in fsync.
//
// WARNING: what was written survives a kill of the process (it is in the kernel's page cache) but not a loss of power
// or a crash of the kernel. Nothing that another party relies on may be kept through it.
//
// Errors and thread-safety: those of the file system below, which is borrowed.
#pragma once

#include "common/file_system.h"

namespace hemafed::studies {

class UnsyncedFileSystem final : public FileSystem {
 public:
  explicit UnsyncedFileSystem(FileSystem& files) : files_(files) {}

  [[nodiscard]] std::unique_ptr<WritableFile> Create(const Path& path, unsigned mode = 0644) override;
  [[nodiscard]] std::unique_ptr<WritableFile> OpenForAppend(const Path& path) override;
  [[nodiscard]] std::unique_ptr<ReadableFile> OpenForRead(const Path& path) override {
    return files_.OpenForRead(path);
  }
  [[nodiscard]] std::optional<std::uint64_t> SizeOf(const Path& path) override { return files_.SizeOf(path); }
  [[nodiscard]] std::optional<unsigned> ModeOf(const Path& path) override { return files_.ModeOf(path); }
  [[nodiscard]] std::vector<std::string> List(const Path& folder) override { return files_.List(folder); }
  void Rename(const Path& from, const Path& to) override { files_.Rename(from, to); }
  void Remove(const Path& path) override { files_.Remove(path); }
  void Truncate(const Path& path, std::uint64_t size) override { files_.Truncate(path, size); }
  void CreateFolders(const Path& folder, unsigned mode = 0755) override { files_.CreateFolders(folder, mode); }
  void SyncDirectory(const Path& /*folder*/) override {}

 private:
  FileSystem& files_;
};

}  // namespace hemafed::studies
