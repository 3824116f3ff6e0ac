// tests/learning/data/picture_files.h
// SPDX-License-Identifier: Apache-2.0
//
// Small picture files for the tests of learning/data, made on the spot; and folders of them.
#pragma once

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/file_system.h"
#include "common/random.h"

namespace hemafed::learning::testing_support {

// Smooth RGB-like content that differs with `seed`, so that no two files are alike.
inline cv::Mat SomePicture(int width, int height, std::uint64_t seed) {
  RandomStream random(seed);
  cv::Mat picture(height, width, CV_8UC3);
  const double fx = random.NextBetween(0.02, 0.2);
  const double fy = random.NextBetween(0.02, 0.2);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const double v = 128 + 100 * std::sin(fx * x + 0.7 * c) * std::cos(fy * y - 0.3 * c);
        picture.at<cv::Vec3b>(y, x)[c] = static_cast<std::uint8_t>(v);
      }
    }
  }
  return picture;
}

inline std::string Encode(const std::string& extension, const cv::Mat& picture, const std::vector<int>& settings = {}) {
  std::vector<std::uint8_t> file;
  cv::imencode(extension, picture, file, settings);
  return std::string(AsText(file));
}

inline std::string Png(std::uint64_t seed, int width = 40, int height = 32) {
  return Encode(".png", SomePicture(width, height, seed));
}

inline void Write(const Path& path, const std::string& content) {
  RealFileSystem().CreateFolders(path.parent_path());
  const auto file = RealFileSystem().Create(path);
  file->Append(content);
  file->Close();
}

inline std::string FromHex(std::string_view digits) {
  std::string bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

// 16 x 16 pixels of one colour in four inks, from Pillow 12: Image.new("CMYK", (16, 16), (0, 128, 255, 64)), JPEG.
inline std::string CmykJpeg() {
  return FromHex(
      "ffd8ffee000e41646f626500640000000000ffdb004300100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c393338"
      "3740485c4e404457453738506d51575f626768673e4d71797064785c656763ffc000140800100010044311004d11005911004b1100ffc400"
      "17000101010100000000000000000000000000070106ffc40014100100000000000000000000000000000000ffda000e0443004d0059004b"
      "00003f00a0313f740000000fffd9");
}

// Replaces the four bytes at `offset`.
inline std::string WithBigEndian32(std::string file, std::size_t offset, std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return file.replace(offset, 4, bytes);
}
inline std::string WithLittleEndian32(std::string file, std::size_t offset, std::uint32_t value) {
  std::string bytes;
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(value >> shift));
  return file.replace(offset, 4, bytes);
}

}  // namespace hemafed::learning::testing_support
