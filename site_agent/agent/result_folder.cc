// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/result_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/error.h"

namespace hemafed::agent {

namespace {

// The kernel answers EAGAIN when a rename elsewhere on the path raced with the look-up; once more is nearly always
// enough.
constexpr int kMaxLookups = 64;

[[noreturn]] void ThrowOpen(const Path& path, int error) {
  const std::string where = path.string();
  switch (error) {
    case ENOENT: throw Error(ErrorCode::kNotFound, where + " does not exist");
    case ELOOP:
    case EXDEV:
      throw Error(ErrorCode::kRefused, where +
                                           " is or passes a link, a mount or a way out of its folder; results are " +
                                           "plain files; remove it and let the trainer write the result again");
    case ENOTDIR:
    case ENXIO:
      throw Error(ErrorCode::kRefused, where +
                                           " is a socket, a pipe or no folder where one should be; remove it and let "
                                           "the trainer write the result again");
    case ENOSYS:
      throw Error(ErrorCode::kUnavailable, "cannot open " + where +
                                               ": openat2 is missing; Linux 5.6 or later is needed, " +
                                               "and a container must not hide it");
    default: throw Error(ErrorCode::kUnavailable, "cannot open " + where + ": " + std::strerror(error));
  }
}

class ResultFile final : public ReadableFile {
 public:
  ResultFile(Descriptor file, std::uint64_t size, Path path)
      : file_(std::move(file)), size_(size), path_(std::move(path)) {}

  [[nodiscard]] std::size_t ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    if (offset >= size_) return 0;
    out = out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size_ - offset)));
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t got =
          ::pread(file_.number(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        throw Error(ErrorCode::kUnavailable, "cannot read " + path_.string() + ": " + std::strerror(errno));
      }
      if (got == 0) break;  // Cut off since it was opened.
      done += static_cast<std::size_t>(got);
    }
    return done;
  }
  [[nodiscard]] std::uint64_t Size() const override { return size_; }

 private:
  Descriptor file_;
  std::uint64_t size_;
  Path path_;
};

}  // namespace

ResultFolder::ResultFolder(const Path& folder)
    : path_(folder), folder_(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
  if (!folder_.valid()) ThrowOpen(folder, errno);
}

Descriptor ResultFolder::OpenBeneath(const Path& name, int flags) const {
  open_how how{};
  // Not blocking: opening a pipe must not wait for its writer.
  how.flags = static_cast<std::uint64_t>(flags | O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  for (int lookup = 0; lookup < kMaxLookups; ++lookup) {
    Descriptor file(static_cast<int>(::syscall(SYS_openat2, folder_.number(), name.c_str(), &how, sizeof how)));
    if (file.valid()) return file;
    if (errno != EAGAIN && errno != EINTR) break;
  }
  ThrowOpen(path_ / name, errno);
}

std::unique_ptr<ReadableFile> ResultFolder::Open(const Path& name, std::uint64_t limit_bytes) const {
  const Path path = path_ / name;
  Descriptor file = OpenBeneath(name, 0);
  struct stat status {};
  if (::fstat(file.number(), &status) != 0) ThrowOpen(path, errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kRefused, path.string() + " is not a regular file; results are; remove it and let the " +
                                         "trainer write the result again");
  }
  if (status.st_nlink > 1) {  // None is left when the trainer has just replaced it: progress.json.
    throw Error(ErrorCode::kRefused, path.string() + " has " + std::to_string(status.st_nlink) +
                                         " names; it could be a file from elsewhere; remove it and let the trainer " +
                                         "write the result again");
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size > limit_bytes) {
    throw Error(ErrorCode::kInvalidInput, path.string() + " has " + std::to_string(size) + " bytes, more than the " +
                                              std::to_string(limit_bytes) + " allowed for this kind of file");
  }
  return std::make_unique<ResultFile>(std::move(file), size, path);
}

std::string ResultFolder::Read(const Path& name, std::uint64_t limit_bytes) const {
  const auto file = Open(name, limit_bytes);
  std::string content(file->Size(), '\0');
  content.resize(file->ReadAt(0, {reinterpret_cast<std::uint8_t*>(content.data()), content.size()}));
  return content;
}

std::vector<std::string> ResultFolder::List(const Path& name) const {
  const Path path = path_ / name;
  // fdopendir takes the number over; closedir closes it.
  const Descriptor found = OpenBeneath(name, O_DIRECTORY);
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(::fcntl(found.number(), F_DUPFD_CLOEXEC, 0)),
                                                    [](DIR* open) { return ::closedir(open); });
  if (listing == nullptr) ThrowOpen(path, errno);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(listing.get());
    if (entry == nullptr) break;
    const std::string_view text = entry->d_name;
    if (text == "." || text == "..") continue;
    if (names.size() == kMaxListedNames) {
      throw Error(ErrorCode::kInvalidInput, path.string() + " holds more than " + std::to_string(kMaxListedNames) +
                                                " names; this is not a folder of results");
    }
    names.emplace_back(text);
  }
  if (errno != 0) throw Error(ErrorCode::kUnavailable, "cannot list " + path.string() + ": " + std::strerror(errno));
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace hemafed::agent
