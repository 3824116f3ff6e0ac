// SPDX-License-Identifier: Apache-2.0
//
// The writer: what it publishes, and what it makes of what it finds when it is opened again.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "protocol/log/journal.h"
#include "protocol/log/round_log_reader.h"
#include "protocol/log/round_log_writer.h"
#include "tests/fault/fault_file_system.h"
#include "tests/protocol/log_test_support.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::Contains;
using testing_support::FailureOf;
using testing_support::FaultFileSystem;
using testing_support::FilesIn;
using testing_support::FixedKey;
using testing_support::FixedLogKey;
using testing_support::kOrigin;
using testing_support::NumberedEntries;
using testing_support::Overwrite;
using testing_support::ReadAll;
using testing_support::Scratch;

RoundLogWriter OpenLog(const Path& folder, FileSystem& files = RealFileSystem()) {
  return RoundLogWriter::Open(files, folder, kOrigin, FixedKey());
}

std::vector<std::string> EntriesOf(const RoundLogWriter& log) {
  std::vector<std::string> entries;
  log.ForEach(0, [&](std::uint64_t index, std::string_view entry) {
    EXPECT_EQ(index, entries.size());
    entries.emplace_back(entry);
  });
  return entries;
}

// What an auditor finds: the entries, and no defect.
std::vector<std::string> AuditedEntries(const Path& folder, FileSystem& files = RealFileSystem()) {
  std::vector<std::string> entries;
  const auto defect =
      RoundLogReader::Open(files, folder, FixedLogKey()).ForEach([&](std::uint64_t, std::string_view entry) {
        entries.emplace_back(entry);
      });
  EXPECT_FALSE(defect) << defect->message;
  return entries;
}

// Bytes made with Python (hashlib, and the `cryptography` package for the signature) from the formats' pages.
TEST(RoundLog, PublishesTheBytesOfItsPage) {
  const Scratch scratch;
  auto log = OpenLog(scratch / "log");
  const std::vector<std::string> entries{R"({"number":1,"type":"example"})", R"({"number":2,"type":"example"})",
                                         R"({"number":3,"type":"example"})"};
  log.AppendBatch(entries);
  const std::string note =
      "example.org/round-log\n3\nyLNfTaK2O9WeN+EpdFJ11LXyqHTyHxQrEt1gZPQ2Yq4=\n\n— example.org/round-log "
      "BCK3ZqCi946HnWebnc+eoZ/TIBOjDDaLG2xqPd8/OxAQUfMn8H7WPuMcKMCNRodsWGbVi1R4RVlzDXiUI2rbQeZBUww=\n";
  EXPECT_EQ(log.CheckpointNote(), note);
  std::string bundle, tile;
  for (const std::string& entry : entries) bundle += std::string("\0\x1d", 2) + entry;
  for (const char* leaf : {"74aa6da94c6bcbdc808e95820074dbd563b7209572a7ccc65685a3bc73f5dee6",
                           "4eee91daf3cd767d858e969e8cfa554db980b28ff5a61f2d79b2eb4421e78dd8",
                           "9d1be8577ff0de30ed9747a804b7284fa09e87f8f47ee070658d465a7d2cf6ca"}) {
    tile += AsText(*HexDecode(leaf));
  }
  const auto files = FilesIn(scratch / "log");
  EXPECT_EQ(files.at("checkpoint"), note);
  EXPECT_EQ(files.at("tile/entries/000.p/3"), bundle);
  EXPECT_EQ(files.at("tile/0/000.p/3"), tile);
  EXPECT_EQ(Sha256Of(files.at("journal")).Hex(), "a0be79d2c1d03d5639c8600c5cb922334ca8f4209cb4a78b9ae1399183ecf284");

  const std::string page = ReadAll(Path(HEMAFED_SOURCE_DIR) / "docs/round_log.md");
  EXPECT_TRUE(Contains(page, note));
  EXPECT_TRUE(Contains(page, log.root().Hex()));
  EXPECT_TRUE(Contains(page, FixedLogKey().Encode()));
  EXPECT_TRUE(Contains(page, Sha256Of(files.at("journal")).Hex()));
  EXPECT_TRUE(Contains(page, "`" + HexEncode(AsBytes(files.at("journal").substr(kJournalHeader.size(), 8))) + "`"));
  for (const std::string& entry : entries)
    EXPECT_TRUE(Contains(page, entry + "\n") && Contains(page, LeafHash(entry).Hex()));
}

struct KnownRoot {
  std::uint64_t size;
  const char* root;
};

// Roots of "entry 0", "entry 1", ...: computed in Python layer by layer (an odd last hash is carried up unchanged),
// that is, not by the recursive definition.
const std::vector<KnownRoot> kKnownRoots{{0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                                         {1, "773885a613489e24ce2cf76199d6a423f042e4bbf12d7eecee912ef276c65701"},
                                         {2, "5a47662fd8a317d96049a3f9f47c55dc67ca66051baa3683dbb19b2fe09a07b0"},
                                         {255, "cf66793e6329dff242eb3cee0a6f36ad3e3a196dcc573a1ec775e102be863f1c"},
                                         {256, "da6596d95369f5fef322ab8e4e0da3b0b50236aa9c8a3b1d246f7411c9e2e32e"},
                                         {257, "5c1fdfe835358022f2392de478dbe053fc130cfe1d3a082879a90cf6bf14bf7e"},
                                         {511, "ba24c6b7ac0a5cfe33d63335afc1e768bb20ca931f2712f333e6086f2229e4a1"},
                                         {512, "c6db949e76cfd5d61407c73a481921265ab024ea6131d02dc6b70defdfd4fada"},
                                         {513, "78d674cc3de6985c25d64763bb968acf022d827ebc1158584a6629baebc4c31c"},
                                         {1000, "346c6b9cb89c4b76fac9dcb20cda86e3a01c0a57417c139028eacd4538fde95b"},
                                         {66000, "08a059156898bcf96821e737c4bda8f212d036a84b6b8e2a89b4e0660c6ac9a2"}};

TEST(RoundLog, RootsEqualThoseOfAnIndependentImplementationAcrossTileBorders) {
  const Scratch scratch;
  auto log = OpenLog(scratch / "log");
  std::vector<Checkpoint> older;
  for (const KnownRoot& known : kKnownRoots) {
    if (known.size > log.size()) log.AppendBatch(NumberedEntries(known.size - log.size(), log.size()));
    EXPECT_EQ(log.root().Hex(), known.root) << known.size;
    EXPECT_EQ(AuditedEntries(scratch / "log"), NumberedEntries(known.size));
    const auto reader = RoundLogReader::Open(RealFileSystem(), scratch / "log", FixedLogKey());
    EXPECT_EQ(reader.checkpoint().root, log.root());
    older.push_back(reader.checkpoint());
    for (const Checkpoint& checkpoint : older) {
      EXPECT_FALSE(reader.VerifyConsistency(checkpoint)) << checkpoint.size << " to " << known.size;
      if (checkpoint.size > 0) {
        EXPECT_TRUE(VerifyConsistency(checkpoint.size, known.size, log.ConsistencyProof(checkpoint.size),
                                      checkpoint.root, log.root()));
      }
    }
    for (const std::uint64_t index : {std::uint64_t{0}, known.size / 3, known.size / 2, known.size - 1}) {
      if (index >= known.size) continue;
      EXPECT_EQ(log.Entry(index), "entry " + std::to_string(index));
      EXPECT_TRUE(
          VerifyInclusion(index, known.size, LeafHash(log.Entry(index)), log.InclusionProof(index), log.root()));
    }
  }
  // Of tiles that are full, only the full form is left.
  const auto files = FilesIn(scratch / "log");
  EXPECT_FALSE(std::filesystem::exists(scratch / "log/tile/0/000.p"));
  EXPECT_TRUE(files.contains("tile/0/000") && files.contains("tile/entries/256") && files.contains("tile/1/000"));
  EXPECT_TRUE(files.contains("tile/1/001.p/1") && files.contains("tile/2/000.p/1"));
}

TEST(RoundLog, OneByOneAndInBatchesPublishesTheSame) {
  const Scratch scratch;
  {
    auto one_by_one = OpenLog(scratch / "a");
    one_by_one.AppendBatch(NumberedEntries(250));
    for (const std::string& entry : NumberedEntries(12, 250)) one_by_one.Append(entry);
    auto batch = OpenLog(scratch / "b");
    batch.AppendBatch(NumberedEntries(262));
  }
  auto a = FilesIn(scratch / "a");
  const auto b = FilesIn(scratch / "b");
  // Besides the last, the former has a partial tile for every size it signed a checkpoint for and that is not full yet.
  EXPECT_EQ(std::count_if(a.begin(), a.end(), [](const auto& file) { return Contains(file.first, "tile/0/001.p/"); }),
            6);
  std::erase_if(a, [&](const auto& file) { return Contains(file.first, ".p/") && !b.contains(file.first); });
  EXPECT_EQ(a, b);
}

TEST(RoundLog, AppendReturnsTheIndexAndTheLogIsTheSameWhenReopened) {
  const Scratch scratch;
  Digest root;
  std::string note;
  {
    auto log = OpenLog(scratch / "log");
    EXPECT_EQ(log.size(), 0u);
    EXPECT_EQ(log.Append("zero"), 0u);
    EXPECT_EQ(log.AppendBatch(std::vector<std::string>{"one", "two"}), 1u);
    EXPECT_EQ(log.Append("three"), 3u);
    root = log.root();
    note = log.CheckpointNote();
  }
  const auto files = FilesIn(scratch / "log");
  const auto log = OpenLog(scratch / "log");
  EXPECT_EQ(EntriesOf(log), (std::vector<std::string>{"zero", "one", "two", "three"}));
  EXPECT_EQ(log.root(), root);
  EXPECT_EQ(log.CheckpointNote(), note);
  EXPECT_EQ(log.recovery().torn_bytes, 0u);
  EXPECT_EQ(log.recovery().repaired_files, 0u);
  EXPECT_EQ(FilesIn(scratch / "log"), files);
}

TEST(RoundLog, ForEachStartsWhereAsked) {
  const Scratch scratch;
  auto log = OpenLog(scratch / "log");
  log.AppendBatch(NumberedEntries(600));
  for (const std::uint64_t first : {0u, 1u, 255u, 256u, 599u, 600u, 9000u}) {
    std::vector<std::string> entries;
    log.ForEach(first, [&](std::uint64_t, std::string_view entry) { entries.emplace_back(entry); });
    EXPECT_EQ(entries, first < 600 ? NumberedEntries(600 - first, first) : std::vector<std::string>());
  }
}

TEST(RoundLog, EntriesOutsideTheLimitsAreRefusedAndNothingIsWritten) {
  const Scratch scratch;
  auto log = OpenLog(scratch / "log");
  log.Append(std::string(kMaxEntryBytes, 'x'));
  const auto files = FilesIn(scratch / "log");
  const std::vector<std::vector<std::string>> refused{{""},
                                                      {std::string(kMaxEntryBytes + 1, 'x')},
                                                      {},
                                                      {"fine", ""},
                                                      std::vector<std::string>(300, std::string(60'000, 'x'))};
  for (const auto& batch : refused) {
    const auto failure = FailureOf([&] { log.AppendBatch(batch); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code, ErrorCode::kInvalidInput);
  }
  EXPECT_EQ(FilesIn(scratch / "log"), files);
  EXPECT_EQ(log.Append("next"), 1u);
  for (const std::uint64_t index : {2u, 1000u}) {
    EXPECT_EQ(FailureOf([&] { (void)log.Entry(index); })->code, ErrorCode::kInvalidInput);
    EXPECT_EQ(FailureOf([&] { (void)log.InclusionProof(index); })->code, ErrorCode::kInvalidInput);
  }
  EXPECT_EQ(FailureOf([&] { (void)log.ConsistencyProof(0); })->code, ErrorCode::kInvalidInput);
  EXPECT_EQ(FailureOf([&] { (void)log.ConsistencyProof(3); })->code, ErrorCode::kInvalidInput);
}

TEST(RoundLog, OriginThatCannotBeAKeyNameIsRefused) {
  const Scratch scratch;
  for (const char* origin : {"", "a b", "a+b"}) {
    const auto failure =
        FailureOf([&] { (void)RoundLogWriter::Open(RealFileSystem(), scratch / "log", origin, FixedKey()); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code, ErrorCode::kInvalidInput);
  }
}

// ---- Recovery --------------------------------------------------------------------------------------------------

// A crash can tear the last record only before its checkpoint is written: so the cut journal stands alone here.
TEST(RoundLogRecovery, JournalCutAtEveryByteKeepsExactlyTheWholeRecordsBefore) {
  std::string journal(kJournalHeader);
  for (const std::string& entry : NumberedEntries(5)) AppendJournalRecord(journal, entry, LeafHash(entry));
  const std::size_t record = std::string("entry 0").size() + kJournalRecordOverhead;
  for (std::size_t cut = 0; cut <= journal.size(); ++cut) {
    SCOPED_TRACE("cut at " + std::to_string(cut));
    FaultFileSystem files;
    files.Plant("log/journal", journal.substr(0, cut));
    const std::size_t header = kJournalHeader.size();
    const std::size_t whole = cut < header ? 0 : (cut - header) / record;
    {
      auto log = OpenLog("log", files);
      EXPECT_EQ(log.recovery().torn_bytes, cut < header ? cut : (cut - header) % record);
      EXPECT_EQ(EntriesOf(log), NumberedEntries(whole));
      log.AppendBatch(NumberedEntries(6 - whole, whole));
    }
    EXPECT_EQ(AuditedEntries("log", files), NumberedEntries(6));
    EXPECT_EQ(EntriesOf(OpenLog("log", files)), NumberedEntries(6));
  }
}

// What a checkpoint covers was acknowledged: losing it is never quiet.
TEST(RoundLogRecovery, JournalShorterThanTheCheckpointIsLoudNamesTheEntryAndChangesNothing) {
  FaultFileSystem files;
  { OpenLog("log", files).AppendBatch(NumberedEntries(5)); }
  const std::string journal = ReadAll("log/journal", files);
  const std::size_t record = std::string("entry 0").size() + kJournalRecordOverhead;
  for (std::size_t cut = 0; cut < journal.size(); ++cut) {
    Overwrite("log/journal", journal.substr(0, cut), files);
    const auto before = FilesIn("log", files);
    const auto failure = FailureOf([&] { (void)OpenLog("log", files); });
    ASSERT_TRUE(failure) << cut;
    EXPECT_EQ(failure->code, ErrorCode::kCorrupt);
    const std::size_t whole = cut < kJournalHeader.size() ? 0 : (cut - kJournalHeader.size()) / record;
    EXPECT_TRUE(Contains(failure->message, "journal: entry " + std::to_string(whole) + ":")) << failure->message;
    EXPECT_EQ(FilesIn("log", files), before);
  }
  files.Remove("log/journal");
  const auto failure = FailureOf([&] { (void)OpenLog("log", files); });
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code, ErrorCode::kCorrupt);
  EXPECT_FALSE(files.Exists("log/journal"));
}

TEST(RoundLogRecovery, EveryFlippedBitOfTheJournalIsReportedWithItsEntryNumberAndChangesNothing) {
  FaultFileSystem files;
  { OpenLog("log", files).AppendBatch(NumberedEntries(4)); }
  const std::string journal = ReadAll("log/journal", files);
  const std::size_t record = std::string("entry 0").size() + kJournalRecordOverhead;
  for (std::size_t bit = 0; bit < 8 * journal.size(); ++bit) {
    Overwrite("log/journal", testing_support::WithBitFlipped(journal, bit), files);
    const auto before = FilesIn("log", files);
    const auto failure = FailureOf([&] { (void)OpenLog("log", files); });
    ASSERT_TRUE(failure) << bit;
    EXPECT_EQ(failure->code, ErrorCode::kCorrupt);
    const std::size_t byte = bit / 8;
    const std::size_t entry = byte < kJournalHeader.size() ? 0 : (byte - kJournalHeader.size()) / record;
    EXPECT_TRUE(Contains(failure->message, "entry " + std::to_string(entry) + ":")) << bit << ": " << failure->message;
    EXPECT_EQ(FilesIn("log", files), before);
  }
}

TEST(RoundLogRecovery, TornTailBehindTheCheckpointIsCutOffQuietly) {
  FaultFileSystem files;
  { OpenLog("log", files).AppendBatch(NumberedEntries(3)); }
  std::string record;
  AppendJournalRecord(record, "never acknowledged", LeafHash("never acknowledged"));
  const std::string journal = ReadAll("log/journal", files);
  for (std::size_t kept = 1; kept < record.size(); ++kept) {
    Overwrite("log/journal", journal + record.substr(0, kept), files);
    const auto log = OpenLog("log", files);
    EXPECT_EQ(log.recovery().torn_bytes, kept);
    EXPECT_EQ(log.recovery().repaired_files, 0u);
    EXPECT_EQ(log.size(), 3u);
    EXPECT_EQ(ReadAll("log/journal", files), journal);
  }
}

TEST(RoundLogRecovery, EntryInTheJournalThatWasNotPublishedIsPublished) {
  const Scratch scratch;
  { OpenLog(scratch / "log").AppendBatch(NumberedEntries(256)); }
  std::string records;
  for (const std::string& entry : NumberedEntries(3, 256)) AppendJournalRecord(records, entry, LeafHash(entry));
  RealFileSystem().OpenForAppend(scratch / "log/journal")->Append(records);
  EXPECT_EQ(AuditedEntries(scratch / "log"), NumberedEntries(256));
  EXPECT_EQ(OpenLog(scratch / "log").size(), 259u);
  EXPECT_EQ(AuditedEntries(scratch / "log"), NumberedEntries(259));
}

TEST(RoundLogRecovery, AnyPublishedFileThatIsDamagedOrGoneIsMadeAgainFromTheJournal) {
  const Scratch scratch;
  { OpenLog(scratch / "log").AppendBatch(NumberedEntries(513)); }
  const auto files = FilesIn(scratch / "log");
  for (const auto& [name, content] : files) {
    if (!name.starts_with("tile/")) continue;
    SCOPED_TRACE(name);
    const std::vector<std::optional<std::string>> harms{std::nullopt, "", content.substr(0, content.size() - 1),
                                                        content + "x", testing_support::WithBitFlipped(content, 9)};
    for (const auto& harm : harms) {
      if (harm) {
        Overwrite(scratch / "log" / name, *harm);
      } else {
        std::filesystem::remove(scratch / "log" / name);
      }
      EXPECT_EQ(OpenLog(scratch / "log").recovery().repaired_files, 1u);
      EXPECT_EQ(FilesIn(scratch / "log"), files);
    }
  }
  std::filesystem::remove(scratch / "log/checkpoint");
  EXPECT_EQ(OpenLog(scratch / "log").recovery().repaired_files, 1u);
  std::filesystem::remove_all(scratch / "log/tile");
  EXPECT_EQ(OpenLog(scratch / "log").recovery().repaired_files, 7u);
  EXPECT_EQ(FilesIn(scratch / "log"), files);
}

TEST(RoundLogRecovery, PartialTilesLeftBesideAFullOneAreRemoved) {
  const Scratch scratch;
  { OpenLog(scratch / "log").AppendBatch(NumberedEntries(256)); }
  const auto files = FilesIn(scratch / "log");
  std::filesystem::create_directories(scratch / "log/tile/0/000.p");
  Overwrite(scratch / "log/tile/0/000.p/255", "left by a crash");
  { (void)OpenLog(scratch / "log"); }
  EXPECT_EQ(FilesIn(scratch / "log"), files);
}

TEST(RoundLogRecovery, DamagedCheckpointIsReportedAndNeverSignedAnew) {
  FaultFileSystem files;
  { OpenLog("log", files).AppendBatch(NumberedEntries(2)); }
  const std::string note = ReadAll("log/checkpoint", files);
  for (std::size_t bit = 0; bit < 8 * note.size(); ++bit) {
    const std::string damaged = testing_support::WithBitFlipped(note, bit);
    Overwrite("log/checkpoint", damaged, files);
    const auto failure = FailureOf([&] { (void)OpenLog("log", files); });
    ASSERT_TRUE(failure) << bit;
    EXPECT_TRUE(failure->code == ErrorCode::kCorrupt || failure->code == ErrorCode::kRefused);
    EXPECT_TRUE(Contains(failure->message, "log/checkpoint ")) << failure->message;
    EXPECT_EQ(ReadAll("log/checkpoint", files), damaged);
  }
}

TEST(RoundLogRecovery, AnotherKeyOrOriginIsRefused) {
  const Scratch scratch;
  { OpenLog(scratch / "log").Append("entry"); }
  for (const auto& other : {std::pair{kOrigin, FixedKey(1)}, std::pair{"example.org/another", FixedKey()}}) {
    const auto failure =
        FailureOf([&] { (void)RoundLogWriter::Open(RealFileSystem(), scratch / "log", other.first, other.second); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code, ErrorCode::kRefused);
  }
}

TEST(RoundLogRecovery, JournalOfAnotherLogIsReportedAndTheTilesAreLeftAlone) {
  const Scratch scratch;
  { OpenLog(scratch / "log").AppendBatch(NumberedEntries(300)); }
  { OpenLog(scratch / "other").AppendBatch(NumberedEntries(300, 1)); }
  Overwrite(scratch / "log/journal", ReadAll(scratch / "other/journal"));
  const auto before = FilesIn(scratch / "log");
  const auto failure = FailureOf([&] { (void)OpenLog(scratch / "log"); });
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code, ErrorCode::kCorrupt);
  EXPECT_EQ(FilesIn(scratch / "log"), before);
}

TEST(RoundLogRecovery, CosignaturesOnTheCurrentCheckpointAreKept) {
  const Scratch scratch;
  { OpenLog(scratch / "log").Append("entry"); }
  Note note = *Note::Parse(ReadAll(scratch / "log/checkpoint"));
  note.signatures.push_back(CosignNote(note.text, "lab-a", FixedKey(9), 1'700'000'000));
  Overwrite(scratch / "log/checkpoint", note.Encode());
  EXPECT_EQ(OpenLog(scratch / "log").CheckpointNote(), note.Encode());
  EXPECT_EQ(ReadAll(scratch / "log/checkpoint"), note.Encode());
}

}  // namespace
}  // namespace hemafed
