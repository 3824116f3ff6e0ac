// learning/data/csv.h
// SPDX-License-Identifier: Apache-2.0
//
// Strict, bounded reading of comma-separated tables (RFC 4180) with a header line: manifests and lists of patients,
// which other programs and spreadsheets wrote.
//
// Accepted: UTF-8, an optional byte-order mark (spreadsheets write one), lines that end in LF or CRLF, the last one
// with or without. A field in quotation marks may hold commas, line ends and doubled quotation marks.
// Refused, with the line: a row with more or fewer fields than the header, an empty line, a quotation mark inside a
// bare field or text after a closing one, a lone CR, a control character, bytes that are not UTF-8, a repeated column
// name.
//
// Rows are written by common/csv_row.h.
//
// Errors: Error(kInvalidInput), "<where> line <n>: ...". Thread-safety: free functions without state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/csv_row.h"

namespace hemafed::learning {

// The largest published set has 41,621 pictures; 64 MiB hold over a quarter of a million rows with long names.
inline constexpr std::size_t kMaxCsvBytes = 64u << 20;
inline constexpr std::size_t kMaxCsvRows = 1'000'000;
// Columns of one table, and bytes of one field: ADP's label table has 52 columns; paths end at 4,096 bytes on Linux.
inline constexpr std::size_t kMaxCsvColumns = 128;
inline constexpr std::size_t kMaxCsvFieldBytes = 4096;

struct CsvRow {
  std::uint32_t line = 0;  // Where the row starts in the text, counted from 1.
  std::vector<std::string> fields;
};

struct CsvTable {
  std::vector<std::string> header;
  std::vector<CsvRow> rows;  // Each with as many fields as the header.

  // Position of a column, or kInvalidInput that names the columns there are.
  [[nodiscard]] std::size_t Column(std::string_view name, const std::string& where) const;
};

[[nodiscard]] CsvTable ParseCsv(std::string_view text, const std::string& where);

}  // namespace hemafed::learning
