// SPDX-License-Identifier: Apache-2.0
#include "coordinator/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include "common/error.h"

namespace hemafed::coordinator {

FolderLock::FolderLock(const Path& folder)
    : file_(::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
  if (!file_.valid()) throw Error(ErrorCode::kUnavailable, "cannot open " + (folder / "lock").string());
  if (::flock(file_.number(), LOCK_EX | LOCK_NB) != 0) {
    throw Error(ErrorCode::kConflict, "another coordinator runs on " + folder.string() + "; stop it first");
  }
}

}  // namespace hemafed::coordinator
