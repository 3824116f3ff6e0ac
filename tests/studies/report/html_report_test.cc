// SPDX-License-Identifier: Apache-2.0
#include "common/report/html_report.h"

#include <gtest/gtest.h>

#include <opencv2/core.hpp>

#include "common/report/line_chart.h"
#include "learning/data/picture_sheet.h"
#include "studies/report/report_names.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"

namespace hemafed::studies {
namespace {

Bytes SmallPng() { return learning::EncodePng(cv::Mat(4, 4, CV_8UC3, cv::Scalar(1, 2, 3))); }

HtmlReport Everything(const std::string& text) {
  LineChart chart{.title = text, .x_labels = {text}, .series = {{text, {0.5}, {}}}};
  const Table table{.title = text, .columns = {{text}}, .rows = {{text}}, .notes = {text}};
  return {.title = text,
          .summary = text,
          .settings = {{text, text}},
          .sections = {{text, {Paragraph{text}, Preformatted{text}}},
                       {text, {table, Figure{DrawLineChart(chart), text}}},
                       {text, {PictureGallery{text, {{SmallPng(), text}}}}}}};
}

TEST(HtmlReport, ContainsEveryPartInOrder) {
  const std::string html = RenderHtml(Everything("Text of part"));
  std::size_t at = 0;
  for (const char* part :
       {"<!DOCTYPE html>", "<title>Text of part</title>", "<h1>Text of part</h1>", "<p>Text of part</p>", "<nav",
        "What was run", "<td>Text of part</td>", "id=\"section-1\"", "<pre>\nText of part</pre>", "id=\"section-2\"",
        "<caption>Text of part</caption>", "<svg viewBox=", "<figcaption>", "id=\"section-3\"",
        "<img alt=\"Text of part\" src=\"data:image/png;base64,", "</html>"}) {
    const std::size_t found = html.find(part, at);
    ASSERT_NE(found, std::string::npos) << part;
    at = found;
  }
}

TEST(HtmlReport, RefersToNothingOutsideItself) {
  const std::string html = RenderHtml(Everything("plain"));
  for (const char* word : {"http:", "https:", "://", "<script", "<link", "@import", "url(", "<iframe", "<object"}) {
    EXPECT_EQ(html.find(word), std::string::npos) << word;
  }
  for (std::size_t at = html.find(" src="); at != std::string::npos; at = html.find(" src=", at + 1))
    EXPECT_EQ(html.substr(at, 11), " src=\"data:");
  for (std::size_t at = html.find(" href="); at != std::string::npos; at = html.find(" href=", at + 1))
    EXPECT_EQ(html.substr(at, 8), " href=\"#");
  EXPECT_NE(html.find("default-src 'none'"), std::string::npos);
}

TEST(HtmlReport, EscapesTextEverywhere) {
  const std::string html = RenderHtml(Everything("</style><script src='http://x'>\"&\x01"));
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("</style><"), std::string::npos);
  EXPECT_EQ(html.find("'http"), std::string::npos);
  EXPECT_EQ(html.find('\x01'), std::string::npos);
  std::size_t styles = 0;
  for (std::size_t at = html.find("</style>"); at != std::string::npos; at = html.find("</style>", at + 1)) ++styles;
  EXPECT_EQ(styles, 1u);
}

TEST(HtmlReport, SeparatesParagraphsAtEmptyLines) {
  HtmlReport report{.title = "t", .summary = "one\nstill one\n\n\n\ntwo\n\n", .settings = {}, .sections = {}};
  const std::string html = RenderHtml(report);
  EXPECT_NE(html.find("<p>one\nstill one</p>\n<p>two</p>\n</header>"), std::string::npos)
      << html.substr(html.find("<h1>"));
  report.summary = "";
  EXPECT_NE(RenderHtml(report).find("</h1>\n</header>"), std::string::npos);
}

TEST(HtmlReport, IsRefusedWhenLargerThanItsLimitAndNeverHeldBeyondIt) {
  const HtmlReport report = Everything("plain");
  const std::size_t size = RenderHtml(report).size();
  EXPECT_EQ(RenderHtml(report, size).size(), size);
  for (std::size_t limit = 0; limit < size; limit += 97)
    EXPECT_ERROR(ErrorCode::kNoSpace, "larger than " + std::to_string(limit) + " bytes",
                 (void)RenderHtml(report, limit));
  // 64 MiB of base64 are 48 MiB of picture.
  Bytes huge = SmallPng();
  huge.resize(48u << 20);
  const HtmlReport too_large{
      .title = "t", .summary = "", .settings = {}, .sections = {{"s", {PictureGallery{"", {{huge, ""}}}}}}};
  EXPECT_ERROR(ErrorCode::kNoSpace, "67108864 bytes; show fewer or smaller pictures", (void)RenderHtml(too_large));
}

TEST(HtmlReport, RefusesAPictureThatIsNoneAndAnEmptyTitle) {
  const HtmlReport no_picture{
      .title = "t", .summary = "", .settings = {}, .sections = {{"s", {PictureGallery{"", {{ToBytes("<svg>"), ""}}}}}}};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "neither", (void)RenderHtml(no_picture));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "title", (void)RenderHtml(HtmlReport{}));
}

TEST(HtmlReport, OldFileStaysWhenWritingFailsAtAnyCall) {
  const Path path = "/results/report.html";
  for (std::uint64_t n = 1;; ++n) {
    testing_support::FaultFileSystem files;
    files.CreateFolders("/results");
    files.SyncDirectory("/");
    WriteFileAtomically(files, path, "old");
    files.FailCall(n, ErrorCode::kNoSpace);
    try {
      WriteHtml(files, path, Everything("new"));
    } catch (const Error&) {
    }
    const bool failed = files.failed();
    files.Crash();  // Also clears a failure that never came.
    const std::string content = ReadFile(files, path, kMaxHtmlBytes);
    EXPECT_TRUE(content == "old" || content == RenderHtml(Everything("new"))) << n;
    if (!failed) break;
  }
}

}  // namespace
}  // namespace hemafed::studies
