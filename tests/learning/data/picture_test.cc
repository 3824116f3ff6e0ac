// SPDX-License-Identifier: Apache-2.0
#include "learning/data/picture.h"

#include <gtest/gtest.h>

#include <array>
#include <opencv2/imgproc.hpp>
#include <string>
#include <vector>

#include "tests/learning/data/picture_files.h"

namespace hemafed::learning {
namespace {

using testing_support::CmykJpeg;
using testing_support::Encode;
using testing_support::Png;
using testing_support::SomePicture;
using testing_support::WithBigEndian32;
using testing_support::WithLittleEndian32;

std::string Jpeg(int width = 40, int height = 32, bool progressive = false) {
  return Encode(".jpg", SomePicture(width, height, 7), {cv::IMWRITE_JPEG_PROGRESSIVE, progressive ? 1 : 0});
}
std::string Bmp() { return Encode(".bmp", SomePicture(40, 32, 7)); }
std::string Tiff() { return Encode(".tiff", SomePicture(40, 32, 7), {cv::IMWRITE_TIFF_COMPRESSION, 1}); }
std::string Half(const std::string& file) { return file.substr(0, file.size() / 2); }

class PictureFormatIsRead : public testing::TestWithParam<const char*> {};

TEST_P(PictureFormatIsRead, AsRgbWithTheSizeOfItsHeader) {
  const cv::Mat bgr = SomePicture(40, 32, 7);
  const std::string file = Encode(GetParam(), bgr);
  const auto header = ReadPictureHeader(AsBytes(file));
  ASSERT_TRUE(std::holds_alternative<PictureHeader>(header)) << SkipReasonName(std::get<SkipReason>(header));
  EXPECT_EQ(std::get<PictureHeader>(header).width, 40u);
  EXPECT_EQ(std::get<PictureHeader>(header).height, 32u);
  const auto decoded = DecodePicture(AsBytes(file));
  ASSERT_TRUE(std::holds_alternative<cv::Mat>(decoded)) << SkipReasonName(std::get<SkipReason>(decoded));
  const cv::Mat& rgb = std::get<cv::Mat>(decoded);
  cv::Mat want;
  cv::cvtColor(bgr, want, cv::COLOR_BGR2RGB);
  // JPEG keeps smooth content within 20 grey levels; the others are exact.
  EXPECT_LE(cv::norm(rgb, want, cv::NORM_INF), std::string(GetParam()) == ".jpg" ? 20 : 0);
}

INSTANTIATE_TEST_SUITE_P(All, PictureFormatIsRead, testing::Values(".png", ".jpg", ".bmp", ".tiff"));

TEST(Picture, LosesAlphaAndRepeatsGrey) {
  cv::Mat rgba(20, 24, CV_8UC4, cv::Scalar(10, 20, 30, 128));
  for (const char* extension : {".png", ".tiff"}) {
    const auto decoded = DecodePicture(AsBytes(Encode(extension, rgba)));
    ASSERT_TRUE(std::holds_alternative<cv::Mat>(decoded)) << extension;
    EXPECT_EQ(std::get<cv::Mat>(decoded).at<cv::Vec3b>(5, 5), cv::Vec3b(30, 20, 10)) << extension;
  }
  const auto grey = DecodePicture(AsBytes(Encode(".png", cv::Mat(20, 24, CV_8UC1, cv::Scalar(77)))));
  EXPECT_EQ(std::get<cv::Mat>(grey).at<cv::Vec3b>(5, 5), cv::Vec3b(77, 77, 77));
}

TEST(Picture, ScalesSixteenBitsToEight) {
  cv::Mat deep(20, 24, CV_16UC3);
  for (int y = 0; y < deep.rows; ++y) {
    for (int x = 0; x < deep.cols; ++x) {
      deep.at<cv::Vec3w>(y, x) = cv::Vec3w(static_cast<std::uint16_t>(2571 * x), static_cast<std::uint16_t>(3000 * y),
                                           static_cast<std::uint16_t>(65'535 - 1000 * x));
    }
  }
  for (const char* extension : {".png", ".tiff"}) {
    const auto decoded = DecodePicture(AsBytes(Encode(extension, deep)));
    ASSERT_TRUE(std::holds_alternative<cv::Mat>(decoded)) << extension << SkipReasonName(std::get<SkipReason>(decoded));
    const auto& rgb = std::get<cv::Mat>(decoded);
    for (int y = 0; y < deep.rows; ++y) {
      for (int x = 0; x < deep.cols; ++x) {
        const cv::Vec3w bgr = deep.at<cv::Vec3w>(y, x);
        for (int c = 0; c < 3; ++c) EXPECT_NEAR(rgb.at<cv::Vec3b>(y, x)[c], bgr[2 - c] / 257.0, 1.0) << extension;
      }
    }
  }
}

TEST(Picture, ReadsProgressiveJpegAndIgnoresWhatFollowsItsEnd) {
  EXPECT_TRUE(std::holds_alternative<cv::Mat>(DecodePicture(AsBytes(Jpeg(40, 32, true)))));
  EXPECT_TRUE(std::holds_alternative<cv::Mat>(DecodePicture(AsBytes(Jpeg() + "some camera's notes"))));
}

// A TIFF whose directory entry `tag` holds `value`, one SHORT.
std::string TiffWithShort(std::string file, std::uint16_t tag, std::uint16_t value) {
  const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(file.at(at)); };
  std::size_t at = byte(4) | byte(5) << 8 | byte(6) << 16;
  for (at += 2; (byte(at) | byte(at + 1) << 8) != tag; at += 12) {
  }
  const std::array<std::uint8_t, 10> entry = {
      3, 0, 1, 0, 0, 0, static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8), 0, 0};
  for (std::size_t i = 0; i < entry.size(); ++i) file[at + 2 + i] = static_cast<char>(entry[i]);
  return file;
}

struct BadFile {
  const char* name;
  std::string bytes;
  SkipReason want;
};

class PictureIsRefused : public testing::TestWithParam<BadFile> {};

TEST_P(PictureIsRefused, WithItsReason) {
  const auto got = DecodePicture(AsBytes(GetParam().bytes));
  ASSERT_TRUE(std::holds_alternative<SkipReason>(got)) << "was decoded";
  EXPECT_EQ(SkipReasonName(std::get<SkipReason>(got)), SkipReasonName(GetParam().want));
}

std::vector<BadFile> BadFiles() {
  const std::string png = Png(7);
  const std::string jpeg = Jpeg();
  // Offsets: PNG width at 16, height at 20; BMP width at 18, height at 22, compression at 30; JPEG height and width
  // after the start-of-frame marker.
  const std::size_t frame = jpeg.find("\xFF\xC0");
  std::string huge_jpeg = jpeg;
  for (std::size_t i = 5; i < 9; ++i) huge_jpeg[frame + i] = '\xFE';
  std::string damaged_png = png;
  for (std::size_t i = png.size() / 2; i < png.size() / 2 + 8; ++i) damaged_png[i] = static_cast<char>(~damaged_png[i]);
  std::string no_height = jpeg;
  no_height[frame + 5] = no_height[frame + 6] = '\0';
  return {
      {"ZeroBytes", "", SkipReason::kEmpty},
      {"Text", "this is not a picture, whatever its name says", SkipReason::kNotAPicture},
      {"Gif", "GIF89a" + std::string(100, '\1'), SkipReason::kNotAPicture},
      {"Jpeg2000", std::string("\0\0\0\x0CjP  \r\n\x87\n", 12) + std::string(100, '\1'), SkipReason::kNotAPicture},
      {"OnePixel", Png(7, 1, 1), SkipReason::kTooSmall},
      {"OneRow", Png(7, 200, 15), SkipReason::kTooSmall},
      {"TruncatedPng", Half(png), SkipReason::kTruncated},
      {"PngWithoutItsLastByte", png.substr(0, png.size() - 1), SkipReason::kTruncated},
      {"PngHeaderOnly", png.substr(0, 20), SkipReason::kTruncated},
      {"DamagedPng", damaged_png, SkipReason::kUndecodable},
      {"PngOf60000By60000", WithBigEndian32(WithBigEndian32(png, 16, 60'000), 20, 60'000), SkipReason::kTooManyPixels},
      {"PngOf4GiBy4Gi", WithBigEndian32(WithBigEndian32(png, 16, 0xFFFFFFFF), 20, 0xFFFFFFFF),
       SkipReason::kTooManyPixels},
      {"PngWithAnotherSizeThanItsData", WithBigEndian32(png, 16, 4000), SkipReason::kUndecodable},
      {"PngOfNoWidth", WithBigEndian32(png, 16, 0), SkipReason::kTooSmall},
      {"PngChunkLongerThanTheFile", WithBigEndian32(png, 33, 0x7FFFFFFF), SkipReason::kTruncated},
      {"TruncatedJpeg", Half(jpeg), SkipReason::kTruncated},
      {"JpegWithoutItsEnd", jpeg.substr(0, jpeg.size() - 2), SkipReason::kTruncated},
      {"TruncatedProgressiveJpeg", Half(Jpeg(40, 32, true)), SkipReason::kTruncated},
      {"JpegOf65278By65278", huge_jpeg, SkipReason::kTooManyPixels},
      {"JpegThatTellsItsHeightLater", no_height, SkipReason::kUnsupported},
      {"JpegOfMarkersOnly", "\xFF\xD8\xFF\xD9", SkipReason::kUndecodable},
      {"JpegOfInks", CmykJpeg(), SkipReason::kUnsupported},
      {"TiffOfInks", TiffWithShort(Tiff(), 262, 5), SkipReason::kUnsupported},
      {"TiffOfFloats", TiffWithShort(Tiff(), 258, 32), SkipReason::kUnsupported},
      {"TiffOfOneBit", TiffWithShort(Tiff(), 258, 1), SkipReason::kUnsupported},
      {"TiffOfHighDynamicRange", Encode(".tiff", cv::Mat(20, 24, CV_32FC3, cv::Scalar(0.1, 0.2, 0.3))),
       SkipReason::kUnsupported},
      {"BmpOf60000By60000", WithLittleEndian32(WithLittleEndian32(Bmp(), 18, 60'000), 22, 60'000),
       SkipReason::kTooManyPixels},
      {"BmpUpsideDownOf60000", WithLittleEndian32(WithLittleEndian32(Bmp(), 18, 60'000), 22, 0u - 60'000u),
       SkipReason::kTooManyPixels},
      {"BmpLargerThanItsData", WithLittleEndian32(Bmp(), 22, 3200), SkipReason::kTruncated},
      {"BmpRunLength", WithLittleEndian32(Bmp(), 30, 1), SkipReason::kUnsupported},
      {"TruncatedBmp", Half(Bmp()), SkipReason::kTruncated},
      {"TruncatedTiff", Half(Tiff()), SkipReason::kTruncated},
      {"BigTiff", std::string("II+\0\x08\0\0\0", 8) + std::string(100, '\0'), SkipReason::kUnsupported},
      {"TiffDirectoryBeyondTheEnd", WithLittleEndian32(Tiff(), 4, 0xFFFFFFF0), SkipReason::kTruncated},
      {"TooManyBytes", Jpeg() + std::string(kMaxPictureFileBytes, 'x'), SkipReason::kFileTooLarge},
  };
}

INSTANTIATE_TEST_SUITE_P(Table, PictureIsRefused, testing::ValuesIn(BadFiles()),
                         [](const auto& row) { return row.param.name; });

TEST(Picture, CutAnywhereIsNeverDecoded) {
  for (const std::string& file : {Png(3, 24, 20), Jpeg(24, 20), Bmp(), Tiff()}) {
    for (std::size_t size = 0; size < file.size(); ++size) {
      const auto got = ReadPictureHeader(AsBytes(file.substr(0, size)));
      EXPECT_TRUE(std::holds_alternative<SkipReason>(got)) << "cut at " << size << " of " << file.size();
    }
  }
}

TEST(PictureHeader, OfEveryFlippedByteStaysWithinTheLimits) {
  for (const std::string& whole : {Png(3, 24, 20), Jpeg(24, 20), Bmp(), Tiff()}) {
    for (std::size_t at = 0; at < std::min<std::size_t>(whole.size(), 700); ++at) {
      for (const char flip : {'\x01', '\x80', '\xFF'}) {
        std::string file = whole;
        file[at] = static_cast<char>(file[at] ^ flip);
        const auto got = ReadPictureHeader(AsBytes(file));
        if (const auto* header = std::get_if<PictureHeader>(&got)) {
          EXPECT_LE(std::uint64_t{header->width} * header->height, kMaxPicturePixels);
          EXPECT_GE(std::min(header->width, header->height), kMinPictureSide);
        }
        (void)DecodePicture(AsBytes(file));
      }
    }
  }
}

}  // namespace
}  // namespace hemafed::learning
