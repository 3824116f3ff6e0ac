// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/fault_file_system.h"

#include <algorithm>
#include <utility>

namespace hemafed::testing_support {

struct FaultFileSystem::Node {
  bool folder = false;
  std::string bytes, synced_bytes;  // Of a file.
  Entries entries, synced_entries;  // Of a folder.
};

namespace {

[[noreturn]] void Throw(ErrorCode code, const std::string& action, const Path& path, const std::string& why) {
  throw Error(code, "cannot " + action + " " + path.string() + ": " + why);
}

Path FromRoot(const Path& path) { return (Path("/") / path).lexically_normal(); }

}  // namespace

class FaultFileSystem::Appender final : public WritableFile {
 public:
  Appender(FaultFileSystem& files, std::shared_ptr<Node> node, Path path)
      : files_(files), node_(std::move(node)), path_(std::move(path)), crashes_(files.crashes_) {}

  void Append(ByteView bytes) override {
    const std::lock_guard guard(files_.lock_);
    RequireUsable("write");
    try {
      files_.Count("write", path_);
    } catch (const Error&) {
      files_.AppendTo(*node_, path_, bytes.first(bytes.size() / 2));
      throw;
    }
    files_.AppendTo(*node_, path_, bytes);
  }
  void Sync() override {
    const std::lock_guard guard(files_.lock_);
    RequireUsable("sync");
    files_.Count("sync", path_);
    node_->synced_bytes = node_->bytes;
  }
  void Close() override {
    const std::lock_guard guard(files_.lock_);
    RequireUsable("close");
    closed_ = true;
    files_.Count("close", path_);
  }

 private:
  void RequireUsable(const char* action) const {
    if (closed_) Throw(ErrorCode::kInternal, action, path_, "the file is closed");
    if (crashes_ != files_.crashes_) Throw(ErrorCode::kUnavailable, action, path_, "opened before the crash");
  }

  FaultFileSystem& files_;
  std::shared_ptr<Node> node_;
  Path path_;
  std::uint64_t crashes_;
  bool closed_ = false;
};

class FaultFileSystem::Reader final : public ReadableFile {
 public:
  Reader(FaultFileSystem& files, std::shared_ptr<Node> node, Path path)
      : files_(files), node_(std::move(node)), path_(std::move(path)), crashes_(files.crashes_) {}

  [[nodiscard]] std::size_t ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    const std::lock_guard guard(files_.lock_);
    RequireUsable();
    files_.Count("read", path_);
    if (offset >= node_->bytes.size()) return 0;
    return node_->bytes.copy(reinterpret_cast<char*>(out.data()), out.size(), offset);
  }
  [[nodiscard]] std::uint64_t Size() const override {
    const std::lock_guard guard(files_.lock_);
    RequireUsable();
    files_.Count("stat", path_);
    return node_->bytes.size();
  }

 private:
  void RequireUsable() const {
    if (crashes_ != files_.crashes_) Throw(ErrorCode::kUnavailable, "read", path_, "opened before the crash");
  }

  FaultFileSystem& files_;
  std::shared_ptr<Node> node_;
  Path path_;
  std::uint64_t crashes_;
};

FaultFileSystem::FaultFileSystem() : root_(std::make_shared<Node>()) { root_->folder = true; }
FaultFileSystem::~FaultFileSystem() = default;

void FaultFileSystem::FailCall(std::uint64_t n, ErrorCode code) {
  const std::lock_guard guard(lock_);
  fail_at_ = n == 0 ? 0 : calls_ + n;
  fail_code_ = code;
  failed_ = false;
}

bool FaultFileSystem::failed() const {
  const std::lock_guard guard(lock_);
  return failed_;
}

std::uint64_t FaultFileSystem::calls() const {
  const std::lock_guard guard(lock_);
  return calls_;
}

void FaultFileSystem::SetFreeBytes(std::optional<std::uint64_t> bytes) {
  const std::lock_guard guard(lock_);
  free_bytes_ = bytes;
}

void FaultFileSystem::Crash(std::uint64_t kept_bytes) {
  const std::lock_guard guard(lock_);
  ++crashes_;
  fail_at_ = 0;
  free_bytes_.reset();
  std::vector<Node*> folders{root_.get()};
  while (!folders.empty()) {
    Node* folder = folders.back();
    folders.pop_back();
    folder->entries = folder->synced_entries;
    for (const auto& [name, node] : folder->entries) {
      if (node->folder) {
        folders.push_back(node.get());
        continue;
      }
      std::string survived = node->synced_bytes;
      if (node->bytes.size() > survived.size() && node->bytes.starts_with(survived)) {
        survived = node->bytes.substr(0, survived.size() + std::min<std::uint64_t>(kept_bytes, node->bytes.size()));
      }
      node->bytes = node->synced_bytes = survived;
    }
  }
}

void FaultFileSystem::Plant(const Path& path, std::string_view content) {
  const std::lock_guard guard(lock_);
  Node* folder = root_.get();
  const Path whole = FromRoot(path);
  for (const Path& part : whole.parent_path().relative_path()) {
    auto& next = folder->entries[part.string()];
    if (!next) next = std::make_shared<Node>();
    next->folder = true;
    folder->synced_entries[part.string()] = next;
    folder = next.get();
  }
  auto file = std::make_shared<Node>();
  file->bytes = file->synced_bytes = std::string(content);
  folder->entries[whole.filename().string()] = folder->synced_entries[whole.filename().string()] = file;
}

std::optional<std::string> FaultFileSystem::Peek(const Path& path) const {
  const std::lock_guard guard(lock_);
  const Node* node = Find(path);
  return node == nullptr || node->folder ? std::nullopt : std::optional(node->bytes);
}

void FaultFileSystem::Count(const std::string& action, const Path& path) {
  if (++calls_ != fail_at_) return;
  failed_ = true;
  Throw(fail_code_, action, path, "call " + std::to_string(calls_) + " fails because the test wants it");
}

void FaultFileSystem::AppendTo(Node& node, const Path& path, ByteView bytes) {
  const std::uint64_t fits = std::min<std::uint64_t>(bytes.size(), free_bytes_.value_or(bytes.size()));
  node.bytes += AsText(bytes.first(fits));
  if (free_bytes_) *free_bytes_ -= fits;
  if (fits < bytes.size()) Throw(ErrorCode::kNoSpace, "write", path, "No space left on device");
}

FaultFileSystem::Node* FaultFileSystem::Find(const Path& path) const {
  Node* node = root_.get();
  for (const Path& part : FromRoot(path).relative_path()) {
    if (part.empty()) continue;  // "folder/" names the folder.
    if (!node->folder) return nullptr;
    const auto next = node->entries.find(part.string());
    if (next == node->entries.end()) return nullptr;
    node = next->second.get();
  }
  return node;
}

FaultFileSystem::Node& FaultFileSystem::RequireFile(const char* action, const Path& path) const {
  Node* node = Find(path);
  if (node == nullptr) Throw(ErrorCode::kNotFound, action, path, "No such file or directory");
  if (node->folder) Throw(ErrorCode::kUnavailable, action, path, "Is a directory");
  return *node;
}

FaultFileSystem::Node& FaultFileSystem::RequireFolder(const char* action, const Path& path) const {
  Node* node = Find(path);
  if (node == nullptr) Throw(ErrorCode::kNotFound, action, path, "No such file or directory");
  if (!node->folder) Throw(ErrorCode::kUnavailable, action, path, "Not a directory");
  return *node;
}

std::unique_ptr<WritableFile> FaultFileSystem::OpenWritable(const Path& path, bool empty) {
  const Path whole = FromRoot(path);
  Node& folder = RequireFolder("open", whole.parent_path());
  auto& file = folder.entries[whole.filename().string()];
  if (!file) file = std::make_shared<Node>();
  if (file->folder) Throw(ErrorCode::kUnavailable, "open", path, "Is a directory");
  if (empty) file->bytes.clear();
  return std::make_unique<Appender>(*this, file, path);
}

std::unique_ptr<WritableFile> FaultFileSystem::Create(const Path& path, unsigned /*mode*/) {
  const std::lock_guard guard(lock_);
  Count("create", path);
  return OpenWritable(path, true);
}

std::unique_ptr<WritableFile> FaultFileSystem::OpenForAppend(const Path& path) {
  const std::lock_guard guard(lock_);
  Count("open", path);
  return OpenWritable(path, false);
}

std::unique_ptr<ReadableFile> FaultFileSystem::OpenForRead(const Path& path) {
  const std::lock_guard guard(lock_);
  Count("open", path);
  (void)RequireFile("open", path);
  const Path whole = FromRoot(path);
  return std::make_unique<Reader>(*this, Find(whole.parent_path())->entries.at(whole.filename().string()), path);
}

std::optional<std::uint64_t> FaultFileSystem::SizeOf(const Path& path) {
  const std::lock_guard guard(lock_);
  Count("stat", path);
  const Node* node = Find(path);
  return node == nullptr ? std::nullopt : std::optional<std::uint64_t>(node->bytes.size());
}

std::vector<std::string> FaultFileSystem::List(const Path& folder) {
  const std::lock_guard guard(lock_);
  Count("list", folder);
  std::vector<std::string> names;
  for (const auto& [name, node] : RequireFolder("list", folder).entries) names.push_back(name);
  return names;
}

void FaultFileSystem::Rename(const Path& from, const Path& to) {
  const std::lock_guard guard(lock_);
  Count("rename", from);
  if (Find(from) == nullptr) Throw(ErrorCode::kNotFound, "rename", from, "No such file or directory");
  const Path old_path = FromRoot(from), new_path = FromRoot(to);
  if (old_path == new_path) return;
  Node& old_folder = RequireFolder("rename", old_path.parent_path());
  Node& new_folder = RequireFolder("rename", new_path.parent_path());
  const std::shared_ptr<Node> moved = old_folder.entries.at(old_path.filename().string());
  const Node* replaced = Find(to);
  if (replaced != nullptr && (replaced->folder != moved->folder || !replaced->entries.empty())) {
    Throw(ErrorCode::kUnavailable, "rename to", to, "Directory not empty, or of another kind");
  }
  old_folder.entries.erase(old_path.filename().string());
  new_folder.entries[new_path.filename().string()] = moved;
}

void FaultFileSystem::Remove(const Path& path) {
  const std::lock_guard guard(lock_);
  Count("remove", path);
  const Path whole = FromRoot(path);
  Node* folder = Find(whole.parent_path());
  if (folder != nullptr && folder->folder) folder->entries.erase(whole.filename().string());
}

void FaultFileSystem::Truncate(const Path& path, std::uint64_t size) {
  const std::lock_guard guard(lock_);
  Count("truncate", path);
  RequireFile("truncate", path).bytes.resize(size, '\0');
}

void FaultFileSystem::CreateFolders(const Path& folder, unsigned /*mode*/) {
  const std::lock_guard guard(lock_);
  Count("create folder", folder);
  Node* node = root_.get();
  for (const Path& part : FromRoot(folder).relative_path()) {
    if (part.empty()) continue;
    auto& next = node->entries[part.string()];
    if (!next) {
      next = std::make_shared<Node>();
      next->folder = true;
    }
    if (!next->folder) Throw(ErrorCode::kUnavailable, "create folder", folder, "Not a directory");
    node = next.get();
  }
}

void FaultFileSystem::SyncDirectory(const Path& folder) {
  const std::lock_guard guard(lock_);
  Count("sync folder", folder);
  Node& node = RequireFolder("sync folder", folder);
  node.synced_entries = node.entries;
}

}  // namespace hemafed::testing_support
