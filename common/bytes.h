// common/bytes.h
// SPDX-License-Identifier: Apache-2.0
//
// Byte strings and the few textual forms of them. Everything on disk and on the wire is little-endian unless its page
// says otherwise (RFC 6962 and C2SP formats are big-endian where they are).
//
// Decoders return std::nullopt for text that is not the canonical form: odd length, foreign characters, wrong padding.
//
// Thread-safety: free functions without state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hemafed {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

[[nodiscard]] inline ByteView AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
[[nodiscard]] inline std::string_view AsText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
[[nodiscard]] inline Bytes ToBytes(std::string_view text) { return {text.begin(), text.end()}; }

// Lower-case hexadecimal, two characters a byte.
[[nodiscard]] std::string HexEncode(ByteView bytes);
[[nodiscard]] std::optional<Bytes> HexDecode(std::string_view text);

// RFC 4648 section 4, with padding; decoding also demands that the unused bits are zero.
[[nodiscard]] std::string Base64Encode(ByteView bytes);
[[nodiscard]] std::optional<Bytes> Base64Decode(std::string_view text);

// RFC 4648 section 6 without padding, lower-case: for fingerprints that people compare by eye.
[[nodiscard]] std::string Base32Encode(ByteView bytes);

// Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] bool IsUtf8(std::string_view text);

template <typename Integer>
void StoreLittleEndian(Integer value, std::uint8_t* out) {
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    out[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8 * i));
  }
}

template <typename Integer>
[[nodiscard]] Integer LoadLittleEndian(const std::uint8_t* in) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) value |= static_cast<std::uint64_t>(in[i]) << (8 * i);
  return static_cast<Integer>(value);
}

}  // namespace hemafed
