// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/fault_file_system.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "tests/expect_error.h"
#include "tests/scratch.h"

namespace hemafed::testing_support {
namespace {

void Write(FileSystem& files, const Path& path, std::string_view content, bool sync) {
  const auto file = files.Create(path);
  file->Append(content);
  if (sync) file->Sync();
  file->Close();
}

TEST(FaultFileSystem, ForgetsBytesThatWereNotSynced) {
  FaultFileSystem files;
  const auto file = files.Create("/log");
  files.SyncDirectory("/");
  file->Append("kept");
  file->Sync();
  file->Append("lost");
  EXPECT_EQ(files.Peek("/log"), "keptlost");
  files.Crash();
  EXPECT_EQ(files.Peek("/log"), "kept");
  EXPECT_ERROR(ErrorCode::kUnavailable, "before the crash", file->Append("more"));
}

TEST(FaultFileSystem, CanKeepATornTail) {
  FaultFileSystem files;
  files.Plant("/log", "kept");
  const auto file = files.OpenForAppend("/log");
  file->Append("lost");
  files.Crash(2);
  EXPECT_EQ(files.Peek("/log"), "keptlo");
  files.Crash();
  EXPECT_EQ(files.Peek("/log"), "keptlo") << "what survived one crash is on the disk";
}

TEST(FaultFileSystem, ForgetsANameWhoseFolderWasNotSynced) {
  FaultFileSystem files;
  Write(files, "/a", "bytes", true);
  files.Crash();
  EXPECT_EQ(files.Peek("/a"), std::nullopt);
}

TEST(FaultFileSystem, KeepsANameWithoutItsBytesWhenOnlyTheFolderWasSynced) {
  FaultFileSystem files;
  Write(files, "/a", "bytes", false);
  files.SyncDirectory("/");
  files.Crash();
  EXPECT_EQ(files.Peek("/a"), "");
}

TEST(FaultFileSystem, UndoesARenameAndARemovalThatWereNotSynced) {
  FaultFileSystem files;
  files.Plant("/folder/old", "1");
  files.Plant("/folder/gone", "2");
  files.Rename("/folder/old", "/folder/new");
  files.Remove("/folder/gone");
  EXPECT_EQ(files.List("/folder"), (std::vector<std::string>{"new"}));
  files.Crash();
  EXPECT_EQ(files.List("/folder"), (std::vector<std::string>{"gone", "old"}));
  files.Rename("/folder/old", "/folder/new");
  files.Remove("/folder/gone");
  files.SyncDirectory("/folder");
  files.Crash();
  EXPECT_EQ(files.List("/folder"), (std::vector<std::string>{"new"}));
}

TEST(FaultFileSystem, ARenameBetweenFoldersNeedsBothSynced) {
  FaultFileSystem files;
  files.Plant("/a/x", "1");
  files.Plant("/b/y", "2");
  files.Rename("/a/x", "/b/x");
  files.SyncDirectory("/a");
  files.Crash();
  EXPECT_EQ(files.List("/a").size() + files.List("/b").size(), 1u) << "x is gone from both";
}

TEST(FaultFileSystem, ForgetsAFolderThatItsParentDoesNotKnow) {
  FaultFileSystem files;
  files.CreateFolders("/a/b");
  Write(files, "/a/b/x", "1", true);
  files.SyncDirectory("/a/b");
  files.SyncDirectory("/a");
  files.Crash();
  EXPECT_EQ(files.List("/"), std::vector<std::string>{});
}

TEST(FaultFileSystem, MovesAFolderWithItsContent) {
  FaultFileSystem files;
  files.Plant("/work/job/report.json", "{}");
  files.CreateFolders("/done");
  files.Rename("/work/job", "/done/job");
  EXPECT_EQ(files.Peek("/done/job/report.json"), "{}");
  EXPECT_EQ(files.Peek("/work/job/report.json"), std::nullopt);
  files.Plant("/work/job/report.json", "{}");
  EXPECT_ERROR(ErrorCode::kUnavailable, "not empty", files.Rename("/work/job", "/done/job"));
}

TEST(FaultFileSystem, ForgetsATruncationThatWasNotSynced) {
  FaultFileSystem files;
  files.Plant("/log", "12345");
  files.Truncate("/log", 2);
  EXPECT_EQ(files.Peek("/log"), "12");
  files.Crash();
  EXPECT_EQ(files.Peek("/log"), "12345");
  files.Truncate("/log", 2);
  files.OpenForAppend("/log")->Sync();
  files.Crash();
  EXPECT_EQ(files.Peek("/log"), "12");
}

TEST(FaultFileSystem, FailsExactlyTheCallThatWasAskedFor) {
  FaultFileSystem files;
  const auto work = [&] {
    Write(files, "/a", "12345678", true);
    files.Rename("/a", "/b");
    files.SyncDirectory("/");
    return ReadFile(files, "/b", 100);
  };
  (void)work();
  const std::uint64_t calls = files.calls();
  EXPECT_EQ(calls, 9u) << "create, append, sync, close, rename, sync folder, open, size, read";
  std::set<std::string> messages;
  for (std::uint64_t n = 1; n <= calls; ++n) {
    files.FailCall(n, ErrorCode::kNoSpace);
    try {
      (void)work();
      ADD_FAILURE() << "call " << n << " did not fail";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kNoSpace);
      messages.insert(std::string(error.what()).substr(0, std::string(error.what()).find(':')));
    }
    EXPECT_TRUE(files.failed());
  }
  EXPECT_EQ(messages.size(), calls) << "every call names what it was about to do";
  files.FailCall(calls + 1, ErrorCode::kNoSpace);
  EXPECT_EQ(work(), "12345678");
  EXPECT_FALSE(files.failed());
}

TEST(FaultFileSystem, LeavesHalfOfAFailedAppend) {
  FaultFileSystem files;
  const auto file = files.Create("/a");
  files.FailCall(1, ErrorCode::kUnavailable);
  EXPECT_ERROR(ErrorCode::kUnavailable, "the test wants it", file->Append("123456"));
  EXPECT_EQ(files.Peek("/a"), "123");
  file->Append("x");
  EXPECT_EQ(files.Peek("/a"), "123x");
}

TEST(FaultFileSystem, RunsOutOfSpace) {
  FaultFileSystem files;
  files.SetFreeBytes(5);
  Write(files, "/a", "123", true);
  EXPECT_ERROR(ErrorCode::kNoSpace, "No space left", Write(files, "/b", "1234", true));
  EXPECT_EQ(files.Peek("/b"), "12");
  files.SetFreeBytes(std::nullopt);
  Write(files, "/b", "1234", true);
}

TEST(FaultFileSystem, NamesWhatIsMissingAsTheRealOneDoes) {
  const Scratch scratch;
  FaultFileSystem memory;
  memory.CreateFolders(scratch.path());
  for (FileSystem* files : {static_cast<FileSystem*>(&memory), &RealFileSystem()}) {
    const auto expect_not_found = [&](const std::function<void()>& call) {
      EXPECT_ERROR(ErrorCode::kNotFound, "No such file", call());
    };
    expect_not_found([&] { (void)files->OpenForRead(scratch / "none"); });
    expect_not_found([&] { (void)files->Create(scratch / "none/x"); });
    expect_not_found([&] { (void)files->OpenForAppend(scratch / "none/x"); });
    expect_not_found([&] { (void)files->List(scratch / "none"); });
    expect_not_found([&] { files->Rename(scratch / "none", scratch / "x"); });
    expect_not_found([&] { files->Truncate(scratch / "none", 0); });
    expect_not_found([&] { files->SyncDirectory(scratch / "none"); });
    files->Remove(scratch / "none");
    EXPECT_EQ(files->SizeOf(scratch / "none"), std::nullopt);

    Write(*files, scratch / "b", "12", false);
    Write(*files, scratch / "a", "1", false);
    EXPECT_EQ(files->List(scratch.path()), (std::vector<std::string>{"a", "b"}));
    files->Rename(scratch / "b", scratch / "a");
    EXPECT_EQ(ReadFile(*files, scratch / "a", 9), "12");
    files->OpenForAppend(scratch / "a")->Append("3");
    EXPECT_EQ(files->SizeOf(scratch / "a"), 3u);
    files->Truncate(scratch / "a", 1);
    EXPECT_EQ(ReadFile(*files, scratch / "a", 9), "1");
    files->CreateFolders(scratch / "d/e");
    WriteFileAtomically(*files, scratch / "d/e/f", "x");
    files->Remove(scratch / "d");
    EXPECT_FALSE(files->Exists(scratch / "d/e/f"));
  }
}

TEST(WriteFileAtomically, LeavesOldOrNewContentWhicheverCallFailsOrCrashes) {
  for (std::uint64_t n = 1;; ++n) {
    FaultFileSystem files;
    files.Plant("/folder/file", "old");
    files.FailCall(n, ErrorCode::kNoSpace);
    bool acknowledged = false;
    try {
      WriteFileAtomically(files, "/folder/file", "new");
      acknowledged = true;
    } catch (const Error&) {
    }
    const bool failed = files.failed();
    EXPECT_EQ(acknowledged, !failed);
    files.Crash();
    EXPECT_EQ(files.Peek("/folder/file"), acknowledged ? "new" : "old") << "call " << n;
    if (!failed) break;
  }
}

}  // namespace
}  // namespace hemafed::testing_support
