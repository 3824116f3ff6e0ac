// SPDX-License-Identifier: Apache-2.0
#include "learning/data/csv.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "common/error.h"
#include "learning/data/path_rules.h"

namespace hemafed::learning {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

class CsvReader {
 public:
  CsvReader(std::string_view text, const std::string& where) : text_(text), where_(where) {
    if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
  }

  // The next row, or nothing at the end of the text.
  std::optional<CsvRow> Next(std::size_t max_fields) {
    if (at_ == text_.size()) return std::nullopt;
    CsvRow row;
    row.line = line_;
    row_line_ = line_;
    if (IsLineEnd()) Fail("the line is empty");
    do {
      if (row.fields.size() == max_fields) Fail("the row has more than " + std::to_string(max_fields) + " fields");
      row.fields.push_back(Field());
    } while (TakeComma());
    return row;
  }

  [[noreturn]] void Fail(const std::string& problem) const {
    throw Error(ErrorCode::kInvalidInput, where_ + " line " + std::to_string(row_line_) + ": " + problem);
  }

 private:
  [[nodiscard]] bool IsLineEnd() const {
    return text_[at_] == '\n' || (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n');
  }

  // After a field: true when another one follows; takes the line end otherwise.
  bool TakeComma() {
    if (at_ == text_.size()) return false;
    if (text_[at_] == ',') {
      ++at_;
      return true;
    }
    if (!IsLineEnd()) Fail("text follows a closing quotation mark");
    at_ += text_[at_] == '\r' ? 2 : 1;
    ++line_;
    return false;
  }

  std::string Field() {
    std::string field = at_ < text_.size() && text_[at_] == '"' ? QuotedField() : BareField();
    if (!IsPlainText(field, /*allow_line_ends=*/true)) Fail("a field holds control characters or is not UTF-8");
    return field;
  }

  std::string BareField() {
    const std::size_t start = at_;
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '\n') {
      if (text_[at_] == '"') Fail("a quotation mark stands inside a field that does not start with one");
      if (text_[at_] == '\r') {
        if (!IsLineEnd()) Fail("a carriage return stands without a line feed");
        break;
      }
      if (at_ - start == kMaxCsvFieldBytes) FailLong();
      ++at_;
    }
    return std::string(text_.substr(start, at_ - start));
  }

  std::string QuotedField() {
    std::string field;
    ++at_;
    for (;;) {
      if (at_ == text_.size()) Fail("a quotation mark is never closed");
      const char c = text_[at_++];
      if (c == '"') {
        if (at_ == text_.size() || text_[at_] != '"') return field;
        ++at_;
      }
      if (c == '\n') ++line_;
      if (field.size() == kMaxCsvFieldBytes) FailLong();
      field.push_back(c);
    }
  }

  [[noreturn]] void FailLong() const { Fail("a field is longer than " + std::to_string(kMaxCsvFieldBytes) + " bytes"); }

  std::string_view text_;
  const std::string& where_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
  std::uint32_t row_line_ = 1;
};

}  // namespace

std::size_t CsvTable::Column(std::string_view name, const std::string& where) const {
  const auto found = std::find(header.begin(), header.end(), name);
  if (found != header.end()) return static_cast<std::size_t>(found - header.begin());
  std::string present;
  for (const std::string& column : header) present += (present.empty() ? "" : ", ") + column;
  throw Error(ErrorCode::kInvalidInput,
              where + " has no column '" + std::string(name) + "'; its columns are: " + present);
}

CsvTable ParseCsv(std::string_view text, const std::string& where) {
  if (text.size() > kMaxCsvBytes) {
    throw Error(ErrorCode::kInvalidInput, where + " has " + std::to_string(text.size()) + " bytes, more than the " +
                                              std::to_string(kMaxCsvBytes) + " allowed for a table");
  }
  CsvReader reader(text, where);
  std::optional<CsvRow> header = reader.Next(kMaxCsvColumns);
  if (!header) throw Error(ErrorCode::kInvalidInput, where + " is empty; the first line must name the columns");
  CsvTable table;
  table.header = std::move(header->fields);
  const std::set<std::string> names(table.header.begin(), table.header.end());
  if (names.size() != table.header.size()) reader.Fail("a column name occurs twice");
  if (names.contains("")) reader.Fail("a column has no name");
  while (std::optional<CsvRow> row = reader.Next(table.header.size())) {
    if (row->fields.size() != table.header.size()) {
      reader.Fail("the row has " + std::to_string(row->fields.size()) + " fields, the header " +
                  std::to_string(table.header.size()));
    }
    if (table.rows.size() == kMaxCsvRows)
      reader.Fail("the table has more than " + std::to_string(kMaxCsvRows) + " rows");
    table.rows.push_back(std::move(*row));
  }
  return table;
}

}  // namespace hemafed::learning
