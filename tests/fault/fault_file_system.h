// tests/fault/fault_file_system.h
// SPDX-License-Identifier: Apache-2.0
//
// A FileSystem in memory for tests of durability. It can fail any one call, run out of space, and crash: Crash()
// forgets whatever was not synced, as strictly as the interface allows:
//   - bytes appended or truncated since the file's last Sync,
//   - names created, renamed or removed since the last SyncDirectory of their folder. A rename across folders is two
//   such
//     changes, one in each. The root folder always exists.
// Handles from before a crash fail with kUnavailable.
//
// The pattern for "every call fails once":
//
//     for (std::uint64_t n = 1;; ++n) {
//       FaultFileSystem files;
//       files.FailCall(n, ErrorCode::kNoSpace);
//       try { Work(files); } catch (const Error&) {}
//       if (!files.failed()) break;          // n is beyond the last call: all have been tried.
//       files.Crash();
//       ... what was acknowledged must still be there ...
//     }
//
// Paths are taken from the root, relative ones too. Permissions are not modelled. The object outlives its open files.
//
// Errors: as FileSystem documents them. Thread-safety: any thread (one lock); FailCall counts over all threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.h"
#include "common/file_system.h"

namespace hemafed::testing_support {

class FaultFileSystem final : public FileSystem {
 public:
  FaultFileSystem();
  ~FaultFileSystem() override;

  // The n-th call from now on (1 is the next one), of this object or of any file it opened, throws Error(code) and
  // changes nothing; except that a failing Append may have written the first half of its bytes, and does.
  // Calls that only ask (SizeOf, Size) count as well. One failure, then all is well again.
  void FailCall(std::uint64_t n, ErrorCode code);
  // Whether the failure that FailCall asked for has happened.
  [[nodiscard]] bool failed() const;
  // Calls so far.
  [[nodiscard]] std::uint64_t calls() const;
  // Appends beyond this many more bytes fail with kNoSpace after writing what fits; nullopt: no limit. Removing and
  // truncating give no space back.
  void SetFreeBytes(std::optional<std::uint64_t> bytes);

  // Loss of power. Of the bytes appended to a file since its last Sync the first `kept_bytes` survive all the same (a
  // torn tail); names never do. Clears FailCall and SetFreeBytes.
  void Crash(std::uint64_t kept_bytes = 0);

  // Outside of counting, failing and syncing: for arranging and looking.
  // Creates or replaces the file with its folders; durable at once.
  void Plant(const Path& path, std::string_view content);
  // Content now (not what would survive); nothing if there is no such file.
  [[nodiscard]] std::optional<std::string> Peek(const Path& path) const;

  std::unique_ptr<WritableFile> Create(const Path& path, unsigned mode = 0644) override;
  std::unique_ptr<WritableFile> OpenForAppend(const Path& path) override;
  std::unique_ptr<ReadableFile> OpenForRead(const Path& path) override;
  std::optional<std::uint64_t> SizeOf(const Path& path) override;
  std::vector<std::string> List(const Path& folder) override;
  void Rename(const Path& from, const Path& to) override;
  void Remove(const Path& path) override;
  void Truncate(const Path& path, std::uint64_t size) override;
  void CreateFolders(const Path& folder, unsigned mode = 0755) override;
  void SyncDirectory(const Path& folder) override;

 private:
  struct Node;
  class Appender;
  class Reader;
  using Entries = std::map<std::string, std::shared_ptr<Node>>;

  // All of these expect the lock to be held.
  void Count(const std::string& action, const Path& path);
  void AppendTo(Node& node, const Path& path, ByteView bytes);
  [[nodiscard]] Node* Find(const Path& path) const;
  [[nodiscard]] Node& RequireFile(const char* action, const Path& path) const;
  [[nodiscard]] Node& RequireFolder(const char* action, const Path& path) const;
  [[nodiscard]] std::unique_ptr<WritableFile> OpenWritable(const Path& path, bool empty);

  mutable std::mutex lock_;
  std::shared_ptr<Node> root_;
  std::uint64_t calls_ = 0;
  std::uint64_t fail_at_ = 0;  // 0: never.
  ErrorCode fail_code_ = ErrorCode::kUnavailable;
  bool failed_ = false;
  std::optional<std::uint64_t> free_bytes_;
  std::uint64_t crashes_ = 0;  // A handle remembers the number at its opening.
};

}  // namespace hemafed::testing_support
