// SPDX-License-Identifier: Apache-2.0
#include "common/report/bar_chart.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/report/chart_frame.h"
#include "common/report/svg.h"
#include "studies/report/report_names.h"
#include "tests/expect_error.h"
#include "tests/studies/report/xml_elements.h"

namespace hemafed::studies {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

BarChart Forgetting() {
  return {.title = "Forgetting",
          .y_title = "forgetting",
          .groups = {"D", "DC"},
          .series = {{"UACL", {0.2, -0.1}, {0.05, 0.02}}, {"EWC", {0.6, std::nullopt}, {0.1, 0}}}};
}

std::vector<XmlElement> BarsOf(const std::vector<XmlElement>& svg, std::size_t series) {
  const Colour colour = StyleOf(series).colour;
  const std::array<std::uint8_t, 3> parts = {colour.red, colour.green, colour.blue};
  std::vector<XmlElement> out;
  for (const XmlElement& box : Named(svg, "rect")) {
    if (box.Get("fill") == "#" + HexEncode(parts) && box.Number("width") != 24) out.push_back(box);  // 24: the key.
  }
  return out;
}

// y of a labelled grid line, from the tick labels, whose base line lies a fixed way below it.
double LevelOf(const std::vector<XmlElement>& svg, const std::string& label) {
  for (const XmlElement& text : Named(svg, "text")) {
    if (text.text == label && text.Number("font-size") == kLabelSize) return text.Number("y") - kLabelSize * 0.718 / 2;
  }
  throw std::runtime_error("no tick " + label);
}

TEST(BarChart, GivesEveryBarTheHeightOfItsValueFromZero) {
  const auto svg = ReadXml(RenderSvg(DrawBarChart(Forgetting())));
  const double zero = LevelOf(svg, "0.0");
  const double unit = (zero - LevelOf(svg, "0.2")) / 0.2;
  const auto first = BarsOf(svg, 0);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_NEAR(first[0].Number("height"), 0.2 * unit, 0.05);
  EXPECT_NEAR(first[0].Number("y") + first[0].Number("height"), zero, 0.05);
  EXPECT_NEAR(first[1].Number("height"), 0.1 * unit, 0.05);
  EXPECT_NEAR(first[1].Number("y"), zero, 0.05) << "a negative bar hangs from zero";
  const auto second = BarsOf(svg, 1);
  ASSERT_EQ(second.size(), 1u) << "what was not measured has no bar";
  EXPECT_NEAR(second[0].Number("height"), 0.6 * unit, 0.05);
  EXPECT_GT(second[0].Number("x"), first[0].Number("x") + first[0].Number("width")) << "bars of a group do not overlap";
}

TEST(BarChart, DrawsErrorBarsToBothEndsOfTheSpread) {
  const auto svg = ReadXml(RenderSvg(DrawBarChart(Forgetting())));
  const double zero = LevelOf(svg, "0.0");
  const double unit = (zero - LevelOf(svg, "0.2")) / 0.2;
  std::vector<std::pair<double, double>> seen;
  for (const XmlElement& line : Named(svg, "polyline")) {
    const auto points = PointsOf(line);
    if (line.Get("stroke") == "#222222" && points.size() == 2 && points[0].first == points[1].first)
      seen.emplace_back((zero - points[0].second) / unit, (zero - points[1].second) / unit);
  }
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_NEAR(seen[0].first, 0.15, 1e-3);
  EXPECT_NEAR(seen[0].second, 0.25, 1e-3);
  EXPECT_NEAR(seen[1].first, -0.12, 1e-3);
  EXPECT_NEAR(seen[1].second, -0.08, 1e-3);
  EXPECT_NEAR(seen[2].first, 0.5, 1e-3);
  EXPECT_NEAR(seen[2].second, 0.7, 1e-3);
}

TEST(BarChart, WritesTheNumberOnEachBarUnlessThereAreTooMany) {
  const auto numbers = [](const BarChart& chart) {
    std::vector<std::string> out;
    for (const XmlElement& text : Named(ReadXml(RenderSvg(DrawBarChart(chart))), "text")) {
      if (text.Number("font-size") == 10) out.push_back(text.text);
    }
    return out;
  };
  EXPECT_EQ(numbers(Forgetting()), (std::vector<std::string>{"0.20", "-0.10", "0.60"}));
  BarChart many{.title = "Many", .series = {{"a", {}, {}}}};
  for (int g = 0; g < 31; ++g) {
    many.groups.push_back("class " + std::to_string(g));
    many.series[0].values.emplace_back(0.5);
  }
  EXPECT_TRUE(numbers(many).empty());
}

TEST(BarChart, ShowsZerosAndNothingAtAll) {
  BarChart zeros{.title = "Zeros", .groups = {"D"}, .series = {{"a", {0.0}, {0.0}}}};
  EXPECT_EQ(BarsOf(ReadXml(RenderSvg(DrawBarChart(zeros))), 0).at(0).Number("height"), 0);
  BarChart nothing{.title = "Nothing", .groups = {"D"}, .series = {{"a", {}, {}}}};
  EXPECT_NO_THROW((void)ReadXml(RenderSvg(DrawBarChart(nothing))));
}

TEST(BarChart, KeepsAHundredGroupsOfManySeriesWithinTheLargestDrawing) {
  BarChart large{.title = "Large"};
  for (std::size_t g = 0; g < kMaxBarGroups; ++g) large.groups.push_back("g" + std::to_string(g));
  for (std::size_t s = 0; s < kMaxChartSeries; ++s) {
    large.series.push_back({"s" + std::to_string(s), {}, {}});
    large.series.back().values.assign(kMaxBarGroups, 0.5);
  }
  EXPECT_LE(DrawBarChart(large).width(), kMaxDrawingSide);
}

TEST(BarChart, HatchesStayInsideTheirBox) {
  for (const Hatch hatch : {Hatch::kRising, Hatch::kFalling, Hatch::kHorizontal, Hatch::kCrossed}) {
    for (const double height : {0.5, 3.0, 40.0, 300.0}) {
      const auto lines = HatchLines({10, 20}, 18, height, hatch);
      EXPECT_TRUE(height <= 20 || lines.size() >= 3) << height;
      for (const auto& line : lines) {
        for (const Point point : line) {
          EXPECT_GE(point.x, 10 - 1e-9);
          EXPECT_LE(point.x, 28 + 1e-9);
          EXPECT_GE(point.y, 20 - 1e-9);
          EXPECT_LE(point.y, 20 + height + 1e-9);
        }
      }
    }
  }
  EXPECT_TRUE(HatchLines({0, 0}, 100, 100, Hatch::kNone).empty());
}

TEST(BarChart, RefusesWhatItCannotShowAndNamesIt) {
  const auto refused = [](const char* words, auto change) {
    BarChart chart = Forgetting();
    change(chart);
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)DrawBarChart(chart));
  };
  refused("chart 'Forgetting': series 'EWC' in group 'D': the value is NaN",
          [](BarChart& c) { c.series[1].values[0] = kNan; });
  refused("the spread is NaN", [](BarChart& c) { c.series[0].spread[1] = kNan; });
  refused("below zero", [](BarChart& c) { c.series[0].spread[1] = -1; });
  refused("1 spreads for 2 values", [](BarChart& c) { c.series[0].spread.pop_back(); });
  refused("more values than there are groups", [](BarChart& c) { c.groups.pop_back(); });
  refused("no group", [](BarChart& c) { c.groups.clear(); });
  refused("no series", [](BarChart& c) { c.series.clear(); });
  refused("more than 100 groups", [](BarChart& c) { c.groups.resize(101); });
  refused("limit of the y axis", [](BarChart& c) { c.y_high = kNan; });
  refused("digits", [](BarChart& c) { c.digits = 99; });
}

}  // namespace
}  // namespace hemafed::studies
