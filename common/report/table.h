// common/report/table.h
// SPDX-License-Identifier: Apache-2.0
//
// One table, four forms: aligned text for the terminal, Markdown for docs/results.md, CSV for other programs, HTML for
// the report.
//
// For people, a number has the digits stated with it, and "–" stands for a cell without a value. CSV carries every
// number so that it reads back as the same double, an empty field for a cell without a value, and the spread of a
// column that has any in a column of its own, named "<title> spread".
//
// A column says where its numbers come from, because published and measured ones stand side by side: the title gets
// "(published)" or "(measured)" after it, and HTML sets published numbers in italics.
//
// Errors: kInvalidInput, naming table, row and column, for a number that is NaN or infinite, a spread below zero,
// digits out of range, a row of another length than the columns, and for CSV two columns of one name. Thread-safety:
// value types and free functions without state.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "common/report/number_text.h"

namespace hemafed::report {

enum class Source { kPlain, kMeasured, kPublished };

struct Column {
  std::string title;
  Source source = Source::kPlain;
};

// Nothing, a text, or a number.
using Cell = std::variant<std::monostate, std::string, Measurement>;

struct Table {
  std::string title;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;  // Each with as many cells as there are columns.
  std::vector<std::string> notes;       // What the reader must know: what a spread is, what was measured on.
};

// Columns are as wide as their longest cell, counted in code points; numbers stand to the right.
[[nodiscard]] std::string TextTable(const Table& table);

// GitHub's tables. Characters with a meaning in Markdown are escaped; line ends become blanks.
[[nodiscard]] std::string MarkdownTable(const Table& table);

// RFC 4180 with LF, as common/csv_row.h writes it. Title and notes are left out; bytes that are not UTF-8 and control
// characters are replaced (markup.h).
[[nodiscard]] std::string CsvTable(const Table& table);

// A <table> with caption, and the notes below it. No classes or scripts beyond those that html_report.h styles.
[[nodiscard]] std::string HtmlTable(const Table& table);

}  // namespace hemafed::report
