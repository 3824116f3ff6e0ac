// common/folder_lock.h
// SPDX-License-Identifier: Apache-2.0
//
// One process for one folder: two would write two histories, or each the other's files. Held from construction to
// destruction; the operating system lets go of it when the process ends, however it ends. The file "lock" stays in the
// folder and means nothing by itself.
//
// Errors: kConflict if another process, or another lock of this one, holds the folder; kUnavailable if its file cannot
// be opened. Thread-safety: one thread.
#pragma once

#include "common/descriptor.h"
#include "common/file_system.h"

namespace hemafed {

class FolderLock {
 public:
  // `holder` names in the message what else may hold it: "coordinator", "study".
  explicit FolderLock(const Path& folder, const char* holder = "process");

 private:
  Descriptor file_;
};

}  // namespace hemafed
