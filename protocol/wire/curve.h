// protocol/wire/curve.h
// SPDX-License-Identifier: Apache-2.0
//
// CURVE key pairs (Curve25519, ZMTP 3.1 with RFC 26/CurveZMQ): what proves to each end of a connection who the other
// one is. Raw 32 bytes inside the program; Z85 (ZeroMQ RFC 32: 40 printable characters) in key files and tokens.
//
// The secret key never leaves the folder it was made in: it is written with mode 0600 and appears in no message or log.
//
// Errors: Generate throws Error(kInternal) if libzmq was built without CURVE. Load throws Error(kCorrupt) when the file
// is not a key file or its halves do not belong together, and what FileSystem throws.
//
// Thread-safety: free functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/file_system.h"

namespace hemafed::wire {

using CurveKey = std::array<std::uint8_t, 32>;

struct CurveKeyPair {
  CurveKey public_key{};
  CurveKey secret_key{};
};

[[nodiscard]] CurveKeyPair GenerateCurveKeyPair();
[[nodiscard]] CurveKey CurvePublicKeyOf(const CurveKey& secret_key);

[[nodiscard]] std::string Z85Encode(const CurveKey& key);
// Exactly 40 characters of the alphabet, in the one form that encodes back to itself.
[[nodiscard]] std::optional<CurveKey> Z85Decode(std::string_view text);

void SaveCurveKeyPair(FileSystem& files, const Path& path, const CurveKeyPair& keys);
[[nodiscard]] CurveKeyPair LoadCurveKeyPair(FileSystem& files, const Path& path);

}  // namespace hemafed::wire
