// tests/fuzz/journal_fuzz.cc
// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a journal: what is kept is exactly what the entries encode to, and cutting there leaves a clean journal.
// The same bytes as an entry bundle: entries and rest are the input again.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "protocol/log/journal.h"
#include "protocol/log/tiles.h"

namespace {

using namespace hemafed;

void Require(bool holds) {
  if (!holds) std::abort();
}

class MemoryFile final : public ReadableFile {
 public:
  explicit MemoryFile(std::string_view content) : content_(content) {}
  [[nodiscard]] std::size_t ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    if (offset >= content_.size()) return 0;
    return content_.copy(reinterpret_cast<char*>(out.data()), out.size(), offset);
  }
  [[nodiscard]] std::uint64_t Size() const override { return content_.size(); }

 private:
  std::string_view content_;
};

void ScanAsJournal(std::string_view bytes) {
  std::string again(kJournalHeader);
  std::uint64_t visited = 0;
  const JournalScan scan = ScanJournal(MemoryFile(bytes), [&](std::string_view entry, const Digest& leaf) {
    AppendJournalRecord(again, entry, leaf);
    ++visited;
  });
  Require(scan.entries == visited && scan.file_bytes == bytes.size() && scan.whole_bytes <= bytes.size());
  if (scan.whole_bytes == 0) {
    Require(visited == 0);
    return;
  }
  Require(again == bytes.substr(0, scan.whole_bytes));
  Require((scan.end == JournalEnd::kClean) == (scan.whole_bytes == bytes.size()));
  const JournalScan cut = ScanJournal(MemoryFile(again), [](std::string_view, const Digest&) {});
  Require(cut.end == JournalEnd::kClean && cut.entries == visited);
}

void ReadAsBundle(std::string_view bytes) {
  BundleReader reader(bytes);
  std::string again;
  while (const auto entry = reader.Next()) AppendToBundle(again, *entry);
  Require(again == bytes.substr(0, bytes.size() - reader.bytes_left()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = AsText({data, size});
  ScanAsJournal(bytes);
  // Hashes cannot be guessed: also try the input as the records behind a header.
  ScanAsJournal(std::string(kJournalHeader) + std::string(bytes));
  ReadAsBundle(bytes);
  return 0;
}
