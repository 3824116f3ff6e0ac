// SPDX-License-Identifier: Apache-2.0
#include "common/file_system.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "common/error.h"

namespace hemafed {

namespace {

[[noreturn]] void ThrowErrno(const char* action, const Path& path, int error) {
  ErrorCode code = ErrorCode::kUnavailable;
  if (error == ENOENT) code = ErrorCode::kNotFound;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) code = ErrorCode::kNoSpace;
  std::string advice;
  if (code == ErrorCode::kNoSpace) advice = "; make room on that disk and start again, nothing acknowledged is lost";
  throw Error(code, std::string(action) + " " + path.string() + ": " +
                        std::error_code(error, std::generic_category()).message() + advice);
}

// A descriptor that remembers its path for messages and reports a failing close.
class NamedDescriptor {
 public:
  NamedDescriptor(int number, Path path) : number_(number), path_(std::move(path)) {}
  ~NamedDescriptor() {
    if (number_ >= 0) ::close(number_);
  }
  NamedDescriptor(const NamedDescriptor&) = delete;
  NamedDescriptor& operator=(const NamedDescriptor&) = delete;

  [[nodiscard]] int number() const { return number_; }
  [[nodiscard]] const Path& path() const { return path_; }
  void Close() {
    const int number = std::exchange(number_, -1);
    if (number >= 0 && ::close(number) != 0) ThrowErrno("cannot close", path_, errno);
  }

 private:
  int number_;
  Path path_;
};

int OpenOrThrow(const char* action, const Path& path, int flags, unsigned mode = 0) {
  const int number = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (number < 0) ThrowErrno(action, path, errno);
  return number;
}

class PosixWritableFile final : public WritableFile {
 public:
  PosixWritableFile(int number, const Path& path) : file_(number, path) {}

  void Append(ByteView bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_.number(), bytes.data(), bytes.size());
      if (written < 0) {
        if (errno == EINTR) continue;
        ThrowErrno("cannot write", file_.path(), errno);
      }
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }
  void Sync() override {
    if (::fdatasync(file_.number()) != 0) ThrowErrno("cannot sync", file_.path(), errno);
  }
  void Close() override { file_.Close(); }

 private:
  NamedDescriptor file_;
};

class PosixReadableFile final : public ReadableFile {
 public:
  PosixReadableFile(int number, const Path& path) : file_(number, path) {}

  [[nodiscard]] std::size_t ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t got =
          ::pread(file_.number(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (got < 0) {
        if (errno == EINTR) continue;
        ThrowErrno("cannot read", file_.path(), errno);
      }
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }
  [[nodiscard]] std::uint64_t Size() const override {
    struct stat status {};
    if (::fstat(file_.number(), &status) != 0) ThrowErrno("cannot stat", file_.path(), errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

 private:
  NamedDescriptor file_;
};

class PosixFileSystem final : public FileSystem {
 public:
  std::unique_ptr<WritableFile> Create(const Path& path, unsigned mode) override {
    const int number = OpenOrThrow("cannot create", path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    return std::make_unique<PosixWritableFile>(number, path);
  }
  std::unique_ptr<WritableFile> OpenForAppend(const Path& path) override {
    const int number = OpenOrThrow("cannot open", path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    return std::make_unique<PosixWritableFile>(number, path);
  }
  std::unique_ptr<ReadableFile> OpenForRead(const Path& path) override {
    return std::make_unique<PosixReadableFile>(OpenOrThrow("cannot open", path, O_RDONLY), path);
  }
  std::optional<std::uint64_t> SizeOf(const Path& path) override {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
      ThrowErrno("cannot stat", path, errno);
    }
    return static_cast<std::uint64_t>(status.st_size);
  }
  std::optional<unsigned> ModeOf(const Path& path) override {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) ThrowErrno("cannot stat", path, errno);
    return static_cast<unsigned>(status.st_mode) & 07777u;
  }
  std::vector<std::string> List(const Path& folder) override {
    std::error_code error;
    std::filesystem::directory_iterator entries(folder, error);
    if (error) ThrowErrno("cannot list", folder, error.value());
    std::vector<std::string> names;
    for (const auto& entry : entries) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
  void Rename(const Path& from, const Path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) ThrowErrno("cannot rename to", to, errno);
  }
  void Remove(const Path& path) override {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) ThrowErrno("cannot remove", path, error.value());
  }
  void Truncate(const Path& path, std::uint64_t size) override {
    // Through a descriptor, as in CreateFolders: a restricted process may not change files by path (syscall_filter.h).
    const NamedDescriptor file(OpenOrThrow("cannot truncate", path, O_WRONLY), path);
    if (::ftruncate(file.number(), static_cast<off_t>(size)) != 0) ThrowErrno("cannot truncate", path, errno);
  }
  void CreateFolders(const Path& folder, unsigned mode) override {
    const bool present = Exists(folder);
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) ThrowErrno("cannot create folder", folder, error.value());
    if (present) return;
    const NamedDescriptor created(OpenOrThrow("cannot open folder", folder, O_RDONLY | O_DIRECTORY), folder);
    if (::fchmod(created.number(), mode) != 0) ThrowErrno("cannot set permissions of", folder, errno);
  }
  void SyncDirectory(const Path& folder) override {
    const Path named = folder.empty() ? Path(".") : folder;
    const NamedDescriptor descriptor(OpenOrThrow("cannot open folder", named, O_RDONLY | O_DIRECTORY), named);
    if (::fsync(descriptor.number()) != 0) ThrowErrno("cannot sync folder", named, errno);
  }
};

}  // namespace

std::optional<unsigned> FileSystem::ModeOf(const Path&) { return std::nullopt; }

FileSystem& RealFileSystem() {
  static PosixFileSystem files;
  return files;
}

std::string ReadFile(FileSystem& files, const Path& path, std::uint64_t limit_bytes) {
  const auto file = files.OpenForRead(path);
  const std::uint64_t size = file->Size();
  if (size > limit_bytes) {
    throw Error(ErrorCode::kInvalidInput, path.string() + " has " + std::to_string(size) + " bytes, more than the " +
                                              std::to_string(limit_bytes) + " allowed for this kind of file");
  }
  std::string content(size, '\0');
  const std::size_t got = file->ReadAt(0, {reinterpret_cast<std::uint8_t*>(content.data()), content.size()});
  content.resize(got);
  return content;
}

void WriteFileAtomically(FileSystem& files, const Path& path, std::string_view content, unsigned mode) {
  const Path temporary = path.string() + ".tmp";
  const auto file = files.Create(temporary, mode);
  file->Append(content);
  file->Sync();
  file->Close();
  files.Rename(temporary, path);
  files.SyncDirectory(path.parent_path());
}

}  // namespace hemafed
