// protocol/objects/object_store.h
// SPDX-License-Identifier: Apache-2.0
//
// A folder of immutable files named by content: the object with SHA-256 abcdef... is at objects/ab/cdef... below the
// root. Models, updates, reports and plans live here; any file server can mirror it.
//
//     <root>/objects/ab/cdef...   62 more hexadecimal characters
//     <root>/tmp/<digest>.part    an object on its way in; may be deleted at any time at the cost of sending it again
//
// An object appears under its name only after its bytes hash to that name and are synced (write, sync, hash, rename,
// sync folder); a crash leaves at most a part. Objects are never changed, only removed, so a reader needs no lock.
//
// Errors, each with path and digest: kNotFound (no such object), kInvalidInput (larger than kMaxObjectBytes),
// kCorrupt (bytes do not hash to the name they were announced under), kNoSpace and kUnavailable from the file system.
// Nothing is left behind by a failed call except a part that can be resumed.
//
// Thread-safety: one thread; several stores over one folder only if just one of them writes.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "common/digest_of_file.h"
#include "common/file_system.h"
#include "common/sha256.h"
#include "protocol/objects/part_file.h"

namespace hemafed {

class ObjectStore {
 public:
  // Makes the folders if they are missing. `files` is borrowed.
  ObjectStore(FileSystem& files, Path root);

  [[nodiscard]] bool Has(const Digest& digest) const { return SizeOf(digest).has_value(); }
  // Bytes; nothing if there is no such object.
  [[nodiscard]] std::optional<std::uint64_t> SizeOf(const Digest& digest) const;
  [[nodiscard]] std::unique_ptr<ReadableFile> OpenForRead(const Digest& digest) const;
  // Where the object is or would be.
  [[nodiscard]] Path PathOf(const Digest& digest) const;

  // Stores a small object whole; returns its digest. Storing what is there is not an error.
  Digest Put(ByteView content);
  // Moves a finished file of the same disk into the store; the file is gone afterwards, also if the object was there.
  // Hashes it first: kCorrupt if it is not what `digest` says (the file is left where it is).
  void AdoptFile(const Path& file, const Digest& digest);

  // Removes an object; nothing there is not an error.
  void Remove(const Digest& digest);

  // Opens the part of an object that is on its way in, resuming what an earlier attempt left.
  [[nodiscard]] PartFile OpenPart(const Digest& digest);
  // Verifies, syncs and moves a part in. kCorrupt if its bytes do not hash to the digest: the part is removed.
  void CommitPart(PartFile part);
  // Removes what has arrived of an object; nothing there is not an error.
  void DiscardPart(const Digest& digest);
  // Removes parts that no transfer will resume: all but those in `keep`.
  void RemoveAbandonedParts(const std::set<Digest>& keep);

  // Hashes the stored bytes again; false if they are not what the name says.
  [[nodiscard]] bool Verify(const Digest& digest) const;

 private:
  [[nodiscard]] Path PartPathOf(const Digest& digest) const;
  void MoveIn(const Path& from, const Digest& digest);

  FileSystem& files_;
  Path root_;
  std::bitset<256> folder_synced_;  // By first byte: this object has synced the folder's name.
};

}  // namespace hemafed
