// SPDX-License-Identifier: Apache-2.0
#include "studies/report/gallery_chart.h"

#include <gtest/gtest.h>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "common/report/svg.h"
#include "learning/data/picture_sheet.h"
#include "studies/report/raster.h"
#include "studies/report/report_names.h"
#include "studies/report/thumbnail.h"
#include "tests/expect_error.h"
#include "tests/studies/report/xml_elements.h"

namespace hemafed::studies {
namespace {

Bytes PlainPng(int side, const cv::Scalar& rgb) { return learning::EncodePng(cv::Mat(side, side, CV_8UC3, rgb)); }

TEST(Gallery, EmbedsEachPictureWithItsCaptions) {
  const GalleryChart gallery{.title = "Exemplars",
                             .rows = {{"raabin basophil",
                                       "2 of 20",
                                       {{PlainPng(16, {200, 10, 10}), "herding 1", "d 0.1"},
                                        {PlainPng(16, {10, 200, 10}), "uncertain 1", ""}}},
                                      {"raabin monocyte", "", {}}}};
  const auto svg = ReadXml(RenderSvg(DrawGallery(gallery)));
  const auto pictures = Named(svg, "image");
  ASSERT_EQ(pictures.size(), 2u);
  const std::string& uri = pictures[0].Get("href");
  const std::string head = "data:image/png;base64,";
  ASSERT_TRUE(uri.starts_with(head));
  EXPECT_EQ(Base64Decode(uri.substr(head.size())), gallery.rows[0].pictures[0].file);
  std::string all;
  for (const XmlElement& text : Named(svg, "text")) all += text.text + "|";
  for (const char* part : {"raabin basophil|", "2 of 20|", "herding 1|", "d 0.1|", "uncertain 1|", "raabin monocyte|"})
    EXPECT_NE(all.find(part), std::string::npos) << part;
}

TEST(Gallery, PaintsThePicturesIntoThePng) {
  const GalleryChart gallery{.title = "g", .rows = {{"row", "", {{PlainPng(16, {200, 10, 10}), "a", ""}}}}};
  const Drawing drawing = DrawGallery(gallery);
  const XmlElement place = Named(ReadXml(RenderSvg(drawing)), "image").at(0);
  const cv::Mat pixels = RenderPixels(drawing, 1);
  const auto pixel = pixels.at<cv::Vec3b>(static_cast<int>(place.Number("y") + place.Number("height") / 2),
                                          static_cast<int>(place.Number("x") + place.Number("width") / 2));
  EXPECT_EQ(pixel, cv::Vec3b(200, 10, 10));
}

TEST(Gallery, HoldsTheMostRowsAndColumnsWithLongNames) {
  GalleryRow row{std::string(300, '@'), std::string(300, '@'), {}};
  row.pictures.assign(kMaxGalleryColumns, {PlainPng(2, {0, 0, 0}), std::string(99, '@'), "distance 0.123"});
  const GalleryChart gallery{
      .title = std::string(500, 'W'), .rows = std::vector<GalleryRow>(kMaxGalleryRows, row), .tile = 128};
  const Drawing drawing = DrawGallery(gallery);
  EXPECT_LE(drawing.width(), kMaxDrawingSide);
  EXPECT_LE(drawing.height(), kMaxDrawingSide);
}

TEST(Gallery, RefusesWhatIsNoPicture) {
  const auto with = [](Bytes file) {
    return GalleryChart{.title = "g", .rows = {{"cells", "", {{std::move(file), "", ""}}}}};
  };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "chart 'g': row 'cells', picture 1 is neither", (void)DrawGallery(with({})));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "neither PNG nor JPEG", (void)DrawGallery(with(ToBytes("<svg onload=x>"))));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no rows", (void)DrawGallery({.title = "g", .rows = {}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "more than 24 rows",
               (void)DrawGallery({.title = "g", .rows = std::vector<GalleryRow>(25)}));
  Bytes torn = PlainPng(8, {1, 2, 3});
  torn.resize(20);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot be decoded", (void)RenderPng(DrawGallery(with(torn))));
}

TEST(Thumbnail, IsScaledDownToTheSideAndNeverUp) {
  const auto pixels_of = [](const Bytes& file) { return cv::imdecode(file, cv::IMREAD_COLOR); };  // BGR.
  const auto size_of = [&](const Bytes& file) { return pixels_of(file).size(); };
  const cv::Mat wide(50, 200, CV_8UC3, cv::Scalar(1, 2, 3));
  EXPECT_EQ(size_of(Thumbnail(wide, 100)), cv::Size(100, 25));
  EXPECT_EQ(size_of(Thumbnail(wide, 400)), cv::Size(200, 50));
  EXPECT_EQ(size_of(Thumbnail(cv::Mat(1, 1024, CV_8UC3, cv::Scalar(9, 9, 9)), 16)), cv::Size(16, 1));
  const cv::Mat back = pixels_of(Thumbnail(wide, 100));
  EXPECT_EQ(back.at<cv::Vec3b>(3, 3), cv::Vec3b(3, 2, 1)) << "1 is red in the file";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 to 1024", (void)Thumbnail(wide, 0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "empty or not 8-bit RGB", (void)Thumbnail(cv::Mat(), 10));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "empty or not 8-bit RGB", (void)Thumbnail(cv::Mat(4, 4, CV_8UC1), 10));
}

}  // namespace
}  // namespace hemafed::studies
