// SPDX-License-Identifier: Apache-2.0
#include "protocol/objects/object_store.h"

#include <gtest/gtest.h>

#include <functional>

#include "protocol/wire/frame.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::FaultFileSystem;
using testing_support::Scratch;
using wire::kChunkBytes;

// Bytes that differ from chunk to chunk.
Bytes Content(std::size_t size) {
  Bytes content(size);
  for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<std::uint8_t>(i * 31 + i / 1000);
  return content;
}

std::string FolderListing(FaultFileSystem& files, const Path& folder) {
  std::string names;
  for (const std::string& name : files.List(folder)) names += name + " ";
  return names;
}

TEST(ObjectStore, AnObjectIsWhereItsDigestSays) {
  const Scratch scratch;
  ObjectStore store(RealFileSystem(), scratch.path());
  const Digest digest = store.Put(AsBytes("abc"));
  EXPECT_EQ(store.PathOf(digest),
            scratch / "objects/ba/7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(ReadFile(RealFileSystem(), store.PathOf(digest), 10), "abc");
  EXPECT_TRUE(store.Has(digest));
  EXPECT_EQ(store.SizeOf(digest), 3u);
  EXPECT_EQ(store.OpenForRead(digest)->Size(), 3u);
  EXPECT_TRUE(store.Verify(digest));
  EXPECT_EQ(store.Put(AsBytes("abc")), digest);
  EXPECT_TRUE(RealFileSystem().List(scratch / "tmp").empty());
}

TEST(ObjectStore, WhatIsNotThereIsNotFoundAndCanBeRemoved) {
  FaultFileSystem files;
  ObjectStore store(files, "root");
  const Digest absent = Sha256Of("absent");
  EXPECT_FALSE(store.Has(absent));
  EXPECT_ERROR(ErrorCode::kNotFound, "", (void)store.OpenForRead(absent));
  store.Remove(absent);
  const Digest digest = store.Put(AsBytes("x"));
  store.Remove(digest);
  EXPECT_FALSE(store.Has(digest));
}

TEST(ObjectStore, DamageAtRestIsSeenByVerify) {
  FaultFileSystem files;
  ObjectStore store(files, "root");
  const Digest digest = store.Put(AsBytes("content"));
  files.Plant(store.PathOf(digest), "c0ntent");
  EXPECT_FALSE(store.Verify(digest));
}

TEST(ObjectStore, APartThatDoesNotHashToItsNameIsRemoved) {
  FaultFileSystem files;
  ObjectStore store(files, "root");
  const Digest digest = Sha256Of("announced");
  PartFile part = store.OpenPart(digest);
  part.Append(AsBytes("something else"));
  EXPECT_ERROR(ErrorCode::kCorrupt, "", store.CommitPart(std::move(part)));
  EXPECT_FALSE(store.Has(digest));
  EXPECT_EQ(FolderListing(files, "root/tmp"), "");
}

TEST(ObjectStore, APartIsResumedAtTheLastWholeChunkThatWasSynced) {
  FaultFileSystem files;
  const Bytes content = Content(3 * kChunkBytes);
  const Digest digest = Sha256Of(content);
  const std::uint64_t torn = kChunkBytes / 2;
  {
    ObjectStore store(files, "root");
    files.SyncDirectory("root");
    files.SyncDirectory("");
    PartFile part = store.OpenPart(digest);
    part.Append(ByteView(content).first(2 * kChunkBytes));
    part.Sync();
    files.SyncDirectory("root/tmp");
    part.Append(ByteView(content).subspan(2 * kChunkBytes));
    EXPECT_EQ(part.synced_bytes(), 2 * kChunkBytes);
  }
  files.Crash(torn);
  ObjectStore store(files, "root");
  PartFile part = store.OpenPart(digest);
  EXPECT_EQ(part.size(), 2 * kChunkBytes);
  EXPECT_EQ(part.synced_bytes(), 2 * kChunkBytes);
  part.Append(ByteView(content).subspan(2 * kChunkBytes));
  store.CommitPart(std::move(part));
  EXPECT_TRUE(store.Verify(digest));
}

TEST(ObjectStore, APartIsSyncedEveryFewChunks) {
  FaultFileSystem files;
  ObjectStore store(files, "root");
  PartFile part = store.OpenPart(Sha256Of("x"));
  const Bytes chunk(kChunkBytes);
  for (std::uint64_t size = kChunkBytes; size < kPartSyncBytes; size += kChunkBytes) part.Append(chunk);
  EXPECT_EQ(part.synced_bytes(), 0u);
  part.Append(chunk);
  EXPECT_EQ(part.synced_bytes(), kPartSyncBytes);
}

TEST(ObjectStore, AdoptingChecksTheDigestAndMovesTheFile) {
  FaultFileSystem files;
  ObjectStore store(files, "root");
  files.Plant("root/scratch/model", "weights");
  EXPECT_ERROR(ErrorCode::kCorrupt, "", store.AdoptFile("root/scratch/model", Sha256Of("other")));
  EXPECT_TRUE(files.Exists("root/scratch/model"));
  store.AdoptFile("root/scratch/model", Sha256Of("weights"));
  EXPECT_FALSE(files.Exists("root/scratch/model"));
  EXPECT_TRUE(store.Verify(Sha256Of("weights")));
  files.Plant("root/scratch/again", "weights");
  store.AdoptFile("root/scratch/again", Sha256Of("weights"));
  EXPECT_FALSE(files.Exists("root/scratch/again"));
}

TEST(ObjectStore, AbandonedPartsGoAndWantedOnesStay) {
  FaultFileSystem files;
  ObjectStore store(files, "root");
  (void)store.OpenPart(Sha256Of("a"));
  (void)store.OpenPart(Sha256Of("b"));
  files.Plant("root/tmp/left-by-something.new", "x");
  store.RemoveAbandonedParts({Sha256Of("b")});
  EXPECT_EQ(FolderListing(files, "root/tmp"), Sha256Of("b").Hex() + ".part ");
}

TEST(ObjectStore, AFullDiskLeavesNothingOfASmallObject) {
  FaultFileSystem files;
  ObjectStore store(files, "root");
  files.SetFreeBytes(100);
  EXPECT_ERROR(ErrorCode::kNoSpace, "", (void)store.Put(Content(1000)));
  EXPECT_EQ(FolderListing(files, "root/tmp"), "");
  EXPECT_EQ(FolderListing(files, "root/objects"), "");
}

TEST(ObjectStore, AFileLargerThanAnObjectMayBeIsRefusedBeforeItIsRead) {
  const Scratch scratch;
  RealFileSystem().Create(scratch / "huge")->Append("x");
  RealFileSystem().Truncate(scratch / "huge", kMaxObjectBytes + 1);  // A hole.
  EXPECT_ERROR(ErrorCode::kInvalidInput, "", (void)DigestOfFile(RealFileSystem(), scratch / "huge"));
}

// Every file call fails once and then power is lost: what was acknowledged is there whole, what was not is there whole
// or not at all, and the same work done again succeeds.
void FailEveryCall(const std::function<void(FaultFileSystem&, ObjectStore&)>& work, const Digest& digest) {
  std::uint64_t n = 0;
  for (bool tried_all = false; !tried_all;) {
    FaultFileSystem files;
    ObjectStore(files, "root");
    files.SyncDirectory("root");
    files.SyncDirectory("");
    files.Plant("root/scratch/file", "content");
    files.FailCall(++n, ErrorCode::kUnavailable);
    bool acknowledged = false;
    try {
      ObjectStore store(files, "root");
      work(files, store);
      acknowledged = true;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.what();
    }
    tried_all = !files.failed();
    files.Crash();
    ObjectStore store(files, "root");
    if (acknowledged) {
      EXPECT_TRUE(store.Has(digest)) << "call " << n;
    }
    if (store.Has(digest)) {
      EXPECT_TRUE(store.Verify(digest)) << "call " << n;
    }
    if (!files.Exists("root/scratch/file")) files.Plant("root/scratch/file", "content");
    work(files, store);
    EXPECT_TRUE(store.Verify(digest)) << "call " << n;
  }
  EXPECT_GT(n, 5u);
}

TEST(ObjectStore, EveryFailedCallOfPutKeepsThePromise) {
  FailEveryCall([](FaultFileSystem&, ObjectStore& store) { store.Put(AsBytes("content")); }, Sha256Of("content"));
}

TEST(ObjectStore, EveryFailedCallOfCommitKeepsThePromise) {
  FailEveryCall(
      [](FaultFileSystem&, ObjectStore& store) {
        if (store.Has(Sha256Of("content"))) return;
        PartFile part = store.OpenPart(Sha256Of("content"));
        part.Append(AsBytes("content"));
        store.CommitPart(std::move(part));
      },
      Sha256Of("content"));
}

TEST(ObjectStore, EveryFailedCallOfAdoptKeepsThePromise) {
  FailEveryCall(
      [](FaultFileSystem& files, ObjectStore& store) {
        if (files.Exists("root/scratch/file")) store.AdoptFile("root/scratch/file", Sha256Of("content"));
      },
      Sha256Of("content"));
}

}  // namespace
}  // namespace hemafed
