// SPDX-License-Identifier: Apache-2.0
#include "studies/report/gallery_chart.h"

#include <algorithm>
#include <cmath>

#include "common/report/chart_frame.h"
#include "common/report/markup.h"
#include "common/report/text_metrics.h"
#include "studies/report/report_names.h"

namespace hemafed::studies {

namespace {

constexpr double kPad = 14;
constexpr double kGap = 10;
constexpr double kMinWidth = 420;  // Room for a title over few pictures.
constexpr double kCaptionSize = 9;
constexpr double kCaptionLine = 11.5;
constexpr std::size_t kMaxCaptionPoints = 18;

void Check(const GalleryChart& gallery) {
  if (gallery.rows.empty()) FailChart(gallery.title, "the gallery has no rows");
  if (gallery.rows.size() > kMaxGalleryRows)
    FailChart(gallery.title, "more than " + std::to_string(kMaxGalleryRows) + " rows; draw several galleries");
  if (!(gallery.tile >= 32 && gallery.tile <= 128)) FailChart(gallery.title, "tiles must have 32 to 128 pixels");
  for (const GalleryRow& row : gallery.rows) {
    const std::string where = "row '" + Shorten(row.name, kMaxLabelPoints) + "'";
    if (row.pictures.size() > kMaxGalleryColumns)
      FailChart(gallery.title, where + " has more than " + std::to_string(kMaxGalleryColumns) + " pictures");
    for (std::size_t i = 0; i < row.pictures.size(); ++i) {
      if (!PictureType(row.pictures[i].file))
        FailChart(gallery.title, where + ", picture " + std::to_string(i + 1) + " is neither PNG nor JPEG");
    }
  }
}

// Sizes that depend on all rows.
struct Plan {
  double names = 0;    // Width of the names at the left.
  double column = 0;   // Width of a column: tile or caption, whichever is wider.
  double row = 0;      // Height of a row with its captions.
  double columns = 1;  // Of the longest row.
};

Plan PlanFor(const GalleryChart& gallery) {
  Plan plan;
  plan.column = gallery.tile;
  int lines = 0;
  for (const GalleryRow& row : gallery.rows) {
    plan.names = std::max({plan.names, TextWidth(Shorten(row.name, kMaxLabelPoints), kLabelSize, true),
                           TextWidth(Shorten(row.detail, kMaxLabelPoints), kCaptionSize + 1)});
    plan.columns = std::max(plan.columns, static_cast<double>(row.pictures.size()));
    for (const GalleryPicture& picture : row.pictures) {
      for (const std::string* text : {&picture.caption, &picture.detail})
        plan.column = std::max(plan.column, TextWidth(Shorten(*text, kMaxCaptionPoints), kCaptionSize));
      lines = std::max(lines, !picture.detail.empty() ? 2 : !picture.caption.empty() ? 1 : 0);
    }
  }
  plan.row = gallery.tile + lines * kCaptionLine + kGap + 4;
  return plan;
}

}  // namespace

Drawing DrawGallery(const GalleryChart& gallery) {
  Check(gallery);
  const Plan plan = PlanFor(gallery);
  const std::string title = Shorten(gallery.title, 120);
  const double left = kPad + plan.names + (plan.names > 0 ? 2 * kGap : 0);
  const double top = kPad + kTitleSize + 16;
  const double width = std::max(left + plan.columns * (plan.column + kGap) + kPad - kGap, kMinWidth);
  const double fit = (width - 2 * kPad) / std::max(1.0, TextWidth(title, kTitleSize, true));
  Drawing drawing(width, top + static_cast<double>(gallery.rows.size()) * plan.row + kPad - kGap, gallery.title);
  drawing.Add(
      Rectangle{.corner = {0, 0}, .width = drawing.width(), .height = drawing.height(), .fill = kPaper, .outline = {}});
  drawing.Add(Text{.at = {kPad, kPad + kTitleSize},
                   .text = title,
                   .size = kTitleSize * std::min(1.0, fit),
                   .bold = true,
                   .colour = kInk});
  for (std::size_t r = 0; r < gallery.rows.size(); ++r) {
    const GalleryRow& row = gallery.rows[r];
    const double y = top + plan.row * static_cast<double>(r);
    drawing.Add(Text{.at = {kPad, y + gallery.tile / 2},
                     .text = Shorten(row.name, kMaxLabelPoints),
                     .size = kLabelSize,
                     .bold = true,
                     .colour = kInk});
    drawing.Add(Text{.at = {kPad, y + gallery.tile / 2 + 15},
                     .text = Shorten(row.detail, kMaxLabelPoints),
                     .size = kCaptionSize + 1,
                     .colour = kFaintInk});
    for (std::size_t i = 0; i < row.pictures.size(); ++i) {
      const GalleryPicture& picture = row.pictures[i];
      const double x = left + (plan.column + kGap) * static_cast<double>(i);
      const double middle = x + plan.column / 2;
      drawing.Add(Image{.corner = {middle - gallery.tile / 2, y},
                        .width = gallery.tile,
                        .height = gallery.tile,
                        .file = picture.file});
      drawing.Add(Rectangle{.corner = {middle - gallery.tile / 2, y},
                            .width = gallery.tile,
                            .height = gallery.tile,
                            .fill = kNoFill,
                            .outline = Stroke{.colour = kGrid, .width = 1, .dash = {}}});
      double base = y + gallery.tile + kCaptionLine;
      for (const std::string* text : {&picture.caption, &picture.detail}) {
        drawing.Add(Text{.at = {middle, base},
                         .text = Shorten(*text, kMaxCaptionPoints),
                         .size = kCaptionSize,
                         .anchor = Anchor::kMiddle,
                         .colour = text == &picture.caption ? kInk : kFaintInk});
        base += kCaptionLine;
      }
    }
  }
  return drawing;
}

}  // namespace hemafed::studies
