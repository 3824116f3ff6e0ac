// SPDX-License-Identifier: Apache-2.0
#include "common/report/html_report.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/error.h"
#include "common/program.h"
#include "common/report/markup.h"
#include "common/report/svg.h"

namespace hemafed::report {

namespace {

// Charts keep their white ground on dark screens: their colours are chosen for it.
constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark; --ink: #1f2328; --faint: #59636e; --paper: #ffffff; --rule: #d1d9e0; --band: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --faint: #9aa4af; --paper: #14181d; --rule: #3d444d; --band: #1c2128; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 68rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 Helvetica, Arial, "Liberation Sans", sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; padding-bottom: .25rem; border-bottom: 1px solid var(--rule); }
p { max-width: 46rem; }
pre { padding: .75rem 1rem; background: var(--band); border: 1px solid var(--rule); border-radius: 4px;
  white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
nav ol { margin: .5rem 0; padding-left: 1.25rem; }
a { color: inherit; }
.table { overflow-x: auto; margin: 1rem 0 .25rem; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; font-weight: bold; padding-bottom: .4rem; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
th { border-bottom-width: 2px; vertical-align: bottom; overflow-wrap: normal; }
tbody tr:nth-child(even) { background: var(--band); }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
th.number { white-space: normal; }
td.published { font-style: italic; color: var(--faint); }
.notes { margin: .25rem 0 1.25rem; padding-left: 1.1rem; color: var(--faint); font-size: .85rem; }
figure { margin: 1.25rem 0; }
figcaption { color: var(--faint); font-size: .85rem; max-width: 46rem; margin-top: .4rem; }
figure > svg { display: block; max-width: 100%; height: auto; background: #ffffff; border: 1px solid var(--rule);
  border-radius: 4px; }
.gallery { display: flex; flex-wrap: wrap; gap: .6rem; }
.gallery figure { margin: 0; width: 6.5rem; }
.gallery img { display: block; width: 100%; height: auto; border: 1px solid var(--rule); }
.gallery figcaption { font-size: .7rem; line-height: 1.25; overflow-wrap: anywhere; }
footer { margin-top: 3rem; color: var(--faint); font-size: .8rem; }
@media print {
  :root { color-scheme: light; --ink: #000000; --faint: #444444; --paper: #ffffff; --rule: #bbbbbb; --band: #f4f4f4; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  figure, tr, pre { break-inside: avoid; }
  h2 { break-after: avoid; }
  .table { overflow: visible; }
}
)css";

class Page {
 public:
  explicit Page(std::size_t limit_bytes) : limit_(limit_bytes) {}

  // Refuses before the text grows past the limit.
  void Add(std::string_view html) {
    Reserve(html.size());
    html_ += html;
  }

  // Pictures are checked by their size before they are encoded.
  void AddPicture(const CaptionedPicture& picture) {
    Reserve(picture.file.size() / 3 * 4);
    Add("<figure><img alt=\"" + EscapeMarkup(picture.caption) + "\" src=\"");
    Add(DataUri(picture.file));
    Add("\"><figcaption>" + EscapeMarkup(picture.caption) + "</figcaption></figure>\n");
  }

  [[nodiscard]] std::string Take() { return std::move(html_); }

 private:
  void Reserve(std::size_t bytes) const {
    if (bytes <= limit_ - html_.size()) return;
    throw Error(ErrorCode::kNoSpace, "the HTML report would be larger than " + std::to_string(limit_) +
                                         " bytes; show fewer or smaller pictures");
  }

  std::size_t limit_;
  std::string html_;
};

// Empty lines separate paragraphs.
std::string Paragraphs(std::string_view text) {
  const std::string clean = EscapeMarkup(text);
  std::string out;
  for (std::size_t at = 0; at < clean.size();) {
    const std::size_t end = std::min(clean.find("\n\n", at), clean.size());
    if (end > at) out += "<p>" + clean.substr(at, end - at) + "</p>\n";
    at = end + 2;
  }
  return out;
}

struct PartWriter {
  Page& page;

  void operator()(const Paragraph& part) const { page.Add(Paragraphs(part.text)); }
  void operator()(const Preformatted& part) const {
    // HTML drops a line end right after the tag.
    page.Add("<pre>\n" + EscapeMarkup(part.text) + "</pre>\n");
  }
  void operator()(const Table& part) const { page.Add(HtmlTable(part)); }
  void operator()(const Figure& part) const {
    page.Add("<figure>\n" + RenderSvg(part.drawing, SvgUse::kInline));
    if (!part.caption.empty()) page.Add("<figcaption>" + EscapeMarkup(part.caption) + "</figcaption>\n");
    page.Add("</figure>\n");
  }
  void operator()(const PictureGallery& part) const {
    page.Add("<figure>\n<div class=\"gallery\">\n");
    for (const CaptionedPicture& picture : part.pictures) page.AddPicture(picture);
    page.Add("</div>\n");
    if (!part.caption.empty()) page.Add("<figcaption>" + EscapeMarkup(part.caption) + "</figcaption>\n");
    page.Add("</figure>\n");
  }
};

Table SettingsTable(const HtmlReport& report) {
  Table table{.title = "", .columns = {{"setting"}, {"value"}}, .rows = {}, .notes = {}};
  for (const auto& [name, value] : report.settings) table.rows.push_back({name, value});
  return table;
}

}  // namespace

std::string RenderHtml(const HtmlReport& report, std::size_t limit_bytes) {
  if (report.title.empty()) throw Error(ErrorCode::kInvalidInput, "an HTML report needs a title");
  const std::string title = EscapeMarkup(report.title);
  Page page(limit_bytes);
  page.Add(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
      title + "</title>\n<style>");
  page.Add(kStyle);
  page.Add("</style>\n</head>\n<body>\n<header>\n<h1>" + title + "</h1>\n" + Paragraphs(report.summary) +
           "</header>\n");
  if (report.sections.size() > 2) {
    page.Add("<nav aria-label=\"Contents\"><ol>\n");
    for (std::size_t i = 0; i < report.sections.size(); ++i) {
      page.Add("<li><a href=\"#section-" + std::to_string(i + 1) + "\">" + EscapeMarkup(report.sections[i].title) +
               "</a></li>\n");
    }
    page.Add("</ol></nav>\n");
  }
  page.Add("<main>\n");
  if (!report.settings.empty())
    page.Add("<section>\n<h2>What was run</h2>\n" + HtmlTable(SettingsTable(report)) + "</section>\n");
  for (std::size_t i = 0; i < report.sections.size(); ++i) {
    const ReportSection& section = report.sections[i];
    page.Add("<section id=\"section-" + std::to_string(i + 1) + "\">\n<h2>" + EscapeMarkup(section.title) + "</h2>\n");
    for (const ReportPart& part : section.parts) std::visit(PartWriter{page}, part);
    page.Add("</section>\n");
  }
  page.Add("</main>\n<footer>Written by " + EscapeMarkup(kVersion) + ".</footer>\n</body>\n</html>\n");
  return page.Take();
}

void WriteHtml(FileSystem& files, const Path& path, const HtmlReport& report) {
  WriteFileAtomically(files, path, RenderHtml(report));
}

}  // namespace hemafed::report
