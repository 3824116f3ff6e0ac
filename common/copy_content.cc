// SPDX-License-Identifier: Apache-2.0
#include "common/copy_content.h"

namespace hemafed {

namespace {

constexpr std::size_t kPieceBytes = 1 << 20;  // Read at a time: memory, not meaning.

}  // namespace

Digest CopyContent(const ReadableFile& from, WritableFile& to) {
  Sha256 hash;
  Bytes buffer(kPieceBytes);
  for (std::uint64_t offset = 0;;) {
    const std::size_t got = from.ReadAt(offset, buffer);
    if (got == 0) return hash.Finish();
    const ByteView piece = ByteView(buffer).first(got);
    hash.Update(piece);
    to.Append(piece);
    offset += got;
  }
}

}  // namespace hemafed
