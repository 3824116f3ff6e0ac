// common/digest_of_file.h
// SPDX-License-Identifier: Apache-2.0
//
// SHA-256 of a file's content, read in pieces of a megabyte: memory does not grow with the file.
//
// Errors: kInvalidInput if it has more than `limit_bytes` (before anything is read), and what FileSystem throws.
// Thread-safety: free function.
#pragma once

#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed {

// The largest model planned for is 100 MB as float32; its raw integers are as large. The rest is headroom.
inline constexpr std::uint64_t kMaxObjectBytes = std::uint64_t{2} << 30;

[[nodiscard]] Digest DigestOfFile(FileSystem& files, const Path& path, std::uint64_t limit_bytes = kMaxObjectBytes);

}  // namespace hemafed
