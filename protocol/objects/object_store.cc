// SPDX-License-Identifier: Apache-2.0
#include "protocol/objects/object_store.h"

#include <utility>

#include "common/error.h"

namespace hemafed {

namespace {
constexpr std::string_view kPartSuffix = ".part";
}  // namespace

ObjectStore::ObjectStore(FileSystem& files, Path root) : files_(files), root_(std::move(root)) {
  const bool is_new = !files_.Exists(root_);
  files_.CreateFolders(root_ / "objects");
  files_.CreateFolders(root_ / "tmp");
  // Objects are durable only in folders that are.
  files_.SyncDirectory(root_);
  if (is_new && root_.has_parent_path()) files_.SyncDirectory(root_.parent_path());
}

Path ObjectStore::PathOf(const Digest& digest) const {
  const std::string hex = digest.Hex();
  return root_ / "objects" / hex.substr(0, 2) / hex.substr(2);
}

Path ObjectStore::PartPathOf(const Digest& digest) const {
  return root_ / "tmp" / (digest.Hex() + std::string(kPartSuffix));
}

std::optional<std::uint64_t> ObjectStore::SizeOf(const Digest& digest) const { return files_.SizeOf(PathOf(digest)); }

std::unique_ptr<ReadableFile> ObjectStore::OpenForRead(const Digest& digest) const {
  if (!Has(digest)) {
    throw Error(ErrorCode::kNotFound, "object " + digest.Hex() + " is not in " + root_.string() +
                                          "; fetch it from the site or mirror that has it");
  }
  return files_.OpenForRead(PathOf(digest));
}

void ObjectStore::MoveIn(const Path& from, const Digest& digest) {
  const Path to = PathOf(digest);
  const Path folder = to.parent_path();
  // A folder that is there may be one whose sync failed, or came no further, before.
  if (auto&& synced = folder_synced_[digest.bytes[0]]; !synced) {
    files_.CreateFolders(folder);
    files_.SyncDirectory(folder.parent_path());
    synced = true;
  }
  files_.Rename(from, to);
  try {
    files_.SyncDirectory(folder);
  } catch (const Error&) {
    // An object that is seen is durable: nobody may be told of one that the next loss of power takes away.
    files_.Remove(to);
    throw;
  }
}

Digest ObjectStore::Put(ByteView content) {
  if (content.size() > kMaxObjectBytes) {
    throw Error(ErrorCode::kInvalidInput, "an object of " + std::to_string(content.size()) +
                                              " bytes is larger than the " + std::to_string(kMaxObjectBytes) +
                                              " allowed");
  }
  const Digest digest = Sha256Of(content);
  if (Has(digest)) return digest;
  const Path temporary = root_ / "tmp" / (digest.Hex() + ".new");
  try {
    const auto file = files_.Create(temporary);
    file->Append(content);
    file->Sync();
    file->Close();
    MoveIn(temporary, digest);
  } catch (const Error&) {
    files_.Remove(temporary);
    throw;
  }
  return digest;
}

void ObjectStore::AdoptFile(const Path& file, const Digest& digest) {
  const Digest actual = DigestOfFile(files_, file);
  if (actual != digest) {
    throw Error(ErrorCode::kCorrupt, file.string() + " hashes to " + actual.Hex() + ", not to the announced " +
                                         digest.Hex() + "; make the file again");
  }
  if (Has(digest)) {
    files_.Remove(file);
    return;
  }
  files_.OpenForAppend(file)->Sync();
  MoveIn(file, digest);
}

void ObjectStore::Remove(const Digest& digest) {
  if (!Has(digest)) return;
  files_.Remove(PathOf(digest));
  files_.SyncDirectory(PathOf(digest).parent_path());
}

PartFile ObjectStore::OpenPart(const Digest& digest) { return {files_, PartPathOf(digest), digest}; }

void ObjectStore::CommitPart(PartFile part) {
  const Digest digest = part.digest();
  if (!part.FinishAndVerify()) {
    part.Discard();
    throw Error(ErrorCode::kCorrupt, "the " + std::to_string(part.size()) + " bytes received as object " +
                                         digest.Hex() + " hash to something else; they were removed, send it again");
  }
  if (Has(digest)) {
    part.Discard();
    return;
  }
  MoveIn(part.path(), digest);
}

void ObjectStore::DiscardPart(const Digest& digest) { files_.Remove(PartPathOf(digest)); }

void ObjectStore::RemoveAbandonedParts(const std::set<Digest>& keep) {
  for (const std::string& name : files_.List(root_ / "tmp")) {
    std::optional<Digest> digest;
    if (name.ends_with(kPartSuffix)) digest = Digest::FromHex(name.substr(0, name.size() - kPartSuffix.size()));
    if (!digest || !keep.contains(*digest)) files_.Remove(root_ / "tmp" / name);
  }
}

bool ObjectStore::Verify(const Digest& digest) const { return DigestOfFile(files_, PathOf(digest)) == digest; }

}  // namespace hemafed
