// protocol/wire/frame.h
// SPDX-License-Identifier: Apache-2.0
//
// The fixed header in front of every message, checked before any other code sees a byte of the payload. All fields are
// little-endian (docs/wire.md):
//
//     offset  bytes  field
//     0       4      magic "HFED"
//     4       2      version of the wire format, kWireVersion
//     6       2      type of the message, MessageType
//     8       8      payload length in bytes, at most kMaxPayloadBytes
//     16      ...    payload; nothing after it
//
// A frame that is refused is a value, not an exception: peers send what they like.
//
// Thread-safety: free functions without state. A FrameView borrows the bytes it was decoded from.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <variant>

#include "common/bytes.h"

namespace hemafed::wire {

inline constexpr std::array<std::uint8_t, 4> kFrameMagic{'H', 'F', 'E', 'D'};
inline constexpr std::uint16_t kWireVersion = 1;
inline constexpr std::size_t kFrameHeaderBytes = 16;

// Objects travel in pieces of this size. 1 MiB makes the cost of a message (header, two queue hops, one
// acknowledgement) vanish beside its encryption, and still lets sixteen of them be in flight inside a 64 MB process.
inline constexpr std::uint32_t kChunkBytes = 1u << 20;

// What a Chunk message carries besides its data: digest 32, offset 8, total 8, count 4.
inline constexpr std::uint32_t kChunkOverheadBytes = 52;

// The largest message is a full Chunk; everything else is text of at most 64 KB.
inline constexpr std::uint64_t kMaxPayloadBytes = kChunkBytes + kChunkOverheadBytes;
inline constexpr std::uint64_t kMaxFrameBytes = kFrameHeaderBytes + kMaxPayloadBytes;

enum class MessageType : std::uint16_t {
  kRefusal = 1,
  kEnrolRequest = 2,
  kEnrolPoll = 3,
  kEnrolStatus = 4,
  kHello = 5,
  kWelcome = 6,
  kWorkRequest = 7,
  kAssignment = 8,
  kProgress = 9,
  kSubmission = 10,
  kReceipt = 11,
  kHave = 12,
  kHaveReply = 13,
  kGet = 14,
  kChunk = 15,
  kChunkAck = 16,
  kPut = 17,
  kPutStatus = 18,
  kPing = 19,
  kPong = 20,
};
inline constexpr std::uint16_t kLastMessageType = 20;  // Types are numbered without gaps from 1.

enum class FrameError {
  kTruncated = 1,  // Fewer bytes than the header needs or claims.
  kBadMagic,       // Not one of our messages at all.
  kBadVersion,     // One of ours, from a program that speaks another version.
  kUnknownType,
  kOversize,  // The header claims more than kMaxPayloadBytes; nothing was reserved for it.
  kTrailingBytes,
};

// "bad_magic", ...; for logs and refusals.
[[nodiscard]] std::string_view FrameErrorName(FrameError error) noexcept;

struct FrameView {
  MessageType type{};
  ByteView payload;
};

[[nodiscard]] std::variant<FrameView, FrameError> DecodeFrame(ByteView bytes) noexcept;

// The header of a frame whose payload has `payload_bytes` bytes (at most kMaxPayloadBytes).
[[nodiscard]] std::array<std::uint8_t, kFrameHeaderBytes> EncodeFrameHeader(MessageType type,
                                                                            std::uint64_t payload_bytes) noexcept;

}  // namespace hemafed::wire
