// common/report/html_report.h
// SPDX-License-Identifier: Apache-2.0
//
// The report of a study as one HTML5 file that a hospital can mail, archive and print: no scripts, nothing loaded from
// anywhere (a Content-Security-Policy in the page forbids it, pictures are data URIs, charts inline SVG), light and
// dark screens, page breaks that keep figures whole. Everything that comes from outside is escaped (markup.h).
//
// Errors: kInvalidInput for a title that is empty, a picture that is neither PNG nor JPEG, and all of the errors of
// table.h; kNoSpace when the file would be larger than kMaxHtmlBytes, before that much is held.
// Thread-safety: value types and free functions without state.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "common/file_system.h"
#include "common/report/drawing.h"
#include "common/report/table.h"

namespace hemafed::report {

// Browsers open such a file at once and mail servers of hospitals refuse far less; larger means that pictures were not
// scaled down.
inline constexpr std::size_t kMaxHtmlBytes = 64u << 20;

struct Paragraph {
  std::string text;  // Empty lines separate paragraphs; single line ends are blanks.
};

struct Preformatted {
  std::string text;  // Command lines, logs.
};

struct Figure {
  Drawing drawing;
  std::string caption;
};

struct CaptionedPicture {
  Bytes file;  // PNG or JPEG.
  std::string caption;
};

// Small pictures side by side.
struct PictureGallery {
  std::string caption;
  std::vector<CaptionedPicture> pictures;
};

using ReportPart = std::variant<Paragraph, Preformatted, Table, Figure, PictureGallery>;

struct ReportSection {
  std::string title;
  std::vector<ReportPart> parts;
};

struct HtmlReport {
  std::string title;
  std::string summary;  // Stands under the title; may be empty.
  // What was run: name and value of each setting, shown as a table before the sections.
  std::vector<std::pair<std::string, std::string>> settings;
  std::vector<ReportSection> sections;
};

[[nodiscard]] std::string RenderHtml(const HtmlReport& report, std::size_t limit_bytes = kMaxHtmlBytes);

// Renders, then writes atomically.
void WriteHtml(FileSystem& files, const Path& path, const HtmlReport& report);

}  // namespace hemafed::report
