// common/sha256.h
// SPDX-License-Identifier: Apache-2.0
//
// SHA-256 (FIPS 180-4) through OpenSSL. A Digest names an object everywhere: files, updates, models, log entries.
//
// Throws Error(kInternal) if the library fails (out of memory). Thread-safety: one Sha256 belongs to one thread.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/bytes.h"

namespace hemafed {

struct Digest {
  std::array<std::uint8_t, 32> bytes{};

  [[nodiscard]] std::string Hex() const { return HexEncode(bytes); }
  // 64 lower-case hexadecimal characters, or nothing.
  [[nodiscard]] static std::optional<Digest> FromHex(std::string_view text);
  auto operator<=>(const Digest&) const = default;  // NOLINT(modernize-use-nullptr): clang-tidy 14's mistake
};

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  Sha256& Update(ByteView bytes);
  Sha256& Update(std::string_view text) { return Update(AsBytes(text)); }
  // Ends this computation and starts a new one.
  [[nodiscard]] Digest Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

[[nodiscard]] Digest Sha256Of(ByteView bytes);
[[nodiscard]] inline Digest Sha256Of(std::string_view text) { return Sha256Of(AsBytes(text)); }

}  // namespace hemafed
