// common/copy_content.h
// SPDX-License-Identifier: Apache-2.0
//
// Copies a whole file's content in pieces of a megabyte and says what it was: memory does not grow with the file, and
// what is checked is what was written.
//
// Errors: what FileSystem throws. Neither synced nor closed. Thread-safety: free function.
#pragma once

#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed {

// Returns SHA-256 of what was copied.
Digest CopyContent(const ReadableFile& from, WritableFile& to);

}  // namespace hemafed
