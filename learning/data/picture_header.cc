// SPDX-License-Identifier: Apache-2.0
#include "learning/data/picture_header.h"

#include <algorithm>
#include <array>
#include <optional>

namespace hemafed::learning {

namespace {

using Probe = std::variant<PictureHeader, SkipReason>;

// Reads past the end yield nothing; offsets are 64-bit, so no sum of file values wraps.
class Reader {
 public:
  Reader(ByteView file, bool big_endian) : file_(file), big_endian_(big_endian) {}

  [[nodiscard]] bool Has(std::uint64_t offset, std::uint64_t bytes) const {
    return offset <= file_.size() && bytes <= file_.size() - offset;
  }
  [[nodiscard]] std::optional<std::uint32_t> U16(std::uint64_t offset) const { return Number(offset, 2); }
  [[nodiscard]] std::optional<std::uint32_t> U32(std::uint64_t offset) const { return Number(offset, 4); }

 private:
  [[nodiscard]] std::optional<std::uint32_t> Number(std::uint64_t offset, std::uint32_t bytes) const {
    if (!Has(offset, bytes)) return std::nullopt;
    std::uint32_t value = 0;
    for (std::uint32_t i = 0; i < bytes; ++i) {
      const std::uint32_t at = big_endian_ ? i : bytes - 1 - i;
      value = value << 8 | file_[offset + at];
    }
    return value;
  }

  ByteView file_;
  bool big_endian_;
};

bool StartsWith(ByteView file, std::string_view magic) {
  return file.size() >= magic.size() &&
         std::equal(magic.begin(), magic.end(), file.begin(),
                    [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
}

Probe Checked(PictureFormat format, std::uint64_t width, std::uint64_t height) {
  // Each side first: the product of two 32-bit claims fits in 64 bits, but not in any allocation.
  if (width * height > kMaxPicturePixels) return SkipReason::kTooManyPixels;
  if (std::min(width, height) < kMinPictureSide) return SkipReason::kTooSmall;
  return PictureHeader{format, static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height)};
}

Probe ReadPng(ByteView file) {
  const Reader in(file, /*big_endian=*/true);
  constexpr std::uint32_t kIhdr = 0x49484452;
  constexpr std::uint32_t kIend = 0x49454E44;
  constexpr std::uint64_t kSignatureBytes = 8;
  constexpr std::uint64_t kChunkOverhead = 12;  // Length, type and CRC around the data.
  const auto width = in.U32(16);
  const auto height = in.U32(20);
  if (!width || !height) return SkipReason::kTruncated;
  if (*in.U32(8) != 13 || *in.U32(12) != kIhdr) return SkipReason::kNotAPicture;
  Probe header = Checked(PictureFormat::kPng, *width, *height);
  if (std::holds_alternative<SkipReason>(header)) return header;
  for (std::uint64_t at = kSignatureBytes;;) {
    const auto length = in.U32(at);
    const auto type = in.U32(at + 4);
    if (!length || !type || !in.Has(at, kChunkOverhead + *length)) return SkipReason::kTruncated;
    if (*type == kIend) return header;
    at += kChunkOverhead + *length;
  }
}

// A frame header: SOF0 to SOF15 without DHT (C4), JPG (C8) and DAC (CC).
bool IsStartOfFrame(std::uint8_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

// Position of the next marker's code after entropy-coded data: stuffed zeros and restart markers are passed over.
std::optional<std::uint64_t> NextMarker(ByteView file, std::uint64_t at) {
  while (at + 1 < file.size()) {
    const std::uint8_t code = file[at + 1];
    if (file[at] == 0xFF && code != 0x00 && code != 0xFF && !(code >= 0xD0 && code <= 0xD7)) return at + 1;
    ++at;
  }
  return std::nullopt;
}

Probe ReadJpeg(ByteView file) {
  const Reader in(file, /*big_endian=*/true);
  constexpr std::uint8_t kEndOfImage = 0xD9;
  constexpr std::uint8_t kStartOfScan = 0xDA;
  std::optional<Probe> header;
  bool scanned = false;
  std::uint64_t at = 2;  // After SOI.
  for (;;) {
    // Between segments only fill bytes (FF) may stand before a marker; after a scan there is coded data.
    if (!scanned && at < file.size() && file[at] != 0xFF) return SkipReason::kUndecodable;
    const auto code_at = NextMarker(file, at);
    if (!code_at) return SkipReason::kTruncated;
    const std::uint8_t code = file[*code_at];
    if (code == kEndOfImage) break;
    const auto length = in.U16(*code_at + 1);
    if (!length || *length < 2 || !in.Has(*code_at + 1, *length)) return SkipReason::kTruncated;
    if (IsStartOfFrame(code)) {
      if (header) return SkipReason::kUnsupported;  // Hierarchical: several frames of several sizes.
      const auto height = in.U16(*code_at + 4);
      const auto width = in.U16(*code_at + 6);
      if (*length < 8 || !height || !width) return SkipReason::kUndecodable;
      if (*height == 0) return SkipReason::kUnsupported;  // Told only after the first scan (DNL).
      // Four components are inks (CMYK, YCCK): which colours they mean depends on a printer's profile.
      constexpr std::uint8_t kBitsPerSample = 8;
      constexpr std::uint8_t kMostComponents = 3;
      const std::uint8_t precision = file[*code_at + 3];
      const std::uint8_t components = file[*code_at + 8];
      if (precision != kBitsPerSample || components > kMostComponents) return SkipReason::kUnsupported;
      header = Checked(PictureFormat::kJpeg, *width, *height);
      if (std::holds_alternative<SkipReason>(*header)) return *header;
    }
    if (code == kStartOfScan) {
      if (!header) return SkipReason::kUndecodable;
      scanned = true;
    }
    at = *code_at + 1 + *length;
  }
  if (!header || !scanned) return SkipReason::kUndecodable;
  return *header;
}

Probe ReadBmp(ByteView file) {
  const Reader in(file, /*big_endian=*/false);
  constexpr std::uint32_t kInfoHeaderBytes = 40;
  constexpr std::uint32_t kUncompressed = 0;
  constexpr std::uint32_t kBitFields = 3;
  const auto data_offset = in.U32(10);
  const auto header_bytes = in.U32(14);
  if (!data_offset || !header_bytes) return SkipReason::kTruncated;
  if (*header_bytes < kInfoHeaderBytes) return SkipReason::kUnsupported;  // OS/2's 12-byte header.
  const auto width = in.U32(18);
  const auto signed_height = in.U32(22);
  const auto bits = in.U16(28);
  const auto compression = in.U32(30);
  if (!width || !signed_height || !bits || !compression) return SkipReason::kTruncated;
  // A negative height means rows from top to bottom.
  const std::uint32_t height = *signed_height > 0x80000000u ? 0u - *signed_height : *signed_height;
  if (*width > 0x7FFFFFFFu || height > 0x7FFFFFFFu) return SkipReason::kTooManyPixels;
  if (*compression != kUncompressed && *compression != kBitFields) return SkipReason::kUnsupported;
  if (*bits != 8 && *bits != 24 && *bits != 32) return SkipReason::kUnsupported;
  Probe header = Checked(PictureFormat::kBmp, *width, height);
  if (std::holds_alternative<SkipReason>(header)) return header;
  const std::uint64_t row_bytes = (std::uint64_t{*width} * *bits + 31) / 32 * 4;
  if (!in.Has(*data_offset, row_bytes * height)) return SkipReason::kTruncated;
  return header;
}

// The other calls need IsWhole().
class TiffDirectory {
 public:
  TiffDirectory(const Reader& in, std::uint64_t at) : in_(in), at_(at) {}

  // Whether the directory and every value it refers to lie within the file.
  [[nodiscard]] bool IsWhole() const {
    // Bytes of the types BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, UNDEFINED, SSHORT, SLONG, SRATIONAL, FLOAT, DOUBLE.
    constexpr std::array<std::uint64_t, 13> kTypeBytes = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8};
    constexpr std::uint64_t kNextDirectoryBytes = 4;
    const auto count = in_.U16(at_);
    if (!count || *count == 0 || !in_.Has(at_ + 2, *count * kEntryBytes + kNextDirectoryBytes)) return false;
    for (std::uint32_t i = 0; i < *count; ++i) {
      const std::uint64_t entry = at_ + 2 + i * kEntryBytes;
      const std::uint32_t type = *in_.U16(entry + 2);
      const std::uint64_t bytes = (type < kTypeBytes.size() ? kTypeBytes[type] : 0) * *in_.U32(entry + 4);
      if (bytes > 4 && !in_.Has(*in_.U32(entry + 8), bytes)) return false;
    }
    return true;
  }
  // Offset of the entry of a tag; nothing if it is missing or occurs twice, so that no reader sees another value.
  [[nodiscard]] std::optional<std::uint64_t> Find(std::uint32_t tag) const {
    std::optional<std::uint64_t> found;
    const std::uint32_t count = *in_.U16(at_);
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint64_t entry = at_ + 2 + i * kEntryBytes;
      if (in_.U16(entry) != tag) continue;
      if (found) return std::nullopt;
      found = entry;
    }
    return found;
  }
  // Value `index` of an entry of type SHORT (3) or LONG (4).
  [[nodiscard]] std::optional<std::uint32_t> Value(std::uint64_t entry, std::uint32_t index = 0) const {
    const std::uint32_t type = *in_.U16(entry + 2);
    const std::uint32_t count = *in_.U32(entry + 4);
    if ((type != 3 && type != 4) || index >= count) return std::nullopt;
    const std::uint64_t bytes = type == 3 ? 2 : 4;
    const std::uint64_t base = bytes * count <= 4 ? entry + 8 : *in_.U32(entry + 8);
    return bytes == 2 ? in_.U16(base + bytes * index) : in_.U32(base + bytes * index);
  }
  [[nodiscard]] std::uint32_t Count(std::uint64_t entry) const { return *in_.U32(entry + 4); }

 private:
  static constexpr std::uint64_t kEntryBytes = 12;
  const Reader& in_;
  std::uint64_t at_;
};

Probe ReadTiff(ByteView file) {
  const Reader in(file, /*big_endian=*/file[0] == 'M');
  constexpr std::uint32_t kImageWidth = 256;
  constexpr std::uint32_t kImageLength = 257;
  constexpr std::uint32_t kBitsPerSample = 258;
  constexpr std::uint32_t kPhotometric = 262;
  constexpr std::uint32_t kStripOffsets = 273;
  constexpr std::uint32_t kStripByteCounts = 279;
  const auto directory_at = in.U32(4);
  if (!directory_at) return SkipReason::kTruncated;
  const TiffDirectory directory(in, *directory_at);
  if (!directory.IsWhole()) return SkipReason::kTruncated;
  const auto width_entry = directory.Find(kImageWidth);
  const auto height_entry = directory.Find(kImageLength);
  const auto offsets = directory.Find(kStripOffsets);
  const auto counts = directory.Find(kStripByteCounts);
  if (!width_entry || !height_entry) return SkipReason::kUndecodable;
  const auto width = directory.Value(*width_entry);
  const auto height = directory.Value(*height_entry);
  if (!width || !height) return SkipReason::kUndecodable;
  Probe header = Checked(PictureFormat::kTiff, *width, *height);
  if (std::holds_alternative<SkipReason>(header)) return header;
  if (!offsets || !counts) return SkipReason::kUnsupported;  // Tiles: slide scanners' pyramids, not single cells.
  // Grey, RGB, palette, YCbCr. Left out are inks (CMYK, 5), Lab and the logarithmic encodings of high dynamic range.
  constexpr std::array<std::uint32_t, 5> kColours = {0, 1, 2, 3, 6};
  const auto photometric = directory.Find(kPhotometric);
  const auto colours = photometric ? directory.Value(*photometric) : std::nullopt;
  if (!colours || std::find(kColours.begin(), kColours.end(), *colours) == kColours.end()) {
    return SkipReason::kUnsupported;
  }
  // Without this entry a sample has one bit: a drawing, not a photograph. 32 bits are floating-point measurements.
  const auto bits = directory.Find(kBitsPerSample);
  constexpr std::uint32_t kMostSamples = 4;  // RGBA
  if (!bits || directory.Count(*bits) > kMostSamples) return SkipReason::kUnsupported;
  for (std::uint32_t i = 0; i < directory.Count(*bits); ++i) {
    const auto depth = directory.Value(*bits, i);
    if (depth != 8u && depth != 16u) return SkipReason::kUnsupported;
  }
  const std::uint32_t strips = directory.Count(*offsets);
  if (strips == 0 || strips > *height || strips != directory.Count(*counts)) return SkipReason::kUndecodable;
  for (std::uint32_t i = 0; i < strips; ++i) {
    const auto offset = directory.Value(*offsets, i);
    const auto bytes = directory.Value(*counts, i);
    if (!offset || !bytes || !in.Has(*offset, *bytes)) return SkipReason::kTruncated;
  }
  return header;
}

}  // namespace

std::variant<PictureHeader, SkipReason> ReadPictureHeader(ByteView file) {
  if (file.empty()) return SkipReason::kEmpty;
  if (StartsWith(file, "\x89PNG\r\n\x1A\n")) return ReadPng(file);
  if (StartsWith(file, "\xFF\xD8\xFF")) return ReadJpeg(file);
  if (StartsWith(file, "BM")) return ReadBmp(file);
  if (StartsWith(file, std::string_view("II*\0", 4)) || StartsWith(file, std::string_view("MM\0*", 4))) {
    return ReadTiff(file);
  }
  if (StartsWith(file, std::string_view("II+\0", 4)) || StartsWith(file, std::string_view("MM\0+", 4))) {
    return SkipReason::kUnsupported;  // BigTIFF.
  }
  return SkipReason::kNotAPicture;
}

}  // namespace hemafed::learning
