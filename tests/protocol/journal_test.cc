// SPDX-License-Identifier: Apache-2.0
#include "protocol/log/journal.h"

#include <gtest/gtest.h>

#include "protocol/log/merkle.h"
#include "protocol/log/tiles.h"
#include "tests/protocol/log_test_support.h"

namespace hemafed {
namespace {

class MemoryFile final : public ReadableFile {
 public:
  explicit MemoryFile(std::string content) : content_(std::move(content)) {}
  [[nodiscard]] std::size_t ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    if (offset >= content_.size()) return 0;
    return content_.copy(reinterpret_cast<char*>(out.data()), out.size(), offset);
  }
  [[nodiscard]] std::uint64_t Size() const override { return content_.size(); }

 private:
  std::string content_;
};

struct Scanned {
  JournalScan scan;
  std::vector<std::string> entries;
};

Scanned Scan(const std::string& bytes) {
  Scanned result;
  result.scan = ScanJournal(MemoryFile(bytes), [&](std::string_view entry, const Digest& leaf) {
    EXPECT_EQ(leaf, LeafHash(entry));
    result.entries.emplace_back(entry);
  });
  EXPECT_EQ(result.scan.entries, result.entries.size());
  EXPECT_EQ(result.scan.file_bytes, bytes.size());
  EXPECT_EQ(result.scan.reason.empty(), result.scan.end == JournalEnd::kClean);
  return result;
}

std::string JournalOf(const std::vector<std::string>& entries) {
  std::string bytes(kJournalHeader);
  for (const std::string& entry : entries) AppendJournalRecord(bytes, entry, LeafHash(entry));
  return bytes;
}

const std::vector<std::string> kEntries{"a", "second entry", "3", std::string(100, '\0'), "the last one"};

// Where record i begins; one more for the end.
std::vector<std::size_t> RecordStarts() {
  std::vector<std::size_t> starts{kJournalHeader.size()};
  for (const std::string& entry : kEntries) starts.push_back(starts.back() + entry.size() + kJournalRecordOverhead);
  return starts;
}

// Bytes made with Python's hashlib and struct from the description in docs/round_log.md.
TEST(Journal, HasTheBytesOfItsPage) {
  const std::string bytes = JournalOf(
      {R"({"number":1,"type":"example"})", R"({"number":2,"type":"example"})", R"({"number":3,"type":"example"})"});
  EXPECT_EQ(bytes.size(), 226u);
  EXPECT_EQ(HexEncode(AsBytes(bytes.substr(19, 8))), "1d000000e2ffffff");
  EXPECT_EQ(Sha256Of(bytes).Hex(), "a0be79d2c1d03d5639c8600c5cb922334ca8f4209cb4a78b9ae1399183ecf284");
}

TEST(Journal, GivesBackEveryEntryInOrder) {
  const Scanned result = Scan(JournalOf(kEntries));
  EXPECT_EQ(result.entries, kEntries);
  EXPECT_EQ(result.scan.end, JournalEnd::kClean);
  EXPECT_EQ(result.scan.whole_bytes, result.scan.file_bytes);
}

TEST(Journal, LargerThanTheWindowIsReadWhole) {
  std::vector<std::string> entries;
  for (std::size_t i = 0; i < 40; ++i) {
    entries.push_back(std::string(1 + (i * 7919) % kMaxEntryBytes, static_cast<char>(i)));
  }
  entries.push_back(std::string(kMaxEntryBytes, 'x'));
  const Scanned result = Scan(JournalOf(entries));
  EXPECT_EQ(result.entries, entries);
  EXPECT_EQ(result.scan.end, JournalEnd::kClean);
}

TEST(Journal, CutAtEveryByteKeepsExactlyTheWholeRecordsBefore) {
  const std::string bytes = JournalOf(kEntries);
  const std::vector<std::size_t> starts = RecordStarts();
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    const Scanned result = Scan(bytes.substr(0, cut));
    std::size_t whole = 0;
    while (whole < kEntries.size() && starts[whole + 1] <= cut) ++whole;
    EXPECT_EQ(result.entries, std::vector<std::string>(kEntries.begin(), kEntries.begin() + static_cast<int>(whole)));
    const bool at_border = cut == 0 || cut == starts[whole];
    EXPECT_EQ(result.scan.end, at_border ? JournalEnd::kClean : JournalEnd::kTorn) << "cut at " << cut;
    EXPECT_EQ(result.scan.whole_bytes, cut < starts[0] ? 0 : starts[whole]) << "cut at " << cut;
  }
}

TEST(Journal, ZerosInPlaceOfTheLastWriteAreATornTail) {
  const std::string bytes = JournalOf(kEntries);
  const std::vector<std::size_t> starts = RecordStarts();
  for (std::size_t record = 0; record <= kEntries.size(); ++record) {
    for (const std::size_t zeros : {1u, 7u, 8u, 9u, 5000u, 600'000u}) {
      const Scanned result = Scan(bytes.substr(0, starts[record]) + std::string(zeros, '\0'));
      EXPECT_EQ(result.scan.entries, record);
      EXPECT_EQ(result.scan.end, JournalEnd::kTorn);
      EXPECT_EQ(result.scan.whole_bytes, starts[record]);
    }
  }
  EXPECT_EQ(Scan(std::string(100, '\0')).scan.end, JournalEnd::kTorn);
}

TEST(Journal, EveryFlippedBitBeforeTheLastRecordIsDamageWithItsEntryNumber) {
  const std::string bytes = JournalOf(kEntries);
  const std::vector<std::size_t> starts = RecordStarts();
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    const Scanned result = Scan(testing_support::WithBitFlipped(bytes, bit));
    std::size_t record = 0;
    while (record < kEntries.size() && starts[record + 1] <= bit / 8) ++record;
    EXPECT_EQ(result.scan.entries, record) << "bit " << bit;
    // In the last record, entry and hash may also be what a torn write left; its length may not.
    const bool last_content = bit / 8 >= starts[kEntries.size() - 1] + 8;
    EXPECT_EQ(result.scan.end, last_content ? JournalEnd::kTorn : JournalEnd::kDamaged) << "bit " << bit;
    EXPECT_EQ(result.scan.whole_bytes, bit / 8 < starts[0] ? 0 : starts[record]) << "bit " << bit;
  }
}

TEST(Journal, LengthsNobodyWritesAreDamageAndReserveNothing) {
  for (const std::uint32_t length : {0u, 60'001u, 0x7fffffffu, 0xffffffffu}) {
    std::array<std::uint8_t, 8> head{};
    StoreLittleEndian(length, head.data());
    StoreLittleEndian(~length, head.data() + 4);
    const Scanned result = Scan(JournalOf(kEntries) + std::string(AsText(head)) + std::string(70'000, 'x'));
    EXPECT_EQ(result.scan.end, JournalEnd::kDamaged) << length;
    EXPECT_EQ(result.scan.entries, kEntries.size());
  }
}

TEST(Journal, RecordsOf1To60000BytesOnlyCanBeMade) {
  std::string out;
  for (const std::size_t size : {std::size_t{0}, kMaxEntryBytes + 1}) {
    const auto failure =
        testing_support::FailureOf([&] { AppendJournalRecord(out, std::string(size, 'x'), Digest()); });
    ASSERT_TRUE(failure) << size;
    EXPECT_EQ(failure->code, ErrorCode::kInvalidInput);
  }
  EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace hemafed
