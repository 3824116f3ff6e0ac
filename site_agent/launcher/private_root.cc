// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/private_root.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "common/descriptor.h"
#include "common/error.h"
#include "site_agent/launcher/namespaces.h"

namespace hemafed {

namespace {

// The new root grows on top of /proc: a folder that is always there and whose content has been taken aside by then.
constexpr const char* kStage = "/proc";
// Folders and links of the new root only; listed paths keep their own file systems.
constexpr const char* kRootOptions = "size=256k,nr_inodes=2k,mode=0755";
// Links followed while one path is rebuilt; the kernel's own limit is 40.
constexpr int kMaxLinks = 40;

constexpr std::uint64_t kReadOnlyMount = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
constexpr std::uint64_t kReadWriteMount = MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
constexpr std::uint64_t kDeviceMount = MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSUID;

// What programs read about the machine; sizes and counts, nothing about processes.
constexpr const char* kProcFiles[] = {"/proc/cpuinfo", "/proc/meminfo",     "/proc/stat",
                                      "/proc/version", "/proc/filesystems", "/proc/sys/vm/overcommit_memory"};

[[noreturn]] void ThrowRefused(const std::string& what) {
  throw Error(ErrorCode::kUnavailable, "private root: cannot " + what + ": " + std::strerror(errno));
}

// A detached copy of the mounts at `path`, to be put somewhere else.
struct Tree {
  Path at;
  Descriptor mounts;
  bool is_folder = true;
};

Tree TakeAside(const Path& path, const Path& at, std::uint64_t attributes) {
  Tree tree{at, Descriptor(::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)),
            true};
  struct stat status {};
  if (!tree.mounts.valid() || ::fstat(tree.mounts.number(), &status) != 0) ThrowRefused("copy " + path.string());
  tree.is_folder = S_ISDIR(status.st_mode);
  struct mount_attr change {};
  change.attr_set = attributes;
  if (::mount_setattr(tree.mounts.number(), "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change) != 0) {
    ThrowRefused("protect the copy of " + path.string());
  }
  return tree;
}

bool IsProc(const Path& path) { return IsWithin(path, "/proc"); }

std::vector<Tree> TakeAllAside(const AccessRules& rules) {
  std::vector<Tree> trees;
  const auto take = [&](const std::vector<Path>& paths, std::uint64_t attributes) {
    for (const Path& path : paths) {
      const Path canonical = std::filesystem::canonical(path);
      if (!IsProc(canonical)) trees.push_back(TakeAside(canonical, canonical, attributes));
    }
  };
  take(rules.read_only, kReadOnlyMount);
  take(rules.read_write, kReadWriteMount);
  take(rules.devices, kDeviceMount);
  trees.push_back(TakeAside("/proc/" + std::to_string(::getpid()), "/proc/self", kReadOnlyMount | MOUNT_ATTR_NOEXEC));
  for (const char* file : kProcFiles) {
    if (::access(file, R_OK) == 0) trees.push_back(TakeAside(file, file, kReadOnlyMount | MOUNT_ATTR_NOEXEC));
  }
  // Outer folders first, so that inner ones land on top of them; of one folder listed twice, the writable one wins.
  std::stable_sort(trees.begin(), trees.end(), [](const Tree& a, const Tree& b) { return a.at < b.at; });
  return trees;
}

// Makes the folders above `at`, and `at` itself as a folder or an empty file, below `root`. What exists stays.
void MakeMountPoint(int root, const Path& at, bool is_folder) {
  Path done;
  const Path relative = at.relative_path();
  for (auto part = relative.begin(); part != relative.end(); ++part) {
    done /= *part;
    if (std::next(part) != relative.end() || is_folder) {
      if (::mkdirat(root, done.c_str(), 0755) == 0 || errno == EEXIST || errno == EROFS) continue;
      ThrowRefused("make /" + done.string());
    }
    const Descriptor file(::openat(root, done.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
    if (!file.valid() && errno != EEXIST && errno != EROFS) ThrowRefused("make /" + done.string());
  }
}

// Repeats, below `root`, the symbolic links that lie on the way to `path` (/lib64, a data folder behind a link, ...).
void RepeatLinks(int root, const Path& path) {
  Path walked = "/";
  Path rest = path.lexically_normal().relative_path();
  for (int links = 0; !rest.empty() && links <= kMaxLinks;) {
    const Path next = walked / *rest.begin();
    const Path after = rest.lexically_relative(*rest.begin());
    std::error_code error;
    if (!std::filesystem::is_symlink(next, error)) {
      walked = next;
      rest = after == "." ? Path() : after;
      continue;
    }
    ++links;
    const Path target = std::filesystem::read_symlink(next);
    MakeMountPoint(root, next.parent_path(), true);
    if (::symlinkat(target.c_str(), root, next.relative_path().c_str()) != 0 && errno != EEXIST && errno != EROFS) {
      ThrowRefused("repeat the link " + next.string());
    }
    const Path resolved = (target.is_absolute() ? target : walked / target).lexically_normal();
    rest = (resolved / (after == "." ? Path() : after)).relative_path();
    walked = "/";
  }
}

}  // namespace

void EnterPrivateRoot(const AccessRules& rules) {
  EnterNamespaces(CLONE_NEWNS);
  // Nothing that happens from here on may show outside.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) ThrowRefused("make mounts private");
  const std::vector<Tree> trees = TakeAllAside(rules);
  if (::mount("hemafed", kStage, "tmpfs", MS_NOSUID | MS_NODEV, kRootOptions) != 0) ThrowRefused("mount a new root");
  const Descriptor root(::open(kStage, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) ThrowRefused("open the new root");

  Path writable;  // The writable folder at hand: read-only paths inside it are not laid over it.
  for (const Tree& tree : trees) {
    const bool listed_writable = std::any_of(rules.read_write.begin(), rules.read_write.end(), [&](const Path& path) {
      std::error_code error;
      return std::filesystem::canonical(path, error) == tree.at && !error;
    });
    const bool inside_writable = !writable.empty() && IsWithin(tree.at, writable);
    if (!listed_writable && inside_writable) continue;
    if (listed_writable && !inside_writable) writable = tree.at;
    MakeMountPoint(root.number(), tree.at, tree.is_folder);
    if (::move_mount(tree.mounts.number(), "", root.number(), tree.at.relative_path().c_str(),
                     MOVE_MOUNT_F_EMPTY_PATH) != 0) {
      ThrowRefused("show " + tree.at.string());
    }
  }
  for (const auto* list : {&rules.read_only, &rules.read_write, &rules.devices}) {
    for (const Path& path : *list) {
      if (!IsProc(path)) RepeatLinks(root.number(), std::filesystem::absolute(path));
    }
  }

  struct mount_attr read_only {};
  read_only.attr_set = MOUNT_ATTR_RDONLY;
  if (::mount_setattr(root.number(), "", AT_EMPTY_PATH, &read_only, sizeof read_only) != 0) {
    ThrowRefused("make the new root read-only");
  }
  // pivot_root(".", "."): the old root ends on top of the new one and is then let go (pivot_root(2), notes).
  if (::fchdir(root.number()) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 || ::umount2(".", MNT_DETACH) != 0 ||
      ::chdir("/") != 0) {
    ThrowRefused("leave the old root");
  }
}

}  // namespace hemafed
