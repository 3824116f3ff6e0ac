// SPDX-License-Identifier: Apache-2.0
#include "common/digest_of_file.h"

#include "common/error.h"

namespace hemafed {

namespace {

constexpr std::size_t kPieceBytes = 1 << 20;  // Read at a time: memory, not meaning.

}  // namespace

Digest DigestOfFile(FileSystem& files, const Path& path, std::uint64_t limit_bytes) {
  const auto file = files.OpenForRead(path);
  const std::uint64_t size = file->Size();
  if (size > limit_bytes) {
    throw Error(ErrorCode::kInvalidInput, path.string() + " has " + std::to_string(size) + " bytes, more than the " +
                                              std::to_string(limit_bytes) + " an object may have");
  }
  Sha256 hash;
  Bytes buffer(kPieceBytes);
  for (std::uint64_t offset = 0; offset < size;) {
    const std::size_t got = file->ReadAt(offset, buffer);
    if (got == 0) break;  // It shrank meanwhile; the digest will tell.
    hash.Update(ByteView(buffer).first(got));
    offset += got;
  }
  return hash.Finish();
}

}  // namespace hemafed
