// coordinator/folder_lock.h
// SPDX-License-Identifier: Apache-2.0
//
// One coordinator for one folder: two would write two histories. Held from construction to destruction; the operating
// system lets go of it when the process ends, however it ends.
//
// Errors: kConflict if another process holds it. Thread-safety: one thread.
#pragma once

#include "common/descriptor.h"
#include "common/file_system.h"

namespace hemafed::coordinator {

class FolderLock {
 public:
  explicit FolderLock(const Path& folder);

 private:
  Descriptor file_;
};

}  // namespace hemafed::coordinator
