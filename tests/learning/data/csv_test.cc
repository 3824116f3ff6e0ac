// SPDX-License-Identifier: Apache-2.0
#include "learning/data/csv.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "learning/data/manifest.h"
#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

using Fields = std::vector<std::string>;

TEST(Csv, ReadsQuotedFieldsLineEndsAndTheByteOrderMarkOfSpreadsheets) {
  const CsvTable table = ParseCsv(
      "\xEF\xBB\xBF"
      "a,b\r\n\"x, \"\"y\"\"\",\"two\nlines\"\r\n,last",
      "t.csv");
  EXPECT_EQ(table.header, (Fields{"a", "b"}));
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[0].fields, (Fields{"x, \"y\"", "two\nlines"}));
  EXPECT_EQ(table.rows[0].line, 2u);
  EXPECT_EQ(table.rows[1].fields, (Fields{"", "last"}));
  EXPECT_EQ(table.rows[1].line, 4u);
}

TEST(Csv, WhatIsFormattedReadsBackTheSame) {
  const std::vector<Fields> rows = {{"", ""}, {"a,b", "\""}, {"\"quoted\"", "x\r\ny"}, {"\xC3\xA4", " "}};
  std::string text = FormatCsvRow({"one", "two"});
  for (const Fields& row : rows) text += FormatCsvRow(row);
  const CsvTable table = ParseCsv(text, "t.csv");
  ASSERT_EQ(table.rows.size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(table.rows[i].fields, rows[i]);
  EXPECT_EQ(ParseCsv("one\n" + FormatCsvRow({""}), "t.csv").rows.size(), 1u);
  const Fields marked = {"\xEF\xBB\xBF", "two"};
  EXPECT_EQ(ParseCsv(FormatCsvRow(marked), "t.csv").header, marked);
}

struct BadTable {
  const char* name;
  std::string text;
  const char* words;
};

class CsvRefuses : public testing::TestWithParam<BadTable> {};

TEST_P(CsvRefuses, AndNamesTheLine) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, GetParam().words, (void)ParseCsv(GetParam().text, "t.csv"));
}

INSTANTIATE_TEST_SUITE_P(
    Table, CsvRefuses,
    testing::ValuesIn(std::vector<BadTable>{
        {"Nothing", "", "t.csv is empty"},
        {"FieldTooMany", "a,b\n1,2,3\n", "line 2: the row has more than 2 fields"},
        {"FieldTooFew", "a,b\n1,2\n1\n", "line 3: the row has 1 fields, the header 2"},
        {"EmptyLine", "a\n1\n\n2\n", "line 3: the line is empty"},
        {"BareQuote", "a\nx\"y\n", "line 2: a quotation mark stands inside"},
        {"TextAfterQuote", "a\n\"x\"y\n", "line 2: text follows a closing quotation mark"},
        {"OpenQuote", "a\n\"x\n\n", "line 2: a quotation mark is never closed"},
        {"LoneCarriageReturn", "a\nx\ry\n", "line 2: a carriage return stands without a line feed"},
        {"ControlCharacter", std::string("a\nx\0y\n", 6), "line 2: a field holds control characters"},
        {"NotUtf8", "a\n\xFF\n", "line 2: a field holds control characters or is not UTF-8"},
        {"RepeatedColumn", "a,a\n", "a column name occurs twice"},
        {"NamelessColumn", "a,\n", "a column has no name"},
        {"LongField", "a\n" + std::string(kMaxCsvFieldBytes + 1, 'x') + "\n", "line 2: a field is longer than 4096"},
        {"LongQuotedField", "a\n\"" + std::string(kMaxCsvFieldBytes + 1, 'x') + "\"\n", "longer than 4096"},
        {"ManyColumns", std::string(kMaxCsvColumns, ',') + "\n", "more than 128 fields"},
        {"HugeText", std::string(kMaxCsvBytes + 1, 'x'), "more than the 67108864 allowed"}}),
    [](const auto& row) { return row.param.name; });

TEST(Csv, TakesAFieldOfExactlyTheLimit) {
  const std::string field(kMaxCsvFieldBytes, 'x');
  EXPECT_EQ(ParseCsv("a\n" + field, "t.csv").rows[0].fields[0], field);
}

constexpr char kHeader[] = "file,class_original,class_common,split,width,height,sha256\n";
const std::string kDigest(64, 'a');

TEST(Manifest, ReadsItsColumnsInAnyOrderAndIgnoresOthers) {
  const auto rows = ParseManifest("sha256,note,height,width,split,class_common,class_original,file\n" + kDigest +
                                      ",hello,363,360,test,basophil,BA,basophil/BA_1.jpg\n",
                                  "manifest.csv");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].file, "basophil/BA_1.jpg");
  EXPECT_EQ(rows[0].class_original, "BA");
  EXPECT_EQ(rows[0].class_common, "basophil");
  EXPECT_EQ(rows[0].split, Split::kTest);
  EXPECT_EQ(rows[0].width, 360u);
  EXPECT_EQ(rows[0].height, 363u);
  EXPECT_EQ(rows[0].digest.Hex(), kDigest);
  EXPECT_EQ(ParseManifest(FormatManifest(rows), "again").at(0).file, rows[0].file);
}

TEST(Manifest, RefusesRowsThatCannotBeMeant) {
  const auto parse = [](const std::string& row) { (void)ParseManifest(kHeader + row, "manifest.csv"); };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no column 'split'",
               (void)ParseManifest("file,class_original,class_common\n", "m"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "line 2: split is 'dev'", parse("f,a,b,dev,1,1," + kDigest));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "line 2: '-1' is not a number", parse("f,a,b,test,-1,1," + kDigest));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'99999999999' is not a number", parse("f,a,b,test,1,99999999999," + kDigest));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "line 2: sha256", parse("f,a,b,test,1,1," + std::string(64, 'A')));
}

TEST(Manifest, RefusesAFileThatATableListsTwice) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "line 3: 'a' is listed twice",
               (void)ParseFileTable("file,group\na,1\na,2\n", "group", "sources.csv"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "the group is longer",
               (void)ParseFileTable("file,group\na," + std::string(kMaxGroupBytes + 1, 'x') + "\n", "group", "s"));
}

}  // namespace
}  // namespace hemafed::learning
