// SPDX-License-Identifier: Apache-2.0
#include "common/report/confusion_chart.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "common/report/chart_frame.h"
#include "common/report/svg.h"
#include "studies/report/report_names.h"
#include "tests/expect_error.h"
#include "tests/studies/report/xml_elements.h"

namespace hemafed::studies {
namespace {

std::vector<std::string> TextsIn(const std::vector<XmlElement>& svg, const XmlElement& cell) {
  std::vector<std::string> out;
  for (const XmlElement& text : Named(svg, "text")) {
    const double x = text.Number("x") - cell.Number("x");
    const double y = text.Number("y") - cell.Number("y");
    if (x > 0 && x < cell.Number("width") && y > 0 && y < cell.Number("height") &&
        !text.attributes.contains("transform"))
      out.push_back(text.text);
  }
  return out;
}

// The n · n cells: squares of 46 pixels, in row-major order.
std::vector<XmlElement> CellsOf(const std::vector<XmlElement>& svg) {
  std::vector<XmlElement> out;
  for (const XmlElement& box : Named(svg, "rect")) {
    if (box.Number("width") == 46 && box.Number("height") == 46 && box.Get("fill") != "none") out.push_back(box);
  }
  return out;
}

TEST(ConfusionChart, ShowsCountAndShareOfTheRowInTheRightCell) {
  const auto svg = ReadXml(RenderSvg(DrawConfusionChart({"t", {"a", "b", "c"}, {8, 2, 0, 0, 0, 0, 1, 1, 1}})));
  const auto cells = CellsOf(svg);
  ASSERT_EQ(cells.size(), 9u);
  EXPECT_LT(cells[0].Number("x"), cells[1].Number("x"));  // Columns go right, rows down.
  EXPECT_LT(cells[0].Number("y"), cells[3].Number("y"));
  using Texts = std::vector<std::string>;
  EXPECT_EQ(TextsIn(svg, cells[0]), (Texts{"8", "80.0%"}));
  EXPECT_EQ(TextsIn(svg, cells[1]), (Texts{"2", "20.0%"}));
  EXPECT_EQ(TextsIn(svg, cells[2]), (Texts{"0"}));
  EXPECT_EQ(TextsIn(svg, cells[3]), (Texts{"0"})) << "no share of an empty row";
  EXPECT_EQ(TextsIn(svg, cells[8]), (Texts{"1", "33.3%"}));
  for (const char* total : {"10", "0", "3"}) {
    const auto texts = Named(svg, "text");
    EXPECT_TRUE(std::any_of(texts.begin(), texts.end(), [&](const XmlElement& text) { return text.text == total; }));
  }
}

TEST(ConfusionChart, ShadesGrowDarkerWithTheShareAndEmptyRowsAreGrey) {
  ConfusionChart chart{"t", {}, {}};
  for (std::size_t i = 0; i < 10; ++i) chart.classes.push_back("c" + std::to_string(i));
  chart.counts.assign(100, 0);
  for (std::size_t i = 0; i < 9; ++i) {
    chart.counts[i * 10] = i + 1;  // Shares 0.1, 0.2 ... 0.9; the last row is empty.
    chart.counts[i * 10 + 9] = 9 - i;
  }
  const auto cells = CellsOf(ReadXml(RenderSvg(DrawConfusionChart(chart))));
  ASSERT_EQ(cells.size(), 100u);
  const auto brightness = [&](std::size_t cell) {
    const unsigned long rgb = std::stoul(cells[cell].Get("fill").substr(1), nullptr, 16);
    return static_cast<double>((rgb >> 16) & 255) * 0.299 + static_cast<double>((rgb >> 8) & 255) * 0.587 +
           static_cast<double>(rgb & 255) * 0.114;
  };
  for (std::size_t i = 1; i < 9; ++i) EXPECT_LT(brightness(i * 10), brightness((i - 1) * 10) - 5);
  EXPECT_EQ(cells[90].Get("fill"), "#eeeeee");
  EXPECT_EQ(cells[1].Get("fill"), "#ffffff");
}

TEST(ConfusionChart, HoldsThirteenClassesWithLongNames) {
  ConfusionChart chart{"Confusion", {}, std::vector<std::uint64_t>(169, 12345)};
  for (int i = 0; i < 13; ++i) chart.classes.push_back("neutrophil_segmented_" + std::to_string(i));
  const Drawing drawing = DrawConfusionChart(chart);
  const auto svg = ReadXml(RenderSvg(drawing));
  EXPECT_EQ(CellsOf(svg).size(), 169u);
  std::size_t names = 0;
  for (const XmlElement& text : Named(svg, "text")) names += text.text.starts_with("neutrophil_segmented_") ? 1 : 0;
  EXPECT_EQ(names, 26u);
}

TEST(ConfusionChart, HoldsOneClassAndTheMostClasses) {
  EXPECT_EQ(CellsOf(ReadXml(RenderSvg(DrawConfusionChart({"t", {"only"}, {7}})))).size(), 1u);
  const ConfusionChart most{"t", std::vector<std::string>(kMaxConfusionClasses, std::string(400, 'W')),
                            std::vector<std::uint64_t>(kMaxConfusionClasses * kMaxConfusionClasses, 1)};
  EXPECT_LE(DrawConfusionChart(most).width(), kMaxDrawingSide);
}

TEST(ConfusionChart, RefusesMatricesThatAreNone) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "chart 't': there is no class", (void)DrawConfusionChart({"t", {}, {}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "3 counts for 2 classes; 4",
               (void)DrawConfusionChart({"t", {"a", "b"}, {1, 2, 3}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "row 1 sums to more",
               (void)DrawConfusionChart({"t", {"a", "b"}, {UINT64_MAX, 2, 0, 0}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "more than 64 classes",
               (void)DrawConfusionChart({"t", std::vector<std::string>(65), std::vector<std::uint64_t>(4225)}));
}

}  // namespace
}  // namespace hemafed::studies
