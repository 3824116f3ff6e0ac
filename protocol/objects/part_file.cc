// SPDX-License-Identifier: Apache-2.0
#include "protocol/objects/part_file.h"

#include <utility>

#include "common/digest_of_file.h"
#include "protocol/wire/frame.h"

namespace hemafed {

PartFile::PartFile(FileSystem& files, Path path, const Digest& digest)
    : files_(&files), path_(std::move(path)), digest_(digest) {
  const std::uint64_t found = files.SizeOf(path_).value_or(0);
  size_ = found - found % wire::kChunkBytes;
  if (size_ != found) files.Truncate(path_, size_);
  file_ = files.OpenForAppend(path_);
  Sync();
}

void PartFile::Append(ByteView bytes) {
  file_->Append(bytes);
  size_ += bytes.size();
  if (size_ - synced_ >= kPartSyncBytes) Sync();
}

void PartFile::Sync() {
  if (size_ > synced_) file_->Sync();
  synced_ = size_;
}

bool PartFile::FinishAndVerify() {
  Sync();
  file_->Close();
  return DigestOfFile(*files_, path_) == digest_;
}

void PartFile::Discard() {
  file_.reset();
  files_->Remove(path_);
}

}  // namespace hemafed
