// SPDX-License-Identifier: Apache-2.0
#include "common/report/line_chart.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "common/report/chart_frame.h"
#include "common/report/svg.h"
#include "studies/report/report_names.h"
#include "tests/expect_error.h"
#include "tests/studies/report/xml_elements.h"

namespace hemafed::studies {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

LineChart TwoMethods() {
  return {.title = "Accuracy",
          .x_title = "task",
          .y_title = "A_t",
          .x_labels = {"raabin", "acevedo20", "bccd"},
          .series = {{"UACL", {0.95, 0.9, 0.85}, {0.01, 0.02, 0.03}}, {"fine-tuning", {0.95, 0.5, 0.25}, {}}},
          .y_low = 0,
          .y_high = 1};
}

// The plot area as the reader sees it: the axes are the only line with a corner.
struct PlotArea {
  double left = 0;
  double right = 0;
  double top = 0;
  double bottom = 0;
};

PlotArea AreaOf(const std::vector<XmlElement>& svg) {
  for (const XmlElement& line : Named(svg, "polyline")) {
    const auto points = PointsOf(line);
    if (points.size() == 3 && points[0].first == points[1].first && points[1].second == points[2].second)
      return {points[0].first, points[2].first, points[0].second, points[1].second};
  }
  throw std::runtime_error("no axes");
}

std::string HexOf(std::size_t series) {
  const Colour colour = StyleOf(series).colour;
  const std::array<std::uint8_t, 3> parts = {colour.red, colour.green, colour.blue};
  return "#" + HexEncode(parts);
}

// The lines of a series in the plot area, without its key in the legend.
std::vector<std::vector<std::pair<double, double>>> LinesOf(const std::vector<XmlElement>& svg, std::size_t series) {
  const double right = AreaOf(svg).right;
  std::vector<std::vector<std::pair<double, double>>> out;
  for (const XmlElement& line : Named(svg, "polyline")) {
    if (line.Get("stroke") == HexOf(series) && PointsOf(line).front().first <= right) out.push_back(PointsOf(line));
  }
  return out;
}

TEST(LineChart, PutsEveryValueWhereTheAxesSay) {
  const LineChart chart = TwoMethods();
  const auto svg = ReadXml(RenderSvg(DrawLineChart(chart)));
  const PlotArea area = AreaOf(svg);
  for (std::size_t s = 0; s < 2; ++s) {
    const auto lines = LinesOf(svg, s);
    ASSERT_EQ(lines.size(), 1u);
    ASSERT_EQ(lines[0].size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
      const double x = area.left + (area.right - area.left) * (static_cast<double>(i) + 0.5) / 3;
      const double y = area.bottom - (area.bottom - area.top) * *chart.series[s].values[i];  // The axis is 0 to 1.
      EXPECT_NEAR(lines[0][i].first, x, 0.01);
      EXPECT_NEAR(lines[0][i].second, y, 0.01);
    }
  }
}

TEST(LineChart, DrawsTheBandFromValueMinusToValuePlusSpread) {
  const LineChart chart = TwoMethods();
  const auto svg = ReadXml(RenderSvg(DrawLineChart(chart)));
  const PlotArea area = AreaOf(svg);
  std::vector<XmlElement> bands;
  for (const XmlElement& polygon : Named(svg, "polygon")) {
    if (polygon.attributes.contains("fill-opacity")) bands.push_back(polygon);
  }
  ASSERT_EQ(bands.size(), 1u) << "only the series with a spread has one";
  const auto border = PointsOf(bands[0]);
  ASSERT_EQ(border.size(), 6u);
  const double unit = area.bottom - area.top;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(area.bottom - border[i].second, unit * (*chart.series[0].values[i] + chart.series[0].spread[i]), 0.01);
    EXPECT_NEAR(area.bottom - border[5 - i].second, unit * (*chart.series[0].values[i] - chart.series[0].spread[i]),
                0.01);
  }
}

TEST(LineChart, PlacesNumericPositionsInProportion) {
  const LineChart chart{.title = "Accuracy by budget",
                        .x_values = {125, 250, 1000, 2000},
                        .series = {{"UACL", {0.6, 0.7, 0.8, 0.8}, {}}}};
  const auto svg = ReadXml(RenderSvg(DrawLineChart(chart)));
  const PlotArea area = AreaOf(svg);
  const auto lines = LinesOf(svg, 0);
  ASSERT_EQ(lines.size(), 1u);
  for (std::size_t i = 0; i < 4; ++i)  // The axis is 0 to 2000.
    EXPECT_NEAR(lines[0][i].first, area.left + (area.right - area.left) * chart.x_values[i] / 2000, 0.01);
}

TEST(LineChart, BreaksTheLineWhereNothingWasMeasured) {
  LineChart chart = TwoMethods();
  chart.x_labels = {"1", "2", "3", "4", "5"};
  chart.series = {{"gaps", {0.9, 0.8, std::nullopt, 0.7}, {0.1, 0.1, 0.1, 0.1}}};
  const auto svg = ReadXml(RenderSvg(DrawLineChart(chart)));
  const auto lines = LinesOf(svg, 0);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].size(), 2u);
  EXPECT_EQ(Named(svg, "circle").size(), 3u + 1u) << "three values and the key";
}

TEST(LineChart, ShowsOnePointASingleSeriesWithoutValuesAndTwelveTasksOfThirteenMethods) {
  LineChart one{.title = "One", .x_labels = {"only"}, .series = {{"a", {0.5}, {}}}};
  EXPECT_EQ(Named(ReadXml(RenderSvg(DrawLineChart(one))), "circle").size(), 2u);
  LineChart nothing{.title = "Nothing yet", .x_labels = {"1"}, .series = {{"a", {}, {}}, {"b", {std::nullopt}, {}}}};
  EXPECT_NO_THROW((void)ReadXml(RenderSvg(DrawLineChart(nothing))));

  LineChart large{.title = "Large"};
  for (int t = 1; t <= 12; ++t) large.x_labels.push_back("neutrophil_segmented T" + std::to_string(t));
  for (int s = 0; s < 13; ++s) {
    LineSeries series{"method " + std::to_string(s), {}, {}};
    for (int t = 0; t < 12; ++t) series.values.emplace_back(1.0 / (1 + s * t));
    large.series.push_back(series);
  }
  const Drawing drawing = DrawLineChart(large);
  const auto svg = ReadXml(RenderSvg(drawing));
  std::size_t turned = 0;
  for (const XmlElement& text : Named(svg, "text")) {
    EXPECT_GE(text.Number("x"), 0);
    EXPECT_LE(text.Number("x"), drawing.width());
    EXPECT_LE(text.Number("y"), drawing.height());
    turned += text.attributes.contains("transform") && text.text.starts_with("neutrophil") ? 1 : 0;
  }
  EXPECT_EQ(turned, 12u) << "labels that would collide are turned";
}

TEST(LineChart, ThinsOutLabelsThatWouldLieOnEachOther) {
  LineChart chart{.title = "Rounds", .series = {{"a", {}, {}}}};
  for (int i = 0; i < 400; ++i) {
    chart.x_labels.push_back("round " + std::to_string(i));
    chart.series[0].values.emplace_back(0.5);
  }
  const auto svg = ReadXml(RenderSvg(DrawLineChart(chart)));
  std::vector<double> places;
  for (const XmlElement& text : Named(svg, "text")) {
    if (text.text.starts_with("round ")) places.push_back(text.Number("x"));
  }
  ASSERT_GE(places.size(), 10u);
  for (std::size_t i = 1; i < places.size(); ++i) EXPECT_GE(places[i] - places[i - 1], kLabelSize);
  EXPECT_TRUE(Named(svg, "circle").size() <= 1) << "so many markers would hide the line";
}

TEST(LineChart, TellsSeriesApartWithoutColour) {
  LineChart chart{.title = "Styles", .x_labels = {"1", "2"}};
  for (std::size_t s = 0; s < kMaxChartSeries; ++s) chart.series.push_back({"m" + std::to_string(s), {0.1, 0.2}, {}});
  EXPECT_NO_THROW((void)DrawLineChart(chart));
  for (std::size_t a = 0; a < kMaxChartSeries; ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      const SeriesStyle one = StyleOf(a);
      const SeriesStyle other = StyleOf(b);
      EXPECT_FALSE(one.colour == other.colour && one.marker == other.marker) << a << " " << b;
      EXPECT_TRUE(a >= 8 || one.marker != other.marker) << a << " " << b;
    }
  }
}

TEST(LineChart, RefusesWhatItCannotShowAndNamesIt) {
  const auto refused = [](const char* words, auto change) {
    LineChart chart = TwoMethods();
    change(chart);
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)DrawLineChart(chart));
  };
  refused("chart 'Accuracy': series 'UACL', value 2 is NaN", [](LineChart& c) { c.series[0].values[1] = kNan; });
  refused("value 3 is NaN or infinite",
          [](LineChart& c) { c.series[1].values[2] = std::numeric_limits<double>::infinity(); });
  refused("spread 1 is NaN", [](LineChart& c) { c.series[0].spread[0] = kNan; });
  refused("spread 1 is NaN, infinite or below zero", [](LineChart& c) { c.series[0].spread[0] = -0.1; });
  refused("2 spreads for 3 values", [](LineChart& c) { c.series[0].spread.pop_back(); });
  refused("more values than", [](LineChart& c) { c.series[0] = {"long", {1, 2, 3, 4}, {}}; });
  refused("no series", [](LineChart& c) { c.series.clear(); });
  refused("cannot be told apart", [](LineChart& c) { c.series.resize(57); });
  refused("either labels or numbers", [](LineChart& c) { c.x_labels.clear(); });
  refused("either labels or numbers", [](LineChart& c) { c.x_values = {1, 2, 3}; });
  refused("x 3 does not lie above", [](LineChart& c) {
    c.x_labels.clear();
    c.x_values = {1, 2, 2};
  });
  refused("x 1 is not finite", [](LineChart& c) {
    c.x_labels.clear();
    c.x_values = {kNan, 2, 3};
  });
  refused("not finite", [](LineChart& c) { c.y_high = kNan; });
}

TEST(LineChart, EscapesEveryTextItIsGiven) {
  const std::string hostile = "<script>alert(\"1\")</script> & '\x01\xff'";
  const LineChart chart{.title = hostile,
                        .x_title = hostile,
                        .y_title = hostile,
                        .x_labels = {hostile, hostile},
                        .series = {{hostile, {0.1, 0.2}, {}}}};
  const std::string text = RenderSvg(DrawLineChart(chart));
  EXPECT_EQ(text.find("<script"), std::string::npos);
  const auto svg = ReadXml(text);
  ASSERT_EQ(Named(svg, "title").size(), 1u);
  EXPECT_EQ(Named(svg, "title")[0].text, "<script>alert(\"1\")</script> & '\uFFFD\uFFFD'");
}

}  // namespace
}  // namespace hemafed::studies
