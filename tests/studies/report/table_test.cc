// SPDX-License-Identifier: Apache-2.0
#include "common/report/table.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/report/markup.h"
#include "learning/data/csv.h"
#include "studies/report/report_names.h"
#include "tests/expect_error.h"
#include "tests/studies/report/xml_elements.h"

namespace hemafed::studies {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Measurement Number(double value, std::optional<double> spread = {}) {
  return {.value = value, .spread = spread, .digits = 2};
}

Table Small() {
  return {.title = "Scores",
          .columns = {{"method"}, {"Acc", Source::kPublished}, {"Acc", Source::kMeasured}, {"note"}},
          .rows = {{"UACL", Number(0.82, 0.04), Number(1.0 / 3, 0.1), "a|b, \"c\""},
                   {"joint*", std::monostate(), Number(0.9), ""}},
          .notes = {"sd over 3 seeds"}};
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

TEST(TextTable, AlignsByCharactersNotBytes) {
  const std::string text = TextTable(Small());
  const auto lines = Lines(text);
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[0], "Scores");
  EXPECT_EQ(lines[1], "method  Acc (published)  Acc (measured)  note");
  EXPECT_EQ(lines[2], "------  ---------------  --------------  --------");
  EXPECT_EQ(lines[3], "UACL        0.82 \u00B1 0.04     0.33 \u00B1 0.10  a|b, \"c\"");
  EXPECT_EQ(lines[4], "joint*                \u2013            0.90");
  EXPECT_EQ(lines[5], "  sd over 3 seeds");
}

// Splits at bars that are not escaped and undoes the escapes.
std::vector<std::string> MarkdownCells(const std::string& line) {
  std::vector<std::string> out(1);
  for (std::size_t i = 1; i + 1 < line.size(); ++i) {
    if (line[i] == '\\')
      out.back() += line[++i];
    else if (line[i] == '|')
      out.emplace_back();
    else if (line.substr(i, 4) == "&lt;")
      out.back() += '<', i += 3;
    else if (line.substr(i, 5) == "&amp;")
      out.back() += '&', i += 4;
    else
      out.back() += line[i];
  }
  for (std::string& cell : out) cell = cell.substr(1, cell.size() - 2);
  return out;
}

TEST(MarkdownTable, ReadsBackCellByCell) {
  Table table = Small();
  table.rows.push_back({"<b>&amp;`x`_y_[z](http)\\", Number(0.1), Number(-0.001), "two\nlines"});
  const auto lines = Lines(MarkdownTable(table));
  using Texts = std::vector<std::string>;
  ASSERT_EQ(lines.size(), 9u);
  EXPECT_EQ(lines[0], "**Scores**");
  EXPECT_EQ(lines[3], "| --- | ---: | ---: | --- |");
  EXPECT_EQ(MarkdownCells(lines[4]), (Texts{"UACL", "0.82 \u00B1 0.04", "0.33 \u00B1 0.10", "a|b, \"c\""}));
  EXPECT_EQ(MarkdownCells(lines[5]), (Texts{"joint*", "\u2013", "0.90", ""}));
  EXPECT_EQ(MarkdownCells(lines[6]), (Texts{"<b>&amp;`x`_y_[z](http)\\", "0.10", "0.00", "two lines"}));
  EXPECT_EQ(lines[8], "- sd over 3 seeds");
  EXPECT_EQ(lines[6].find("<b>"), std::string::npos);
}

TEST(CsvTable, ReadsBackAsTheSameTextsAndDoubles) {
  Table table = Small();
  table.rows.push_back({"line\nend, \"quoted\"", Number(5e-324, 0.0), Number(1e300), "\xEF\xBB\xBFmark"});
  const learning::CsvTable read = learning::ParseCsv(CsvTable(table), "test");
  using Texts = std::vector<std::string>;
  EXPECT_EQ(read.header, (Texts{"method", "Acc (published)", "Acc (published) spread", "Acc (measured)",
                                "Acc (measured) spread", "note"}));
  ASSERT_EQ(read.rows.size(), 3u);
  EXPECT_EQ(read.rows[1].fields, (Texts{"joint*", "", "", "0.9", "", ""}));
  for (std::size_t r = 0; r < 3; ++r) {
    EXPECT_EQ(read.rows[r].fields[0], std::get<std::string>(table.rows[r][0]));
    EXPECT_EQ(read.rows[r].fields[5], std::get<std::string>(table.rows[r][3]));
    EXPECT_EQ(std::stod(read.rows[r].fields[3]), std::get<Measurement>(table.rows[r][2]).value);
  }
  EXPECT_EQ(std::strtod(read.rows[2].fields[1].c_str(), nullptr), 5e-324);
}

TEST(CsvTable, HasNoSpreadColumnWhereNoneIsKnownAndRefusesEqualTitles) {
  Table table{.title = "t", .columns = {{"a"}, {"b"}}, .rows = {{Number(1), Number(2)}}, .notes = {}};
  EXPECT_EQ(CsvTable(table), "a,b\n1,2\n");
  table.columns[1].title = "a";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "same title", (void)CsvTable(table));
}

TEST(HtmlTable, IsWellFormedEscapedAndMarksPublishedColumns) {
  Table table = Small();
  table.title = "<Scores>";
  table.rows.push_back({"<img src=x onerror=alert(1)>", Number(0.5), Number(0.5), "&"});
  const std::string html = HtmlTable(table);
  EXPECT_EQ(html.find("<img"), std::string::npos);
  const auto elements = ReadXml("<root>" + html + "</root>");
  EXPECT_EQ(Named(elements, "caption").at(0).text, "<Scores>");
  EXPECT_EQ(Named(elements, "th").size(), 4u);
  const auto cells = Named(elements, "td");
  ASSERT_EQ(cells.size(), 12u);
  EXPECT_EQ(cells[1].Get("class"), "number published");
  EXPECT_EQ(cells[2].Get("class"), "number");
  EXPECT_EQ(cells[2].text, "0.33 \u00B1 0.10");
  EXPECT_EQ(cells[8].text, "<img src=x onerror=alert(1)>");
  EXPECT_EQ(Named(elements, "li").at(0).text, "sd over 3 seeds");
}

TEST(Tables, RefuseWhatIsNoTableAndNameThePlace) {
  const auto refused = [](const char* words, auto change) {
    Table table = Small();
    change(table);
    for (const auto& render : {TextTable, MarkdownTable, CsvTable, HtmlTable})
      EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)render(table));
  };
  refused("table 'Scores': row 1, column 'Acc': a number for a report is not finite",
          [](Table& t) { t.rows[0][1] = Number(kNan); });
  refused("row 2, column 'Acc'", [](Table& t) { t.rows[1][2] = Number(0.5, kNan); });
  refused("below zero", [](Table& t) { t.rows[1][2] = Number(0.5, -0.5); });
  refused("row 2 has 3 cells for 4 columns", [](Table& t) { t.rows[1].pop_back(); });
  refused("no columns", [](Table& t) { t = {.title = "Scores", .columns = {}, .rows = {}, .notes = {}}; });
}

TEST(Tables, WithoutRowsStillHaveTheirHead) {
  const Table table{.title = "", .columns = {{"a"}, {"b"}}, .rows = {}, .notes = {}};
  EXPECT_EQ(TextTable(table), "a  b\n-  -\n");
  EXPECT_EQ(MarkdownTable(table), "| a | b |\n| --- | --- |\n");
  EXPECT_EQ(CsvTable(table), "a,b\n");
  EXPECT_EQ(Named(ReadXml(HtmlTable(table)), "th").size(), 2u);
}

TEST(TextTable, CannotMoveTheCursorOfATerminal) {
  const Table table{.title = "\x1b[2J", .columns = {{"a"}}, .rows = {{"\x1b[31mred\r\n"}}, .notes = {"\x07"}};
  const std::string text = TextTable(table);
  for (const char c : text) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
}

}  // namespace
}  // namespace hemafed::studies
