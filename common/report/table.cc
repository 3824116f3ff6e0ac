// SPDX-License-Identifier: Apache-2.0
#include "common/report/table.h"

#include <algorithm>
#include <set>

#include "common/csv_row.h"
#include "common/error.h"
#include "common/report/markup.h"

namespace hemafed::report {

namespace {

constexpr std::string_view kNoValue = "\u2013";

[[noreturn]] void Fail(const Table& table, const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, "table '" + Shorten(table.title, 80) + "': " + problem);
}

std::string TitleOf(const Column& column) {
  switch (column.source) {
    case Source::kPlain: return column.title;
    case Source::kMeasured: return column.title + " (measured)";
    case Source::kPublished: return column.title + " (published)";
  }
  return column.title;
}

void Check(const Table& table) {
  if (table.columns.empty()) Fail(table, "there are no columns");
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    if (table.rows[r].size() != table.columns.size()) {
      Fail(table, "row " + std::to_string(r + 1) + " has " + std::to_string(table.rows[r].size()) + " cells for " +
                      std::to_string(table.columns.size()) + " columns");
    }
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      const auto* number = std::get_if<Measurement>(&table.rows[r][c]);
      if (number == nullptr) continue;
      try {
        (void)FormatMeasurement(*number);
      } catch (const Error& problem) {
        Fail(table, "row " + std::to_string(r + 1) + ", column '" + Shorten(table.columns[c].title, 80) +
                        "': " + problem.what());
      }
    }
  }
}

std::string CellText(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  if (const auto* number = std::get_if<Measurement>(&cell)) return FormatMeasurement(*number);
  return std::string(kNoValue);
}

std::string OneLine(std::string_view text) { return Shorten(text, static_cast<std::size_t>(-1)); }

// A column is set to the right if it has a number and no text.
bool IsNumeric(const Table& table, std::size_t column) {
  bool number = false;
  for (const auto& row : table.rows) {
    if (std::holds_alternative<std::string>(row[column])) return false;
    number = number || std::holds_alternative<Measurement>(row[column]);
  }
  return number;
}

std::vector<std::size_t> Widths(const Table& table) {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    std::size_t width = CleanCodePoints(TitleOf(table.columns[c])).size();
    for (const auto& row : table.rows) width = std::max(width, CleanCodePoints(CellText(row[c])).size());
    widths.push_back(width);
  }
  return widths;
}

// The text padded to `width` code points.
std::string Padded(const std::string& text, std::size_t width, bool right) {
  const std::string clean = OneLine(text);
  const std::string blanks(width - std::min(width, CleanCodePoints(clean).size()), ' ');
  return right ? blanks + clean : clean + blanks;
}

std::string EscapeMarkdown(std::string_view text) {
  std::string out;
  for (const char c : OneLine(text)) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '&': out += "&amp;"; break;
      case '\\':
      case '|':
      case '*':
      case '_':
      case '`':
      case '[':
      case ']':
      case '~': out.push_back('\\'); [[fallthrough]];
      default: out.push_back(c);
    }
  }
  return out;
}

}  // namespace

std::string TextTable(const Table& table) {
  Check(table);
  const std::vector<std::size_t> widths = Widths(table);
  std::string out;
  if (!table.title.empty()) out += OneLine(table.title) + "\n";
  const auto add_line = [&](auto text_of) {
    std::string line;
    for (std::size_t c = 0; c < table.columns.size(); ++c)
      line += (c == 0 ? "" : "  ") + Padded(text_of(c), widths[c], IsNumeric(table, c));
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  add_line([&](std::size_t c) { return TitleOf(table.columns[c]); });
  add_line([&](std::size_t c) { return std::string(widths[c], '-'); });
  for (const auto& row : table.rows) add_line([&](std::size_t c) { return CellText(row[c]); });
  for (const std::string& note : table.notes) out += "  " + OneLine(note) + "\n";
  return out;
}

std::string MarkdownTable(const Table& table) {
  Check(table);
  std::string out;
  if (!table.title.empty()) out += "**" + EscapeMarkdown(table.title) + "**\n\n";
  std::string rule = "|";
  out += "|";
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    out += " " + EscapeMarkdown(TitleOf(table.columns[c])) + " |";
    rule += IsNumeric(table, c) ? " ---: |" : " --- |";
  }
  out += "\n" + rule + "\n";
  for (const auto& row : table.rows) {
    out += "|";
    for (const Cell& cell : row) out += " " + EscapeMarkdown(CellText(cell)) + " |";
    out += "\n";
  }
  if (!table.notes.empty()) out += "\n";
  for (const std::string& note : table.notes) out += "- " + EscapeMarkdown(note) + "\n";
  return out;
}

std::string CsvTable(const Table& table) {
  Check(table);
  std::vector<bool> spread(table.columns.size(), false);
  for (const auto& row : table.rows) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      const auto* number = std::get_if<Measurement>(&row[c]);
      if (number != nullptr && number->spread) spread[c] = true;
    }
  }
  std::vector<std::string> header;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    header.push_back(OneLine(TitleOf(table.columns[c])));
    if (spread[c]) header.push_back(header.back() + " spread");
  }
  if (std::set<std::string>(header.begin(), header.end()).size() != header.size())
    Fail(table, "two columns have the same title, which a CSV file cannot tell apart");
  std::string out = FormatCsvRow(header);
  for (const auto& row : table.rows) {
    std::vector<std::string> fields;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const auto* text = std::get_if<std::string>(&row[c]);
      const auto* number = std::get_if<Measurement>(&row[c]);
      fields.push_back(text != nullptr     ? ToUtf8(CleanCodePoints(*text))
                       : number != nullptr ? FormatExact(number->value)
                                           : std::string());
      if (spread[c])
        fields.push_back(number != nullptr && number->spread ? FormatExact(*number->spread) : std::string());
    }
    out += FormatCsvRow(fields);
  }
  return out;
}

std::string HtmlTable(const Table& table) {
  Check(table);
  std::vector<std::string> attribute;  // Of the cells of a column.
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    std::string classes = IsNumeric(table, c) ? "number" : "";
    if (table.columns[c].source == Source::kPublished) classes += classes.empty() ? "published" : " published";
    attribute.push_back(classes.empty() ? "" : " class=\"" + classes + "\"");
  }
  std::string out = "<div class=\"table\"><table>\n";
  if (!table.title.empty()) out += "<caption>" + EscapeMarkup(table.title) + "</caption>\n";
  out += "<thead><tr>";
  for (std::size_t c = 0; c < table.columns.size(); ++c)
    out += "<th scope=\"col\"" + attribute[c] + ">" + EscapeMarkup(TitleOf(table.columns[c])) + "</th>";
  out += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (std::size_t c = 0; c < row.size(); ++c)
      out += "<td" + attribute[c] + ">" + EscapeMarkup(CellText(row[c])) + "</td>";
    out += "</tr>\n";
  }
  out += "</tbody></table></div>\n";
  if (table.notes.empty()) return out;
  out += "<ul class=\"notes\">";
  for (const std::string& note : table.notes) out += "<li>" + EscapeMarkup(note) + "</li>";
  return out + "</ul>\n";
}

}  // namespace hemafed::report
