// SPDX-License-Identifier: Apache-2.0
//
// The auditor's reader: every alteration of a published log is found and named where it is.
#include "protocol/log/round_log_reader.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "protocol/log/round_log_writer.h"
#include "tests/fault/fault_file_system.h"
#include "tests/protocol/log_test_support.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::Contains;
using testing_support::FailureOf;
using testing_support::FaultFileSystem;
using testing_support::FixedKey;
using testing_support::FixedLogKey;
using testing_support::kOrigin;
using testing_support::NumberedEntries;
using testing_support::Overwrite;
using testing_support::ReadAll;
using testing_support::Scratch;
using testing_support::WithBitFlipped;

RoundLogWriter WriteLog(const Path& folder, const std::vector<std::string>& entries,
                        FileSystem& files = RealFileSystem()) {
  auto log = RoundLogWriter::Open(files, folder, kOrigin, FixedKey());
  log.AppendBatch(entries);
  return log;
}

RoundLogReader ReadLog(const Path& folder, FileSystem& files = RealFileSystem()) {
  return RoundLogReader::Open(files, folder, FixedLogKey());
}

struct Audit {
  std::vector<std::string> entries;  // Handed out before the defect.
  std::optional<LogDefect> defect;
};

Audit AuditLog(const Path& folder, FileSystem& files = RealFileSystem()) {
  Audit audit;
  audit.defect = ReadLog(folder, files).ForEach([&](std::uint64_t index, std::string_view entry) {
    EXPECT_EQ(index, audit.entries.size());
    audit.entries.emplace_back(entry);
  });
  return audit;
}

TEST(RoundLogReader, NeedsNeitherJournalNorPrivateKey) {
  const Scratch scratch;
  WriteLog(scratch / "log", NumberedEntries(700));
  std::filesystem::remove(scratch / "log/journal");
  const Audit audit = AuditLog(scratch / "log");
  EXPECT_FALSE(audit.defect);
  EXPECT_EQ(audit.entries, NumberedEntries(700));
  EXPECT_FALSE(ReadLog(scratch / "log").Verify());
}

TEST(RoundLogReader, EveryFlippedBitOfASmallLogIsReportedWhereItIs) {
  FaultFileSystem files;
  const std::vector<std::string> entries = NumberedEntries(5);
  WriteLog("log", entries, files);
  const Path bundle = "log/tile/entries/000.p/5", tile = "log/tile/0/000.p/5";

  const std::string bundle_bytes = ReadAll(bundle, files);
  const std::size_t entry_bytes = 2 + entries[0].size();
  for (std::size_t bit = 0; bit < 8 * bundle_bytes.size(); ++bit) {
    Overwrite(bundle, WithBitFlipped(bundle_bytes, bit), files);
    const Audit audit = AuditLog("log", files);
    ASSERT_TRUE(audit.defect) << bit;
    const std::uint64_t bad = bit / 8 / entry_bytes;
    EXPECT_EQ(audit.defect->place, LogDefect::Place::kEntry) << bit;
    EXPECT_EQ(audit.defect->entry, bad) << bit;
    EXPECT_EQ(audit.defect->file, "tile/entries/000.p/5");
    EXPECT_TRUE(Contains(audit.defect->message, "entry " + std::to_string(bad))) << audit.defect->message;
    EXPECT_EQ(audit.entries, NumberedEntries(bad)) << "only entries before the bad one are handed out";
  }
  Overwrite(bundle, bundle_bytes, files);

  const std::string tile_bytes = ReadAll(tile, files);
  for (std::size_t bit = 0; bit < 8 * tile_bytes.size(); ++bit) {
    Overwrite(tile, WithBitFlipped(tile_bytes, bit), files);
    const auto defect = ReadLog("log", files).Verify();
    ASSERT_TRUE(defect) << bit;
    EXPECT_EQ(defect->place, LogDefect::Place::kTile) << defect->message;
    EXPECT_EQ(defect->entry, std::nullopt);
    EXPECT_EQ(defect->file, "tile/0/000.p/5");
  }
  Overwrite(tile, tile_bytes, files);

  const std::string note = ReadAll("log/checkpoint", files);
  for (std::size_t bit = 0; bit < 8 * note.size(); ++bit) {
    Overwrite("log/checkpoint", WithBitFlipped(note, bit), files);
    const auto failure = FailureOf([&] { (void)ReadLog("log", files); });
    ASSERT_TRUE(failure) << bit;
    EXPECT_TRUE(failure->code == ErrorCode::kCorrupt || failure->code == ErrorCode::kRefused);
    EXPECT_TRUE(Contains(failure->message, "log/checkpoint "));
  }
  Overwrite("log/checkpoint", note, files);
  EXPECT_FALSE(ReadLog("log", files).Verify());
}

// 66,000 entries have tiles on three levels; of each file a few bits all over it.
TEST(RoundLogReader, FlippedBitInAnyFileOfALargeLogIsReportedWhereItIs) {
  const Scratch scratch;
  WriteLog(scratch / "log", NumberedEntries(66'000));
  for (const char* name : {"tile/0/000", "tile/0/200", "tile/0/257.p/208", "tile/1/000", "tile/1/001.p/1",
                           "tile/2/000.p/1", "tile/entries/000", "tile/entries/131", "tile/entries/257.p/208"}) {
    const std::string bytes = ReadAll(scratch / "log" / name);
    for (const std::size_t bit : {std::size_t{0}, 4 * bytes.size() + 3, 8 * bytes.size() - 1}) {
      SCOPED_TRACE(std::string(name) + " bit " + std::to_string(bit));
      Overwrite(scratch / "log" / name, WithBitFlipped(bytes, bit));
      const auto defect = ReadLog(scratch / "log").Verify();
      ASSERT_TRUE(defect);
      EXPECT_EQ(defect->file, name);
      const bool is_bundle = Contains(name, "entries");
      EXPECT_EQ(defect->place, is_bundle ? LogDefect::Place::kEntry : LogDefect::Place::kTile) << defect->message;
      EXPECT_EQ(defect->entry.has_value(), is_bundle);
    }
    Overwrite(scratch / "log" / name, bytes);
  }
  EXPECT_FALSE(ReadLog(scratch / "log").Verify());
}

TEST(RoundLogReader, ExactEntryIsNamedInTheMiddleOfALargeLog) {
  const Scratch scratch;
  WriteLog(scratch / "log", NumberedEntries(600));
  for (const std::uint64_t entry : {0u, 255u, 256u, 300u, 512u, 599u}) {
    const Path path = scratch / "log" / BundlePath(entry / 256, TileWidthAt(600, 0, entry / 256));
    const std::string bytes = ReadAll(path);
    const std::string text = "entry " + std::to_string(entry);
    std::string altered = bytes;
    const std::size_t at = altered.find(std::string(1, '\0') + static_cast<char>(text.size()) + text);
    ASSERT_NE(at, std::string::npos);
    altered[at + 2] = 'E';
    Overwrite(path, altered);
    const Audit audit = AuditLog(scratch / "log");
    ASSERT_TRUE(audit.defect);
    EXPECT_EQ(audit.defect->entry, entry);
    EXPECT_EQ(audit.entries, NumberedEntries(entry));
    Overwrite(path, bytes);
  }
}

TEST(RoundLogReader, MissingCutAndLengthenedFilesAreNamed) {
  const Scratch scratch;
  WriteLog(scratch / "log", NumberedEntries(600));
  struct Harm {
    const char* file;
    enum { kRemove, kCut, kLengthen } what;
    LogDefect::Place place;
    std::optional<std::uint64_t> entry;
  };
  using enum LogDefect::Place;
  for (const Harm& harm : std::vector<Harm>{{"tile/entries/001", Harm::kRemove, kEntry, 256},
                                            {"tile/entries/001", Harm::kCut, kEntry, 511},
                                            {"tile/entries/001", Harm::kLengthen, kTile, std::nullopt},
                                            {"tile/entries/002.p/88", Harm::kRemove, kEntry, 512},
                                            {"tile/entries/002.p/88", Harm::kCut, kEntry, 599},
                                            {"tile/entries/002.p/88", Harm::kLengthen, kTile, std::nullopt},
                                            {"tile/0/001", Harm::kRemove, kTile, std::nullopt},
                                            {"tile/0/001", Harm::kCut, kTile, std::nullopt},
                                            {"tile/0/001", Harm::kLengthen, kTile, std::nullopt},
                                            {"tile/0/002.p/88", Harm::kRemove, kTile, std::nullopt},
                                            {"tile/1/000.p/2", Harm::kRemove, kTile, std::nullopt},
                                            {"tile/1/000.p/2", Harm::kLengthen, kTile, std::nullopt}}) {
    SCOPED_TRACE(harm.file);
    const Path path = scratch / "log" / harm.file;
    const std::string bytes = ReadAll(path);
    if (harm.what == Harm::kRemove) std::filesystem::remove(path);
    if (harm.what == Harm::kCut) Overwrite(path, bytes.substr(0, bytes.size() - 1));
    if (harm.what == Harm::kLengthen) Overwrite(path, bytes + "x");
    const auto defect = ReadLog(scratch / "log").Verify();
    ASSERT_TRUE(defect);
    EXPECT_EQ(defect->place, harm.place) << defect->message;
    EXPECT_EQ(defect->entry, harm.entry) << defect->message;
    EXPECT_EQ(defect->file, harm.file);
    Overwrite(path, bytes);
  }
  EXPECT_FALSE(ReadLog(scratch / "log").Verify());
}

// An entry and its leaf hash altered together: no hash tells which entry it was, only which tile.
TEST(RoundLogReader, EntryForgedTogetherWithItsTileIsReportedFromTheFirstPossibleEntryOn) {
  const Scratch scratch;
  WriteLog(scratch / "log", NumberedEntries(600));
  std::string bundle = ReadAll(scratch / "log/tile/entries/001"), tile = ReadAll(scratch / "log/tile/0/001");
  const std::size_t at = bundle.find("entry 300");
  bundle[at] = 'E';
  Overwrite(scratch / "log/tile/entries/001", bundle);
  tile.replace(32 * (300 - 256), 32, AsText(LeafHash("Entry 300").bytes));
  Overwrite(scratch / "log/tile/0/001", tile);
  const Audit audit = AuditLog(scratch / "log");
  ASSERT_TRUE(audit.defect);
  EXPECT_EQ(audit.defect->place, LogDefect::Place::kEntry);
  EXPECT_EQ(audit.defect->entry, 256u);
  EXPECT_TRUE(Contains(audit.defect->message, "exact entry cannot be told")) << audit.defect->message;
  EXPECT_EQ(audit.entries, NumberedEntries(256));
}

TEST(RoundLogReader, EntryAndAnotherHashAlteredNamesTheFirstDifference) {
  const Scratch scratch;
  WriteLog(scratch / "log", NumberedEntries(10));
  std::string bundle = ReadAll(scratch / "log/tile/entries/000.p/10"), tile = ReadAll(scratch / "log/tile/0/000.p/10");
  bundle[bundle.find("entry 4")] = 'E';
  tile[32 * 7] = static_cast<char>(tile[32 * 7] ^ 1);
  Overwrite(scratch / "log/tile/entries/000.p/10", bundle);
  Overwrite(scratch / "log/tile/0/000.p/10", tile);
  const auto defect = ReadLog(scratch / "log").Verify();
  ASSERT_TRUE(defect);
  EXPECT_EQ(defect->entry, 4u);
}

// A signer can sign anything, also an absurd size: the reader must end soon and without much memory.
TEST(RoundLogReader, SignedCheckpointThatTheLogDoesNotBearOutIsReported) {
  const Scratch scratch;
  WriteLog(scratch / "log", NumberedEntries(3));
  for (const Checkpoint& checkpoint :
       {Checkpoint{kOrigin, 3, Sha256Of("another"), {}}, Checkpoint{kOrigin, 4, Sha256Of("another"), {}},
        Checkpoint{kOrigin, ~std::uint64_t{0}, Sha256Of("another"), {}}, Checkpoint{kOrigin, 0, Sha256Of("x"), {}}}) {
    const std::string text = checkpoint.Encode();
    Overwrite(scratch / "log/checkpoint", Note{text, {SignNote(text, kOrigin, FixedKey())}}.Encode());
    const auto defect = ReadLog(scratch / "log").Verify();
    ASSERT_TRUE(defect) << checkpoint.size;
    EXPECT_EQ(defect->place, checkpoint.size == 0 ? LogDefect::Place::kHistory : LogDefect::Place::kEntry);
    EXPECT_TRUE(ReadLog(scratch / "log").VerifyConsistency({kOrigin, 2, Sha256Of("old"), {}}));
  }
}

TEST(RoundLogReader, GoesOnWithItsCheckpointWhileTheWriterFillsTheTile) {
  const Scratch scratch;
  auto log = WriteLog(scratch / "log", NumberedEntries(200));
  const auto reader = ReadLog(scratch / "log");
  log.AppendBatch(NumberedEntries(400, 200));
  EXPECT_FALSE(std::filesystem::exists(scratch / "log/tile/0/000.p"));
  std::vector<std::string> entries;
  const auto defect = reader.ForEach([&](std::uint64_t, std::string_view entry) { entries.emplace_back(entry); });
  EXPECT_FALSE(defect) << defect->message;
  EXPECT_EQ(entries, NumberedEntries(200));
}

TEST(RoundLogReader, RewrittenShrunkAndForeignHistoriesAreReported) {
  const Scratch scratch;
  auto entries = NumberedEntries(400);
  const auto before = WriteLog(scratch / "before", entries);
  const Checkpoint old = ReadLog(scratch / "before").checkpoint();
  for (const std::size_t changed : {0u, 17u, 256u, 399u}) {
    auto forged = NumberedEntries(500);
    forged[changed] = "something else";
    const Path folder = scratch / ("forged" + std::to_string(changed));
    WriteLog(folder, forged);
    EXPECT_FALSE(ReadLog(folder).Verify()) << "in itself the forged log is sound";
    const auto defect = ReadLog(folder).VerifyConsistency(old);
    ASSERT_TRUE(defect) << changed;
    EXPECT_EQ(defect->place, LogDefect::Place::kHistory);
  }
  WriteLog(scratch / "grown", NumberedEntries(500));
  EXPECT_FALSE(ReadLog(scratch / "grown").VerifyConsistency(old));
  EXPECT_FALSE(ReadLog(scratch / "grown").VerifyConsistency({kOrigin, 0, EmptyRoot(), {}}));
  EXPECT_TRUE(ReadLog(scratch / "grown").VerifyConsistency({kOrigin, 0, old.root, {}}));
  EXPECT_TRUE(ReadLog(scratch / "grown").VerifyConsistency({"another", 400, old.root, {}}));
  WriteLog(scratch / "shrunk", NumberedEntries(399));
  const auto defect = ReadLog(scratch / "shrunk").VerifyConsistency(old);
  ASSERT_TRUE(defect);
  EXPECT_TRUE(Contains(defect->message, "shrank from 400 to 399")) << defect->message;
}

TEST(RoundLogReader, DamagedTileIsNotTakenForARewrittenHistory) {
  const Scratch scratch;
  auto log = WriteLog(scratch / "log", NumberedEntries(300));
  const Checkpoint old = ReadLog(scratch / "log").checkpoint();
  log.AppendBatch(NumberedEntries(300, 300));
  const std::string tile = ReadAll(scratch / "log/tile/0/001");
  Overwrite(scratch / "log/tile/0/001", WithBitFlipped(tile, 77));
  const auto defect = ReadLog(scratch / "log").VerifyConsistency(old);
  ASSERT_TRUE(defect);
  EXPECT_EQ(defect->place, LogDefect::Place::kTile);
  EXPECT_EQ(defect->file, "tile/0/001");
}

TEST(RoundLogReader, FolderWithoutALogAndALogOfAnotherKeyAreSaidSo) {
  const Scratch scratch;
  const auto missing = FailureOf([&] { (void)ReadLog(scratch / "absent"); });
  ASSERT_TRUE(missing);
  EXPECT_EQ(missing->code, ErrorCode::kNotFound);
  WriteLog(scratch / "log", NumberedEntries(1));
  const NoteKey other{kOrigin, NoteKeyType::kEd25519, FixedKey(1).PublicKey()};
  const auto refused = FailureOf([&] { (void)RoundLogReader::Open(RealFileSystem(), scratch / "log", other); });
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, ErrorCode::kRefused);
}

}  // namespace
}  // namespace hemafed
