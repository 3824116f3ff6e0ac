// SPDX-License-Identifier: Apache-2.0
#include "common/report/confusion_chart.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

#include "common/report/chart_frame.h"
#include "common/report/markup.h"
#include "common/report/number_text.h"
#include "common/report/text_metrics.h"

namespace hemafed::report {

namespace {

constexpr double kCell = 46;  // Side in pixels: room for "100.0%" and five digits.
constexpr double kPad = 14;
constexpr double kCountSize = 12;
constexpr double kShareSize = 9;
constexpr double kLabelTurn = 40;  // Degrees.
constexpr double kScaleWidth = 14;
constexpr double kTotalsWidth = 58;
constexpr std::uint64_t kMaxRowSum = (std::uint64_t{1} << 53) - 1;
constexpr Colour kEmptyRow{0xEE, 0xEE, 0xEE};
// Shades from nothing to all of a row: white over a clear blue to a dark one; lightness falls steadily.
constexpr Colour kMiddleShade{0x6B, 0xAE, 0xD6};
constexpr Colour kDarkShade{0x08, 0x30, 0x6B};

std::uint8_t Mix(std::uint8_t from, std::uint8_t to, double part) {
  return static_cast<std::uint8_t>(std::lround(from + (to - from) * part));
}

Colour Mix(Colour from, Colour to, double part) {
  return {Mix(from.red, to.red, part), Mix(from.green, to.green, part), Mix(from.blue, to.blue, part)};
}

Colour Shade(double share) {
  return share < 0.5 ? Mix(kPaper, kMiddleShade, share * 2) : Mix(kMiddleShade, kDarkShade, share * 2 - 1);
}

std::vector<std::uint64_t> RowSums(const ConfusionChart& chart) {
  const std::size_t n = chart.classes.size();
  if (n == 0) FailChart(chart.title, "there is no class");
  if (n > kMaxConfusionClasses)
    FailChart(chart.title, "more than " + std::to_string(kMaxConfusionClasses) + " classes do not fit");
  if (chart.counts.size() != n * n) {
    FailChart(chart.title, std::to_string(chart.counts.size()) + " counts for " + std::to_string(n) + " classes; " +
                               std::to_string(n * n) + " are needed");
  }
  std::vector<std::uint64_t> sums;
  for (std::size_t row = 0; row < n; ++row) {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : std::span(chart.counts).subspan(row * n, n)) {
      if (count > kMaxRowSum - sum)
        FailChart(chart.title, "row " + std::to_string(row + 1) + " sums to more than 2^53");
      sum += count;
    }
    sums.push_back(sum);
  }
  return sums;
}

// Thousands as "12k" where five digits would not fit the cell.
std::string CountText(std::uint64_t count) {
  if (count < 100'000) return std::to_string(count);
  if (count < 100'000'000) return FormatFixed(static_cast<double>(count) / 1e3, 0) + "k";
  return FormatFixed(static_cast<double>(count) / 1e6, 0) + "M";
}

class Map {
 public:
  explicit Map(const ConfusionChart& chart)
      : chart_(chart), sums_(RowSums(chart)), n_(static_cast<double>(chart.classes.size())), drawing_(Layout()) {
    drawing_.Add(Rectangle{
        .corner = {0, 0}, .width = drawing_.width(), .height = drawing_.height(), .fill = kPaper, .outline = {}});
    const double fit = (drawing_.width() - 2 * kPad) / std::max(1.0, TextWidth(title_, kTitleSize, true));
    drawing_.Add(Text{.at = {kPad, kPad + kTitleSize},
                      .text = title_,
                      .size = kTitleSize * std::min(1.0, fit),
                      .bold = true,
                      .colour = kInk});
    for (std::size_t row = 0; row < names_.size(); ++row) {
      for (std::size_t column = 0; column < names_.size(); ++column) AddCell(row, column);
      AddNames(row);
    }
    AddBorders();
    AddAxisTitles();
    AddScale();
  }

  [[nodiscard]] Drawing Take() { return std::move(drawing_); }

 private:
  Drawing Layout() {
    title_ = Shorten(chart_.title, 120);
    for (const std::string& name : chart_.classes) {
      names_.push_back(Shorten(name, kMaxLabelPoints));
      widest_ = std::max(widest_, TextWidth(names_.back(), kLabelSize));
    }
    // Room for the turned name of the first column, which reaches to the left, is there: names are as long on both
    // axes.
    corner_ = {kPad + 22 + widest_ + 8, kPad + kTitleSize + 18};
    const double angle = kLabelTurn * std::numbers::pi / 180;
    const double below = 10 + widest_ * std::sin(angle) + kLabelSize + 26;
    return {corner_.x + n_ * kCell + kTotalsWidth + kScaleWidth + 52 + kPad, corner_.y + n_ * kCell + below + kPad,
            chart_.title};
  }

  [[nodiscard]] Point CellCorner(std::size_t row, std::size_t column) const {
    return {corner_.x + kCell * static_cast<double>(column), corner_.y + kCell * static_cast<double>(row)};
  }

  void AddCell(std::size_t row, std::size_t column) {
    const std::uint64_t count = chart_.counts[row * names_.size() + column];
    const bool empty = sums_[row] == 0;
    const double share = empty ? 0 : static_cast<double>(count) / static_cast<double>(sums_[row]);
    const Point at = CellCorner(row, column);
    drawing_.Add(Rectangle{.corner = at,
                           .width = kCell,
                           .height = kCell,
                           .fill = empty ? kEmptyRow : Shade(share),
                           .outline = Stroke{.colour = kGrid, .width = 1, .dash = {}}});
    const Colour ink = share > 0.55 ? kPaper : count == 0 ? Colour{0xA0, 0xA0, 0xA0} : kInk;
    const double middle = at.x + kCell / 2;
    const double count_y = at.y + kCell * 0.5 + (count == 0 ? kCountSize * kCapHeight / 2 : -1);
    drawing_.Add(Text{.at = {middle, count_y},
                      .text = CountText(count),
                      .size = kCountSize,
                      .anchor = Anchor::kMiddle,
                      .bold = row == column && count > 0,
                      .colour = ink});
    if (count == 0) return;
    drawing_.Add(Text{.at = {middle, at.y + kCell * 0.5 + 13},
                      .text = FormatFixed(share * 100, 1) + "%",
                      .size = kShareSize,
                      .anchor = Anchor::kMiddle,
                      .colour = ink});
  }

  void AddNames(std::size_t row) {
    const double y = CellCorner(row, 0).y + kCell / 2 + kLabelSize * kCapHeight / 2;
    drawing_.Add(Text{
        .at = {corner_.x - 8, y}, .text = names_[row], .size = kLabelSize, .anchor = Anchor::kEnd, .colour = kInk});
    drawing_.Add(Text{.at = {corner_.x + n_ * kCell + kTotalsWidth - 8, y},
                      .text = std::to_string(sums_[row]),
                      .size = kLabelSize,
                      .anchor = Anchor::kEnd,
                      .colour = kFaintInk});
    drawing_.Add(Text{.at = {CellCorner(0, row).x + kCell / 2 + 5, corner_.y + n_ * kCell + 16},
                      .text = names_[row],
                      .size = kLabelSize,
                      .anchor = Anchor::kEnd,
                      .degrees = kLabelTurn,
                      .colour = kInk});
  }

  void AddBorders() {
    drawing_.Add(Rectangle{.corner = corner_,
                           .width = n_ * kCell,
                           .height = n_ * kCell,
                           .fill = kNoFill,
                           .outline = Stroke{.colour = kFaintInk, .width = 1.2, .dash = {}}});
    drawing_.Add(Text{.at = {corner_.x + n_ * kCell + kTotalsWidth - 8, corner_.y - 5},
                      .text = "pictures",
                      .size = kShareSize + 1,
                      .anchor = Anchor::kEnd,
                      .colour = kFaintInk});
  }

  void AddAxisTitles() {
    drawing_.Add(Text{.at = {kPad + kLabelSize, corner_.y + n_ * kCell / 2},
                      .text = "true class",
                      .size = kLabelSize + 1,
                      .anchor = Anchor::kMiddle,
                      .degrees = 90,
                      .colour = kInk});
    drawing_.Add(Text{.at = {corner_.x + n_ * kCell / 2, drawing_.height() - kPad},
                      .text = "predicted class",
                      .size = kLabelSize + 1,
                      .anchor = Anchor::kMiddle,
                      .colour = kInk});
  }

  // What the shades mean.
  void AddScale() {
    constexpr int kSteps = 50;
    const double left = corner_.x + n_ * kCell + kTotalsWidth + 14;
    const double height = n_ * kCell;
    for (int i = 0; i < kSteps; ++i) {
      // Each piece reaches a little under the next one, which hides the seam.
      drawing_.Add(Rectangle{.corner = {left, corner_.y + height * i / kSteps},
                             .width = kScaleWidth,
                             .height = std::min(height / kSteps + 0.6, height - height * i / kSteps),
                             .fill = Shade(1 - (i + 0.5) / kSteps),
                             .outline = {}});
    }
    drawing_.Add(Rectangle{.corner = {left, corner_.y},
                           .width = kScaleWidth,
                           .height = height,
                           .fill = kNoFill,
                           .outline = Stroke{.colour = kFaintInk, .width = 1, .dash = {}}});
    for (const double part : {0.0, 0.5, 1.0}) {
      drawing_.Add(Text{.at = {left + kScaleWidth + 5, corner_.y + height * (1 - part) + kShareSize * kCapHeight / 2},
                        .text = FormatFixed(part * 100, 0) + "%",
                        .size = kShareSize + 1,
                        .colour = kInk});
    }
  }

  const ConfusionChart& chart_;
  std::vector<std::uint64_t> sums_;
  double n_;
  std::string title_;
  std::vector<std::string> names_;
  double widest_ = 0;
  Point corner_;
  Drawing drawing_;
};

}  // namespace

Drawing DrawConfusionChart(const ConfusionChart& chart) { return Map(chart).Take(); }

}  // namespace hemafed::report
