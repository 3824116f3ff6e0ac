// SPDX-License-Identifier: Apache-2.0
#include "learning/data/manifest.h"

#include <charconv>

#include "common/error.h"
#include "learning/data/csv.h"
#include "learning/data/path_rules.h"

namespace hemafed::learning {

namespace {

[[noreturn]] void Fail(const std::string& where, const CsvRow& row, const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, where + " line " + std::to_string(row.line) + ": " + problem);
}

// Decimal digits only, without sign or spaces.
std::uint32_t Pixels(const std::string& text, const std::string& where, const CsvRow& row) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    Fail(where, row, "'" + Printable(text) + "' is not a number of pixels");
  }
  return value;
}

}  // namespace

std::vector<ManifestRow> ParseManifest(std::string_view text, const std::string& where) {
  const CsvTable table = ParseCsv(text, where);
  const std::size_t file = table.Column("file", where);
  const std::size_t original = table.Column("class_original", where);
  const std::size_t common = table.Column("class_common", where);
  const std::size_t split = table.Column("split", where);
  const std::size_t width = table.Column("width", where);
  const std::size_t height = table.Column("height", where);
  const std::size_t sha256 = table.Column("sha256", where);
  std::vector<ManifestRow> rows;
  rows.reserve(table.rows.size());
  for (const CsvRow& row : table.rows) {
    ManifestRow& out = rows.emplace_back();
    out.file = row.fields[file];
    out.class_original = row.fields[original];
    out.class_common = row.fields[common];
    const std::string& part = row.fields[split];
    if (part != "train" && part != "test") {
      Fail(where, row, "split is '" + Printable(part) + "', it must be 'train' or 'test'");
    }
    out.split = part == "test" ? Split::kTest : Split::kTrain;
    out.width = Pixels(row.fields[width], where, row);
    out.height = Pixels(row.fields[height], where, row);
    const auto digest = Digest::FromHex(row.fields[sha256]);
    if (!digest) Fail(where, row, "sha256 is not 64 lower-case hexadecimal characters");
    out.digest = *digest;
  }
  return rows;
}

std::string FormatManifest(const std::vector<ManifestRow>& rows) {
  std::string text = FormatCsvRow({"file", "class_original", "class_common", "split", "width", "height", "sha256"});
  for (const ManifestRow& row : rows) {
    text += FormatCsvRow({row.file, row.class_original, row.class_common, std::string(SplitName(row.split)),
                          std::to_string(row.width), std::to_string(row.height), row.digest.Hex()});
  }
  return text;
}

std::map<std::string, std::string> ParseFileTable(std::string_view text, std::string_view column,
                                                  const std::string& where) {
  const CsvTable table = ParseCsv(text, where);
  const std::size_t file = table.Column("file", where);
  const std::size_t value = table.Column(column, where);
  std::map<std::string, std::string> values;
  for (const CsvRow& row : table.rows) {
    if (row.fields[value].size() > kMaxGroupBytes || !IsPlainText(row.fields[value])) {
      Fail(
          where, row,
          "the " + std::string(column) + " is longer than " + std::to_string(kMaxGroupBytes) + " bytes or spans lines");
    }
    if (!values.emplace(row.fields[file], row.fields[value]).second) {
      Fail(where, row, "'" + Printable(row.fields[file]) + "' is listed twice");
    }
  }
  return values;
}

}  // namespace hemafed::learning
