// learning/data/picture_header.h
// SPDX-License-Identifier: Apache-2.0
//
// What a picture file claims, read from its first bytes and its structure before any decoder sees it. OpenCV would
// accept a dozen formats (some through libraries with a history) and allocate whatever width and height the header
// names; here only the four formats that the published sets use pass, and only in forms that are read as intended.
//
// Formats: PNG (W3C PNG, sections 5 and 11.2.2), JPEG (ITU-T T.81, annex B), BMP (BITMAPINFOHEADER, uncompressed),
// TIFF 6.0 (section 2, classic only).
//
// Refused as kUnsupported, because their colours or values would be guessed: CMYK in JPEG and TIFF, JPEG of 12 bits,
// TIFF with samples of other than 8 or 16 bits.
//
// A file that ends early is recognised here, since decoders fill the missing part with grey and call it a success:
// PNG without IEND, JPEG without EOI, BMP shorter than its rows, TIFF whose directory or strips lie beyond the end.
//
// Thread-safety: free function without state.
#pragma once

#include <cstdint>
#include <variant>

#include "common/bytes.h"
#include "learning/data/skip_reason.h"

namespace hemafed::learning {

// Pixels of one picture: 16 Mi decode to 48 MiB of RGB. The largest published single-cell picture has 0.3 Mi; a field
// of view from a slide camera has 5 to 12 Mi.
inline constexpr std::uint64_t kMaxPicturePixels = 16u << 20;
// Shortest side in pixels. A leukocyte below 16 pixels shows neither granules nor lobes.
inline constexpr std::uint32_t kMinPictureSide = 16;

// Largest picture file in bytes. An uncompressed 16-Mi-pixel RGBA TIFF has 64 MiB.
inline constexpr std::uint64_t kMaxPictureFileBytes = 65u << 20;

enum class PictureFormat : std::uint8_t { kPng, kJpeg, kBmp, kTiff };

struct PictureHeader {
  PictureFormat format = PictureFormat::kPng;
  std::uint32_t width = 0;   // pixels
  std::uint32_t height = 0;  // pixels
};

// The header, or why the file is no picture for us: kEmpty, kNotAPicture, kUnsupported, kTruncated, kTooManyPixels,
// kTooSmall. Never throws on any bytes; time is linear in the size of the file.
[[nodiscard]] std::variant<PictureHeader, SkipReason> ReadPictureHeader(ByteView file);

}  // namespace hemafed::learning
