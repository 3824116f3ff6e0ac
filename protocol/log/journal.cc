// protocol/log/journal.cc
// SPDX-License-Identifier: Apache-2.0
#include "protocol/log/journal.h"

#include <algorithm>
#include <array>
#include <vector>

#include "common/error.h"
#include "protocol/log/merkle.h"
#include "protocol/log/tiles.h"

namespace hemafed {

namespace {

constexpr std::size_t kLengthBytes = 8;  // A length and its complement.
constexpr std::size_t kHashBytes = sizeof(Digest::bytes);
// Bytes read at once: several thousand small records, and always a whole one.
constexpr std::size_t kWindowBytes = 256u << 10;
static_assert(kWindowBytes > kMaxEntryBytes + kJournalRecordOverhead);

// A moving view of the file.
class Window {
 public:
  explicit Window(const ReadableFile& file)
      : file_(file), size_(file.Size()), buffer_(std::min<std::uint64_t>(size_, kWindowBytes)) {}

  [[nodiscard]] std::uint64_t size() const { return size_; }

  // The bytes from `offset` on, at least `wanted` of them unless the file ends before.
  [[nodiscard]] std::string_view From(std::uint64_t offset, std::size_t wanted) {
    if (offset < start_ || offset + wanted > start_ + filled_) {
      start_ = offset;
      filled_ = file_.ReadAt(offset, buffer_);
    }
    return AsText(ByteView(buffer_).first(filled_).subspan(offset - start_));
  }

  [[nodiscard]] bool OnlyZerosFrom(std::uint64_t offset) {
    while (offset < size_) {
      const std::string_view bytes = From(offset, kWindowBytes);
      if (bytes.empty()) return true;
      if (bytes.find_first_not_of('\0') != std::string_view::npos) return false;
      offset += bytes.size();
    }
    return true;
  }

 private:
  const ReadableFile& file_;
  std::uint64_t size_;
  std::vector<std::uint8_t> buffer_;
  std::uint64_t start_ = 0;
  std::size_t filled_ = 0;
};

JournalScan Ended(JournalScan scan, JournalEnd end, std::string reason) {
  scan.end = end;
  scan.reason = std::move(reason);
  return scan;
}

}  // namespace

void AppendJournalRecord(std::string& out, std::string_view entry, const Digest& leaf) {
  if (entry.empty() || entry.size() > kMaxEntryBytes) {
    throw Error(ErrorCode::kInvalidInput, "a log entry has 1 to " + std::to_string(kMaxEntryBytes) + " bytes, not " +
                                              std::to_string(entry.size()) + "; store larger content as an object");
  }
  const auto length = static_cast<std::uint32_t>(entry.size());
  std::array<std::uint8_t, kLengthBytes> head{};
  StoreLittleEndian(length, head.data());
  StoreLittleEndian(~length, head.data() + 4);
  out.append(AsText(head)).append(entry).append(AsText(leaf.bytes));
}

JournalScan ScanJournal(const ReadableFile& file,
                        const std::function<void(std::string_view entry, const Digest& leaf)>& visit) {
  Window window(file);
  JournalScan scan;
  scan.file_bytes = window.size();
  if (scan.file_bytes == 0) return scan;

  const std::string_view first = window.From(0, kJournalHeader.size()).substr(0, kJournalHeader.size());
  if (first != kJournalHeader) {
    const bool torn =
        (first.size() < kJournalHeader.size() && kJournalHeader.starts_with(first)) || window.OnlyZerosFrom(0);
    return Ended(std::move(scan), torn ? JournalEnd::kTorn : JournalEnd::kDamaged, "the file's first line is wrong");
  }

  scan.whole_bytes = kJournalHeader.size();
  while (scan.whole_bytes < scan.file_bytes) {
    const std::uint64_t left = scan.file_bytes - scan.whole_bytes;
    const std::string_view head = window.From(scan.whole_bytes, kLengthBytes);
    if (left < kLengthBytes || head.size() < kLengthBytes) {
      return Ended(std::move(scan), JournalEnd::kTorn, "the file ends inside the record's length");
    }
    const auto length = LoadLittleEndian<std::uint32_t>(AsBytes(head).data());
    const auto complement = LoadLittleEndian<std::uint32_t>(AsBytes(head).data() + 4);
    if (length == 0 || length > kMaxEntryBytes || complement != ~length) {
      const bool torn = window.OnlyZerosFrom(scan.whole_bytes);
      return Ended(std::move(scan), torn ? JournalEnd::kTorn : JournalEnd::kDamaged, "the record's length is wrong");
    }
    const std::size_t record_bytes = length + kJournalRecordOverhead;
    const std::string_view record = window.From(scan.whole_bytes, record_bytes);
    if (left < record_bytes || record.size() < record_bytes) {
      return Ended(std::move(scan), JournalEnd::kTorn, "the file ends inside the record");
    }
    const std::string_view entry = record.substr(kLengthBytes, length);
    const Digest leaf = LeafHash(entry);
    if (record.substr(kLengthBytes + length, kHashBytes) != AsText(leaf.bytes)) {
      const bool torn = window.OnlyZerosFrom(scan.whole_bytes + record_bytes);
      return Ended(std::move(scan), torn ? JournalEnd::kTorn : JournalEnd::kDamaged, "the record's hash is wrong");
    }
    visit(entry, leaf);
    ++scan.entries;
    scan.whole_bytes += record_bytes;
  }
  return scan;
}

}  // namespace hemafed
