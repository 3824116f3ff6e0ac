// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/frame.h"

#include <algorithm>

namespace hemafed::wire {

std::string_view FrameErrorName(FrameError error) noexcept {
  switch (error) {
    case FrameError::kTruncated: return "truncated";
    case FrameError::kBadMagic: return "bad_magic";
    case FrameError::kBadVersion: return "bad_version";
    case FrameError::kUnknownType: return "unknown_type";
    case FrameError::kOversize: return "oversize";
    case FrameError::kTrailingBytes: return "trailing_bytes";
  }
  return "unknown";
}

std::variant<FrameView, FrameError> DecodeFrame(ByteView bytes) noexcept {
  if (bytes.size() < kFrameHeaderBytes) return FrameError::kTruncated;
  if (!std::equal(kFrameMagic.begin(), kFrameMagic.end(), bytes.begin())) return FrameError::kBadMagic;
  if (LoadLittleEndian<std::uint16_t>(&bytes[4]) != kWireVersion) return FrameError::kBadVersion;
  const auto type = LoadLittleEndian<std::uint16_t>(&bytes[6]);
  if (type == 0 || type > kLastMessageType) return FrameError::kUnknownType;
  const auto length = LoadLittleEndian<std::uint64_t>(&bytes[8]);
  if (length > kMaxPayloadBytes) return FrameError::kOversize;
  const std::size_t present = bytes.size() - kFrameHeaderBytes;  // Cannot wrap: checked above.
  if (length > present) return FrameError::kTruncated;
  if (length < present) return FrameError::kTrailingBytes;
  return FrameView{static_cast<MessageType>(type), bytes.subspan(kFrameHeaderBytes)};
}

std::array<std::uint8_t, kFrameHeaderBytes> EncodeFrameHeader(MessageType type, std::uint64_t payload_bytes) noexcept {
  std::array<std::uint8_t, kFrameHeaderBytes> header{};
  std::copy(kFrameMagic.begin(), kFrameMagic.end(), header.begin());
  StoreLittleEndian(kWireVersion, &header[4]);
  StoreLittleEndian(static_cast<std::uint16_t>(type), &header[6]);
  StoreLittleEndian(payload_bytes, &header[8]);
  return header;
}

}  // namespace hemafed::wire
