// tests/studies/report/scatter_chart_test.cc
// SPDX-License-Identifier: Apache-2.0
#include "common/report/scatter_chart.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "common/report/chart_frame.h"
#include "common/report/svg.h"
#include "studies/report/report_names.h"
#include "tests/expect_error.h"
#include "tests/studies/report/xml_elements.h"

namespace hemafed::studies {
namespace {

ScatterChart Cells() {
  return {.title = "Cells",
          .x_title = "x",
          .y_title = "y",
          .origin_title = "hospital",
          .kind_title = "class",
          .origins = {"raabin", "bccd"},
          .kinds = {"basophil", "monocyte"},
          .points = {{-10, 0, 0, 0}, {10, 0, 0, 1}, {0, 5, 0, 0}}};
}

// Filled circles in the plot area (radius 4), in order; the rim is white.
std::vector<Circle> Points(const Drawing& drawing) {
  std::vector<Circle> circles;
  for (const Shape& shape : drawing.shapes()) {
    const auto* circle = std::get_if<Circle>(&shape);
    if (circle != nullptr && circle->centre.x < 560) circles.push_back(*circle);
  }
  return circles;
}

TEST(ScatterChart, PlacesPointsOnOneScaleInBothDirections) {
  const auto points = Points(DrawScatterChart(Cells()));
  ASSERT_EQ(points.size(), 3u);
  const double unit = (points[1].centre.x - points[0].centre.x) / 20;
  EXPECT_GT(unit, 0);
  EXPECT_NEAR(points[2].centre.x, (points[0].centre.x + points[1].centre.x) / 2, 1e-9);
  EXPECT_NEAR(points[0].centre.y - points[2].centre.y, 5 * unit, 1e-9) << "y grows upwards on the same scale";
  EXPECT_NE(points[0].fill, points[1].fill);
  EXPECT_EQ(points[0].fill, points[2].fill);
}

TEST(ScatterChart, TellsEveryOriginAndKindApart) {
  ScatterChart chart = Cells();
  chart.origins.clear();
  chart.kinds.clear();
  chart.points.clear();
  for (std::uint32_t o = 0; o < kMaxScatterOrigins; ++o) chart.origins.push_back("hospital " + std::to_string(o));
  for (std::uint32_t k = 0; k < kMaxScatterKinds; ++k) chart.kinds.push_back("class " + std::to_string(k));
  // One point at a time, at the same place: no two combinations may draw alike.
  std::set<std::string> seen;
  for (std::uint32_t o = 0; o < kMaxScatterOrigins; ++o) {
    for (std::uint32_t k = 0; k < kMaxScatterKinds; ++k) {
      chart.points = {{0, 0, o, k}};
      seen.insert(RenderSvg(DrawScatterChart(chart)));
    }
  }
  EXPECT_EQ(seen.size(), kMaxScatterOrigins * kMaxScatterKinds);
}

TEST(ScatterChart, LegendNamesEverythingInsideThePicture) {
  ScatterChart chart = Cells();
  for (int k = 0; k < 12; ++k) chart.kinds.push_back("a class with a long name " + std::to_string(k));
  const Drawing drawing = DrawScatterChart(chart);
  const auto svg = ReadXml(RenderSvg(drawing));
  std::set<std::string> texts;
  for (const XmlElement& text : Named(svg, "text")) {
    texts.insert(text.text);
    EXPECT_LT(text.Number("x"), drawing.width());
    EXPECT_LT(text.Number("y"), drawing.height());
  }
  for (const char* name :
       {"hospital", "class", "raabin", "bccd", "basophil", "monocyte", "a class with a long name 11"})
    EXPECT_TRUE(texts.contains(name)) << name;
}

TEST(ScatterChart, AllPointsInOnePlaceStillMakeAChart) {
  ScatterChart chart = Cells();
  chart.points = {{3, 3, 0, 0}, {3, 3, 1, 1}};
  EXPECT_GT(DrawScatterChart(chart).shapes().size(), 5u);
}

TEST(ScatterChart, RefusesWhatCannotBeDrawn) {
  ScatterChart chart = Cells();
  chart.points[1].x = std::numeric_limits<double>::quiet_NaN();
  EXPECT_ERROR(ErrorCode::kInvalidInput, "point 2 is NaN", (void)DrawScatterChart(chart));
  chart = Cells();
  chart.points[2].kind = 2;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "point 3 has an origin or kind", (void)DrawScatterChart(chart));
  chart = Cells();
  chart.points.clear();
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no points", (void)DrawScatterChart(chart));
  chart = Cells();
  chart.kinds.assign(kMaxScatterKinds + 1, "x");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "colours", (void)DrawScatterChart(chart));
  chart = Cells();
  chart.origins.assign(kMaxScatterOrigins + 1, "x");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "shapes", (void)DrawScatterChart(chart));
}

}  // namespace
}  // namespace hemafed::studies
