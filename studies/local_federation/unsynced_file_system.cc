// SPDX-License-Identifier: Apache-2.0
#include "studies/local_federation/unsynced_file_system.h"

#include <utility>

namespace hemafed::studies {

namespace {

class UnsyncedFile final : public WritableFile {
 public:
  explicit UnsyncedFile(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}
  using WritableFile::Append;
  void Append(ByteView bytes) override { file_->Append(bytes); }
  void Sync() override {}
  void Close() override { file_->Close(); }

 private:
  std::unique_ptr<WritableFile> file_;
};

}  // namespace

std::unique_ptr<WritableFile> UnsyncedFileSystem::Create(const Path& path, unsigned mode) {
  return std::make_unique<UnsyncedFile>(files_.Create(path, mode));
}

std::unique_ptr<WritableFile> UnsyncedFileSystem::OpenForAppend(const Path& path) {
  return std::make_unique<UnsyncedFile>(files_.OpenForAppend(path));
}

}  // namespace hemafed::studies
