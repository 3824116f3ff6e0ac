// SPDX-License-Identifier: Apache-2.0
//
// The round log on a failing machine: every call fails once, power is lost at every call, the disk fills up. Whatever
// happens, after reopening the log verifies, holds every acknowledged entry and continues every checkpoint that anyone
// can have seen.
#include <gtest/gtest.h>

#include <memory>

#include "protocol/log/journal.h"
#include "protocol/log/round_log_reader.h"
#include "protocol/log/round_log_writer.h"
#include "tests/fault/fault_file_system.h"
#include "tests/protocol/log_test_support.h"

namespace hemafed {
namespace {

using testing_support::FailureOf;
using testing_support::FaultFileSystem;
using testing_support::FixedKey;
using testing_support::FixedLogKey;
using testing_support::kOrigin;
using testing_support::NumberedEntries;

const Path kFolder = "data/coordinator/log";

// What the outside world was told, kept beside the log.
struct Expected {
  std::uint64_t acknowledged = 0;
  std::uint64_t attempted = 0;
  std::vector<Checkpoint> seen;

  // A reader may copy the checkpoint at any moment, also one that Append did not live to return.
  void Look(const FaultFileSystem& files) {
    const auto note = files.Peek(kFolder / "checkpoint");
    if (note) seen.push_back(OpenCheckpoint(*note, FixedLogKey(), "copy"));
  }
};

RoundLogWriter OpenLog(FileSystem& files) { return RoundLogWriter::Open(files, kFolder, kOrigin, FixedKey()); }

void AppendNext(RoundLogWriter& log, Expected& expected, std::uint64_t count) {
  expected.attempted += count;
  EXPECT_EQ(log.AppendBatch(NumberedEntries(count, expected.acknowledged)), expected.acknowledged);
  expected.acknowledged += count;
}

using Batches = std::vector<std::uint64_t>;
const Batches kFewEntries{1, 1, 3}, kOverATileBorder{1, 253, 1, 1, 1, 5, 2};

// From an empty folder on; stops at the first error, after which the writer must be of no use.
void Work(FaultFileSystem& files, Expected& expected, const Batches& batches) {
  try {
    auto log = OpenLog(files);
    expected.Look(files);
    for (const std::uint64_t count : batches) {
      try {
        AppendNext(log, expected, count);
      } catch (const Error&) {
        const auto refused = FailureOf([&] { log.Append("again"); });
        EXPECT_TRUE(refused && refused->code == ErrorCode::kConflict);
        EXPECT_TRUE(FailureOf([&] { (void)log.root(); }));
        EXPECT_TRUE(FailureOf([&] { (void)log.Entry(0); }));
        throw;
      }
      expected.Look(files);
    }
    log = OpenLog(files);
    AppendNext(log, expected, 1);
  } catch (const Error&) {
  }
  expected.Look(files);
}

void ExpectSound(FaultFileSystem& files, const Expected& expected) {
  std::vector<std::string> entries;
  const auto reader = RoundLogReader::Open(files, kFolder, FixedLogKey());
  const auto defect = reader.ForEach([&](std::uint64_t, std::string_view entry) { entries.emplace_back(entry); });
  ASSERT_FALSE(defect) << defect->message;
  EXPECT_GE(entries.size(), expected.acknowledged);
  EXPECT_LE(entries.size(), expected.attempted);
  EXPECT_EQ(entries, NumberedEntries(entries.size()));
  for (const Checkpoint& checkpoint : expected.seen) {
    const auto broken = reader.VerifyConsistency(checkpoint);
    EXPECT_FALSE(broken) << checkpoint.size << " entries were seen: " << broken->message;
  }
}

struct Machine {
  const char* name;
  ErrorCode code;
  bool power_lost;
  std::uint64_t kept_bytes;  // Of unsynced bytes.
  Batches batches;
};

class RoundLogFault : public testing::TestWithParam<Machine> {};

TEST_P(RoundLogFault, OfAnyOneCallLosesNothingAcknowledged) {
  std::uint64_t n = 1;
  for (;; ++n) {
    SCOPED_TRACE("call " + std::to_string(n));
    FaultFileSystem files;
    files.FailCall(n, GetParam().code);
    Expected expected;
    Work(files, expected, GetParam().batches);
    if (!files.failed()) break;
    if (GetParam().power_lost) files.Crash(GetParam().kept_bytes);
    {
      auto log = OpenLog(files);
      EXPECT_GE(log.size(), expected.acknowledged);
      ExpectSound(files, expected);
      expected.acknowledged = expected.attempted = log.size();
      AppendNext(log, expected, 1);
      expected.Look(files);
    }
    ExpectSound(files, expected);
    files.Crash();
    (void)OpenLog(files);
    ExpectSound(files, expected);
    if (HasFailure()) return;
  }
  EXPECT_GT(n, 20 * GetParam().batches.size()) << "far fewer calls than appending makes: the test does not see them";
}

INSTANTIATE_TEST_SUITE_P(Machines, RoundLogFault,
                         testing::ValuesIn(std::vector<Machine>{
                             {"DiskFull", ErrorCode::kNoSpace, false, 0, kOverATileBorder},
                             {"InputOutputError", ErrorCode::kUnavailable, false, 0, kFewEntries},
                             {"PowerLost", ErrorCode::kUnavailable, true, 0, kOverATileBorder},
                             {"PowerLostTearingAfter3Bytes", ErrorCode::kUnavailable, true, 3, kFewEntries},
                             {"PowerLostTearingAfter60Bytes", ErrorCode::kUnavailable, true, 60, kFewEntries},
                             {"PowerLostKeepingUnsyncedBytes", ErrorCode::kUnavailable, true, 1'000'000, kFewEntries}}),
                         [](const auto& row) { return row.param.name; });

TEST(RoundLogFaults, DiskFullAtAnyByteIsReportedAsSuchAndTheLogGoesOnAfterRoomWasMade) {
  for (std::uint64_t room = 0; room < 2000; room += 7) {
    SCOPED_TRACE(std::to_string(room) + " bytes free");
    FaultFileSystem files;
    Expected expected;
    {
      auto log = OpenLog(files);
      AppendNext(log, expected, 20);
      files.SetFreeBytes(room);
      const auto failure = FailureOf([&] { AppendNext(log, expected, 5); });
      EXPECT_TRUE(!failure || failure->code == ErrorCode::kNoSpace) << failure->message;
    }
    files.SetFreeBytes(std::nullopt);
    (void)OpenLog(files);
    ExpectSound(files, expected);
  }
}

// After a failed sync a kernel may go on showing bytes that the disk lost. They are taken away again, so that opening
// the log anew does not count them as stored.
TEST(RoundLogFaults, EntryWhoseSyncFailedIsNotTakenForStored) {
  FaultFileSystem files;
  auto log = OpenLog(files);
  log.Append("entry 0");
  const auto journal = files.Peek(kFolder / "journal");
  files.FailCall(2, ErrorCode::kUnavailable);  // The journal is written, then synced.
  const auto failure = FailureOf([&] { log.Append("entry 1"); });
  ASSERT_TRUE(failure);
  EXPECT_TRUE(testing_support::Contains(failure->message, "sync"));
  EXPECT_EQ(files.Peek(kFolder / "journal"), journal);
}

// A process killed between write and sync leaves an entry that the next one reads, and the disk may not have yet.
TEST(RoundLogFaults, EntryFoundInTheJournalIsSyncedBeforeItIsPublished) {
  FaultFileSystem files;
  Expected expected;
  {
    auto log = OpenLog(files);
    AppendNext(log, expected, 1);
  }
  std::string record;
  AppendJournalRecord(record, "entry 1", LeafHash("entry 1"));
  files.OpenForAppend(kFolder / "journal")->Append(record);
  EXPECT_EQ(OpenLog(files).size(), 2u);
  expected.acknowledged = expected.attempted = 2;
  expected.Look(files);
  files.Crash();
  (void)OpenLog(files);
  ExpectSound(files, expected);
}

// Counts what costs: waiting for the disk.
class CountingFiles final : public FileSystem {
 public:
  int syncs = 0;

  std::unique_ptr<WritableFile> Create(const Path& path, unsigned mode) override {
    return std::make_unique<File>(syncs, files_.Create(path, mode));
  }
  std::unique_ptr<WritableFile> OpenForAppend(const Path& path) override {
    return std::make_unique<File>(syncs, files_.OpenForAppend(path));
  }
  std::unique_ptr<ReadableFile> OpenForRead(const Path& path) override { return files_.OpenForRead(path); }
  std::optional<std::uint64_t> SizeOf(const Path& path) override { return files_.SizeOf(path); }
  std::vector<std::string> List(const Path& folder) override { return files_.List(folder); }
  void Rename(const Path& from, const Path& to) override { files_.Rename(from, to); }
  void Remove(const Path& path) override { files_.Remove(path); }
  void Truncate(const Path& path, std::uint64_t size) override { files_.Truncate(path, size); }
  void CreateFolders(const Path& folder, unsigned mode) override { files_.CreateFolders(folder, mode); }
  void SyncDirectory(const Path& folder) override {
    ++syncs;
    files_.SyncDirectory(folder);
  }

 private:
  class File final : public WritableFile {
   public:
    File(int& syncs, std::unique_ptr<WritableFile> file) : syncs_(syncs), file_(std::move(file)) {}
    void Append(ByteView bytes) override { file_->Append(bytes); }
    void Sync() override {
      ++syncs_;
      file_->Sync();
    }
    void Close() override { file_->Close(); }

   private:
    int& syncs_;
    std::unique_ptr<WritableFile> file_;
  };

  FaultFileSystem files_;
};

TEST(RoundLogFaults, AppendWaitsForTheDiskTwiceHoweverLargeTheBatch) {
  CountingFiles files;
  auto log = OpenLog(files);
  for (const std::uint64_t count : {1, 1, 100, 600}) {
    files.syncs = 0;
    log.AppendBatch(NumberedEntries(count));
    EXPECT_EQ(files.syncs, 2) << count;
  }
}

}  // namespace
}  // namespace hemafed
