// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>
#include <opencv2/core.hpp>

#include "common/report/svg.h"
#include "common/report/text_metrics.h"
#include "learning/data/picture.h"
#include "studies/report/raster.h"
#include "studies/report/report_names.h"
#include "tests/expect_error.h"
#include "tests/studies/report/xml_elements.h"

namespace hemafed::studies {
namespace {

constexpr Colour kRed{200, 0, 0};
constexpr Colour kNothing{0, 0, 0, 0};

cv::Vec3b At(const cv::Mat& pixels, int x, int y) { return pixels.at<cv::Vec3b>(y, x); }
const cv::Vec3b kWhitePixel(255, 255, 255);
const cv::Vec3b kRedPixel(200, 0, 0);

// The box around everything that is not white; empty if all is.
cv::Rect Inked(const cv::Mat& pixels) {
  int left = pixels.cols;
  int right = -1;
  int top = pixels.rows;
  int bottom = -1;
  for (int y = 0; y < pixels.rows; ++y) {
    for (int x = 0; x < pixels.cols; ++x) {
      if (At(pixels, x, y)[1] > 200) continue;
      left = std::min(left, x);
      right = std::max(right, x);
      top = std::min(top, y);
      bottom = std::max(bottom, y);
    }
  }
  return right < 0 ? cv::Rect() : cv::Rect(left, top, right - left + 1, bottom - top + 1);
}

TEST(Render, BothOutputsHaveTheSameShapesAtTheSamePlaces) {
  Drawing drawing(100, 60, "shapes");
  drawing.Add(Rectangle{.corner = {10, 20}, .width = 30, .height = 10, .fill = kRed, .outline = {}});
  drawing.Add(Circle{.centre = {70, 30}, .radius = 8, .fill = kRed, .outline = {}});
  const auto svg = ReadXml(RenderSvg(drawing));
  EXPECT_EQ(svg[0].Get("viewBox"), "0 0 100 60");
  EXPECT_EQ(Named(svg, "rect").at(0).Number("x"), 10);
  EXPECT_EQ(Named(svg, "rect").at(0).Get("fill"), "#c80000");
  EXPECT_EQ(Named(svg, "circle").at(0).Number("r"), 8);

  const cv::Mat pixels = RenderPixels(drawing, 2);
  ASSERT_EQ(pixels.size(), cv::Size(200, 120));
  EXPECT_EQ(At(pixels, 50, 50), kRedPixel);
  EXPECT_EQ(At(pixels, 22, 42), kRedPixel);
  EXPECT_EQ(At(pixels, 16, 50), kWhitePixel);
  EXPECT_EQ(At(pixels, 84, 50), kWhitePixel);
  EXPECT_EQ(At(pixels, 50, 64), kWhitePixel);
  EXPECT_EQ(At(pixels, 140, 60), kRedPixel);
  EXPECT_EQ(At(pixels, 140, 80), kWhitePixel);
}

TEST(Render, BlendsWhatIsPartlyTransparent) {
  Drawing drawing(20, 20, "blend");
  drawing.Add(Rectangle{.corner = {0, 0}, .width = 20, .height = 20, .fill = {200, 0, 0, 0.5}, .outline = {}});
  EXPECT_NEAR(At(RenderPixels(drawing, 1), 10, 10)[1], 127.5, 1);
  EXPECT_EQ(Named(ReadXml(RenderSvg(drawing)), "rect").at(0).Get("fill-opacity"), "0.5");
}

TEST(Render, LeavesOutTheGapsOfADash) {
  Drawing drawing(100, 20, "dash");
  drawing.Add(
      Polyline{.points = {{0, 10}, {55, 10}, {100, 10}}, .stroke = {.colour = kRed, .width = 4, .dash = {20, 20}}});
  EXPECT_EQ(Named(ReadXml(RenderSvg(drawing)), "polyline").at(0).Get("stroke-dasharray"), "20 20");
  const cv::Mat pixels = RenderPixels(drawing, 1);
  for (const int drawn : {10, 45, 54, 57, 90}) EXPECT_EQ(At(pixels, drawn, 10), kRedPixel) << drawn;
  for (const int left_out : {30, 70}) EXPECT_EQ(At(pixels, left_out, 10), kWhitePixel) << left_out;
}

TEST(Render, LettersFillTheWidthThatTheLayoutCountsOn) {
  for (const double size : {9.0, 12.0, 16.0, 40.0}) {
    Drawing drawing(600, 80, "text");
    drawing.Add(Text{.at = {20, 60}, .text = "HHHHHHHH", .size = size, .colour = kRed});
    const cv::Rect box = Inked(RenderPixels(drawing, 2));
    const double width = TextWidth("HHHHHHHH", size);
    EXPECT_NEAR(box.x / 2.0, 20, size * 0.2);
    EXPECT_NEAR(box.width / 2.0, width, size * 0.3);
    EXPECT_NEAR(box.height / 2.0, kCapHeight * size, size * 0.2);
    EXPECT_NEAR((box.y + box.height) / 2.0, 60, size * 0.12) << "letters stand on the base line";
  }
}

TEST(Render, AnchorsAndTurnsText) {
  const auto box_of = [](Anchor anchor, double degrees) {
    Drawing drawing(200, 200, "text");
    drawing.Add(
        Text{.at = {100, 100}, .text = "HHHHHH", .size = 14, .anchor = anchor, .degrees = degrees, .colour = kRed});
    return Inked(RenderPixels(drawing, 1));
  };
  EXPECT_GE(box_of(Anchor::kStart, 0).x, 99);
  EXPECT_LE(box_of(Anchor::kEnd, 0).br().x, 102);
  const cv::Rect middle = box_of(Anchor::kMiddle, 0);
  EXPECT_NEAR(middle.x + middle.width / 2.0, 100, 2);
  const cv::Rect up = box_of(Anchor::kStart, 90);  // Reads upwards: above the anchor, left of it.
  EXPECT_GT(up.height, up.width);
  EXPECT_LE(up.br().y, 101);
  EXPECT_LE(up.br().x, 102);
  Drawing drawing(200, 200, "text");
  drawing.Add(Text{.at = {100, 100}, .text = "x", .degrees = 90});
  EXPECT_EQ(Named(ReadXml(RenderSvg(drawing)), "text").at(0).Get("transform"), "rotate(-90 100 100)");
}

TEST(Render, DrawsSignsThatAreNotAsciiAndMarksThoseItLacks) {
  const auto ink = [](const std::string& text) {
    Drawing drawing(60, 40, "sign");
    drawing.Add(Text{.at = {20, 30}, .text = text, .size = 20, .colour = kRed});
    return Inked(RenderPixels(drawing, 2)).area();
  };
  for (const char* sign : {"\u00B1", "\u2013", "\u00D7", "\u00B7", "\u2026", "\u2192", "-", "+", "="})
    EXPECT_GT(ink(sign), 0) << sign;
  EXPECT_GT(ink("\u03B3"), 0);
  EXPECT_EQ(ink(""), 0);
  EXPECT_EQ(ink(" "), 0);
}

TEST(Render, DrawsNothingOutsideThePicture) {
  Drawing drawing(40, 40, "outside");
  drawing.Add(Text{.at = {-500, -500}, .text = "far away", .colour = kRed});
  drawing.Add(Rectangle{.corner = {-90, -90}, .width = 50, .height = 50, .fill = kRed, .outline = {}});
  drawing.Add(Polyline{.points = {{-100, 90}, {300, 90}}, .stroke = {.colour = kRed, .width = 2, .dash = {3, 3}}});
  drawing.Add(Polygon{.points = {{1, 1}}, .fill = kRed, .outline = {}});
  EXPECT_TRUE(Inked(RenderPixels(drawing, 1)).empty());
}

TEST(Render, PngReadsBackAsThePixels) {
  Drawing drawing(30, 20, "png");
  drawing.Add(Rectangle{.corner = {0, 0}, .width = 15, .height = 20, .fill = {12, 34, 56}, .outline = {}});
  const Bytes file = RenderPng(drawing, 1);
  EXPECT_EQ(PictureType(file), "image/png");
  const auto decoded = learning::DecodePicture(file);
  const cv::Mat& pixels = std::get<cv::Mat>(decoded);
  EXPECT_EQ(pixels.size(), cv::Size(30, 20));
  EXPECT_EQ(At(pixels, 5, 10), cv::Vec3b(12, 34, 56));
}

TEST(Render, SameDrawingSameBytes) {
  const auto drawing = [] {
    Drawing out(50, 50, "same");
    out.Add(Circle{.centre = {1.0 / 3, 2.0 / 3}, .radius = 10, .fill = kRed, .outline = Stroke{}});
    out.Add(Text{.at = {5, 30}, .text = "same"});
    return out;
  };
  EXPECT_EQ(RenderSvg(drawing()), RenderSvg(drawing()));
  EXPECT_EQ(RenderPng(drawing()), RenderPng(drawing()));
}

TEST(Render, InlineSvgNeedsNoNameSpaceAndAFileHasOne) {
  const Drawing drawing(10, 10, "use");
  EXPECT_EQ(RenderSvg(drawing, SvgUse::kInline).find("http"), std::string::npos);
  EXPECT_TRUE(RenderSvg(drawing, SvgUse::kInline).starts_with("<svg viewBox="));
  EXPECT_EQ(ReadXml(RenderSvg(drawing)).at(0).Get("xmlns"), "http://www.w3.org/2000/svg");
}

TEST(Drawing, RefusesShapesThatAreNotFiniteAndSidesOutOfRange) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  Drawing drawing(10, 10, "bad");
  EXPECT_ERROR(ErrorCode::kInternal, "chart 'bad'",
               drawing.Add(Circle{.centre = {kNan, 0}, .radius = 1, .fill = kRed, .outline = {}}));
  EXPECT_ERROR(ErrorCode::kInternal, "chart 'bad'", drawing.Add(Polyline{.points = {{0, kNan}}, .stroke = {}}));
  EXPECT_ERROR(ErrorCode::kInternal, "chart 'bad'",
               drawing.Add(Rectangle{.corner = {0, 0}, .width = -1, .height = 1, .fill = kNothing, .outline = {}}));
  EXPECT_ERROR(ErrorCode::kInternal, "chart 'bad'", drawing.Add(Text{.at = {0, 0}, .text = "x", .size = 0}));
  EXPECT_ERROR(ErrorCode::kInternal, "chart 'bad'",
               drawing.Add(Polyline{.points = {}, .stroke = {.colour = kRed, .width = 1, .dash = {3}}}));
  EXPECT_ERROR(ErrorCode::kInternal, "chart 'bad'",
               drawing.Add(Image{.corner = {0, 0}, .width = 1, .height = 1, .file = ToBytes("GIF89a")}));
  EXPECT_TRUE(drawing.shapes().empty());
  EXPECT_ERROR(ErrorCode::kInternal, "side outside", Drawing(0, 10, "x"));
  EXPECT_ERROR(ErrorCode::kInternal, "side outside", Drawing(10, 4097, "x"));
  EXPECT_ERROR(ErrorCode::kInternal, "side outside", Drawing(kNan, 10, "x"));
}

TEST(Render, RefusesScalesThatWouldTakeAllMemory) {
  const Drawing large(4096, 4096, "large");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "too many pixels", (void)RenderPng(large, 4));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "0.25 to 4", (void)RenderPng(large, 5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "0.25 to 4", (void)RenderPng(large, std::numeric_limits<double>::quiet_NaN()));
}

TEST(DataUri, TakesPngAndJpegOnly) {
  EXPECT_TRUE(DataUri(ToBytes("\xFF\xD8\xFF\xE0")).starts_with("data:image/jpeg;base64,/9j/"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "neither", (void)DataUri(ToBytes("<svg xmlns='...'/>")));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "neither", (void)DataUri({}));
}

}  // namespace
}  // namespace hemafed::studies
