// SPDX-License-Identifier: Apache-2.0
#include "common/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "common/error.h"

namespace hemafed {

FolderLock::FolderLock(const Path& folder, const char* holder)
    : file_(::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
  if (!file_.valid()) {
    throw Error(ErrorCode::kUnavailable,
                "cannot open " + (folder / "lock").string() + "; the folder must exist and be writable");
  }
  int failed = 0;
  do {
    failed = ::flock(file_.number(), LOCK_EX | LOCK_NB);
  } while (failed != 0 && errno == EINTR);
  if (failed != 0 && errno != EWOULDBLOCK) {
    throw Error(ErrorCode::kUnavailable, "cannot lock " + folder.string() + ": " + std::strerror(errno) +
                                             "; put the folder on a file system that has locks");
  }
  if (failed != 0) {
    throw Error(ErrorCode::kConflict,
                "another " + std::string(holder) + " runs on " + folder.string() + "; stop it or wait for it first");
  }
}

}  // namespace hemafed
