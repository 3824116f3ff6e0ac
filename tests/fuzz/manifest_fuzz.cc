// SPDX-License-Identifier: Apache-2.0
//
// Tables of a domain folder. Any bytes either parse or give Error(kInvalidInput); what parses, formats to a text that
// parses to the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/error.h"
#include "learning/data/csv.h"
#include "learning/data/manifest.h"

namespace {

using namespace hemafed::learning;

void Require(bool holds) {
  if (!holds) std::abort();
}

template <typename Body>
void OrInvalidInput(Body body) {
  try {
    body();
  } catch (const hemafed::Error& error) {
    Require(error.code() == hemafed::ErrorCode::kInvalidInput);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  OrInvalidInput([&] {
    const CsvTable table = ParseCsv(text, "fuzz");
    std::string again = hemafed::FormatCsvRow(table.header);
    for (const CsvRow& row : table.rows) again += hemafed::FormatCsvRow(row.fields);
    const CsvTable reread = ParseCsv(again, "again");
    Require(reread.header == table.header && reread.rows.size() == table.rows.size());
    for (std::size_t i = 0; i < table.rows.size(); ++i) Require(reread.rows[i].fields == table.rows[i].fields);
  });
  OrInvalidInput([&] {
    const auto rows = ParseManifest(text, "fuzz");
    const auto reread = ParseManifest(FormatManifest(rows), "again");
    Require(reread.size() == rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      Require(reread[i].file == rows[i].file && reread[i].class_common == rows[i].class_common &&
              reread[i].split == rows[i].split && reread[i].width == rows[i].width &&
              reread[i].digest == rows[i].digest);
    }
  });
  OrInvalidInput([&] { (void)ParseFileTable(text, "group", "fuzz"); });
  return 0;
}
