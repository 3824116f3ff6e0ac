// SPDX-License-Identifier: Apache-2.0
#include "common/report/chart_frame.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "common/error.h"
#include "common/report/markup.h"
#include "common/report/text_metrics.h"

namespace hemafed::report {

namespace {

constexpr double kPad = 12;        // Around everything.
constexpr double kGap = 8;         // Between an axis and its labels.
constexpr double kLine = 18;       // Height of a line of labels.
constexpr double kKeyWidth = 34;   // Of a legend key.
constexpr double kLabelTurn = 35;  // Degrees of labels that do not fit side by side.
constexpr double kLegendPad = 22;  // Between plot area and legend.
constexpr std::size_t kMaxTitlePoints = 120;

double WidestOf(const std::vector<std::string>& texts) {
  double widest = 0;
  for (const std::string& text : texts) widest = std::max(widest, TextWidth(text, kLabelSize));
  return widest;
}

// How the labels under the x axis are set.
struct LabelPlan {
  bool turned = false;
  std::size_t every = 1;     // Only each such label is shown.
  double height = kLine;     // Below the axis, without the title.
  double overhang_left = 0;  // Of the first turned label, to the left of the plot area.
};

LabelPlan PlanLabels(const std::vector<XLabel>& labels, double plot_width) {
  LabelPlan plan;
  if (labels.empty()) return plan;
  double spacing = plot_width;
  for (std::size_t i = 1; i < labels.size(); ++i)
    spacing = std::min(spacing, (labels[i].part - labels[i - 1].part) * plot_width);
  double widest = 0;
  for (const XLabel& label : labels) widest = std::max(widest, TextWidth(label.text, kLabelSize));
  plan.turned = widest + 6 > spacing && labels.size() > 1;
  if (!plan.turned) return plan;
  const double needed = kLabelSize * 1.3 / std::sin(kLabelTurn * std::numbers::pi / 180);
  plan.every = std::max<std::size_t>(1, static_cast<std::size_t>(std::ceil(needed / std::max(spacing, 1e-3))));
  const double angle = kLabelTurn * std::numbers::pi / 180;
  plan.height = widest * std::sin(angle) + kLine;
  for (std::size_t i = 0; i < labels.size(); i += plan.every) {
    const double reach = TextWidth(labels[i].text, kLabelSize) * std::cos(angle) - labels[i].part * plot_width;
    plan.overhang_left = std::max(plan.overhang_left, reach);
  }
  return plan;
}

void AddAxes(Frame& frame, const FrameSpec& spec) {
  const double right = frame.corner.x + frame.width;
  const double bottom = frame.corner.y + frame.height;
  for (const Tick& tick : spec.y.ticks) {
    const double y = frame.Y(tick.value);
    frame.drawing.Add(
        Polyline{.points = {{frame.corner.x, y}, {right, y}}, .stroke = {.colour = kGrid, .width = 1, .dash = {}}});
    frame.drawing.Add(Text{.at = {frame.corner.x - kGap, y + kLabelSize * kCapHeight / 2},
                           .text = tick.label,
                           .size = kLabelSize,
                           .anchor = Anchor::kEnd,
                           .colour = kInk});
  }
  if (spec.grid_at_x_labels) {
    for (const XLabel& label : spec.x_labels) {
      const double x = frame.X(label.part);
      frame.drawing.Add(
          Polyline{.points = {{x, frame.corner.y}, {x, bottom}}, .stroke = {.colour = kGrid, .width = 1, .dash = {}}});
    }
  }
  frame.drawing.Add(Polyline{.points = {{frame.corner.x, frame.corner.y}, {frame.corner.x, bottom}, {right, bottom}},
                             .stroke = {.colour = kFaintInk, .width = 1.2, .dash = {}}});
}

void AddXLabels(Frame& frame, const std::vector<XLabel>& labels, const LabelPlan& plan) {
  const double bottom = frame.corner.y + frame.height;
  for (std::size_t i = 0; i < labels.size(); i += plan.every) {
    const double x = frame.X(labels[i].part);
    frame.drawing.Add(
        Polyline{.points = {{x, bottom}, {x, bottom + 4}}, .stroke = {.colour = kFaintInk, .width = 1.2, .dash = {}}});
    frame.drawing.Add(Text{.at = {plan.turned ? x + 4 : x, bottom + kGap + kLabelSize * (plan.turned ? 0.7 : 0.8)},
                           .text = labels[i].text,
                           .size = kLabelSize,
                           .anchor = plan.turned ? Anchor::kEnd : Anchor::kMiddle,
                           .degrees = plan.turned ? kLabelTurn : 0,
                           .colour = kInk});
  }
}

void AddLegend(Frame& frame, const FrameSpec& spec, const std::vector<std::string>& names) {
  const double left = frame.corner.x + frame.width + kLegendPad;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const SeriesStyle style = StyleOf(i);
    const double y = frame.corner.y + kLine * (static_cast<double>(i) + 0.5);
    if (spec.key == LegendKey::kLine) {
      frame.drawing.Add(Polyline{.points = {{left, y}, {left + kKeyWidth, y}},
                                 .stroke = {.colour = style.colour, .width = 2, .dash = style.dash}});
      AddMarker(frame.drawing, {left + kKeyWidth / 2, y}, 4, style);
    } else {
      AddHatchedBox(frame.drawing, {left + kKeyWidth - 24, y - 6}, 24, 12, style);
    }
    frame.drawing.Add(Text{.at = {left + kKeyWidth + kGap, y + kLabelSize * kCapHeight / 2},
                           .text = names[i],
                           .size = kLabelSize,
                           .colour = kInk});
  }
}

}  // namespace

Frame MakeFrame(const FrameSpec& spec) {
  std::vector<std::string> tick_labels;
  for (const Tick& tick : spec.y.ticks) tick_labels.push_back(tick.label);
  std::vector<std::string> names;
  for (const std::string& name : spec.legend) names.push_back(Shorten(name, kMaxLabelPoints));
  std::vector<XLabel> labels;
  for (const XLabel& label : spec.x_labels) labels.push_back({label.part, Shorten(label.text, kMaxLabelPoints)});
  const LabelPlan plan = PlanLabels(labels, spec.plot_width);

  const double title_height = spec.title.empty() ? kPad : kPad + kTitleSize + 20;
  const double y_title_width = spec.y_title.empty() ? 0 : kLine;
  const double left = std::max(kPad + y_title_width + WidestOf(tick_labels) + kGap + 4, kPad + plan.overhang_left);
  const double legend_width = !names.empty()        ? kLegendPad + kKeyWidth + kGap + WidestOf(names)
                              : spec.side_width > 0 ? kLegendPad + spec.side_width
                                                    : 0;
  const double width = left + spec.plot_width + std::max(legend_width + kPad, kPad + 18);
  const double x_title_height = spec.x_title.empty() ? 0 : kLine + 4;
  const double below_plot = kGap + plan.height + x_title_height + kPad;
  const double legend_height = std::max(static_cast<double>(names.size()) * kLine, spec.side_height) + kPad;
  const double height = title_height + std::max(spec.plot_height + below_plot, legend_height);

  Frame frame{.drawing = Drawing(width, height, spec.title),
              .corner = {left, title_height},
              .width = spec.plot_width,
              .height = spec.plot_height,
              .y = spec.y};
  frame.drawing.Add(Rectangle{.corner = {0, 0}, .width = width, .height = height, .fill = kPaper, .outline = {}});
  const std::string title = Shorten(spec.title, kMaxTitlePoints);
  if (!title.empty()) {
    // A long title gets smaller letters rather than running out of the picture.
    const double fit = (width - 2 * kPad) / std::max(1.0, TextWidth(title, kTitleSize, true));
    frame.drawing.Add(Text{.at = {kPad, kPad + kTitleSize},
                           .text = title,
                           .size = kTitleSize * std::min(1.0, fit),
                           .bold = true,
                           .colour = kInk});
  }
  AddAxes(frame, spec);
  AddXLabels(frame, labels, plan);
  const double middle_x = frame.X(0.5);
  if (!spec.x_title.empty()) {
    frame.drawing.Add(Text{.at = {middle_x, frame.corner.y + frame.height + kGap + plan.height + kLine * 0.8},
                           .text = Shorten(spec.x_title, kMaxTitlePoints),
                           .size = kLabelSize + 1,
                           .anchor = Anchor::kMiddle,
                           .colour = kInk});
  }
  if (!spec.y_title.empty()) {
    frame.drawing.Add(Text{.at = {kPad + kLabelSize, frame.corner.y + frame.height / 2},
                           .text = Shorten(spec.y_title, kMaxTitlePoints),
                           .size = kLabelSize + 1,
                           .anchor = Anchor::kMiddle,
                           .degrees = 90,
                           .colour = kInk});
  }
  AddLegend(frame, spec, names);
  return frame;
}

void FailChart(std::string_view title, const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, "chart '" + Shorten(title, 80) + "': " + problem);
}

}  // namespace hemafed::report
