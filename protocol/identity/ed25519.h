// protocol/identity/ed25519.h
// SPDX-License-Identifier: Apache-2.0
//
// Ed25519 keys and signatures (RFC 8032) through OpenSSL. What is signed is never chosen here: project messages go
// through protocol/identity/statement.h, the log's checkpoints through protocol/log/note.h. Do not sign bytes that a
// peer chose with the plain Sign below.
//
// Private keys are files in PEM, PKCS#8 (what `openssl genpkey -algorithm ed25519` writes), readable by their owner
// only. They are copied nowhere else and appear in no message.
//
// Errors: kInvalidInput for a file that is not such a key, kConflict for a file that exists or that others may read,
// kInternal when OpenSSL fails. Verification never throws for wrong bytes: it answers false.
//
// Thread-safety: values; a key pair may be used from several threads at once.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/file_system.h"

namespace hemafed {

using Ed25519Signature = std::array<std::uint8_t, 64>;

struct Ed25519PublicKey {
  std::array<std::uint8_t, 32> bytes{};

  [[nodiscard]] std::string Hex() const { return HexEncode(bytes); }
  // 64 lower-case hexadecimal characters, or nothing. Says nothing about whether the bytes are a point of the curve.
  [[nodiscard]] static std::optional<Ed25519PublicKey> FromHex(std::string_view text);
  auto operator<=>(const Ed25519PublicKey&) const = default;
};

class Ed25519KeyPair {
 public:
  // A new key from the operating system's random numbers.
  [[nodiscard]] static Ed25519KeyPair Generate();
  // The key of a 32-byte seed (RFC 8032 section 5.1.5): for tests and for the simulator with fixed keys.
  [[nodiscard]] static Ed25519KeyPair FromSeed(const std::array<std::uint8_t, 32>& seed);
  // Refuses a file that its group or others may read or write, and says how to correct it.
  [[nodiscard]] static Ed25519KeyPair Load(FileSystem& files, const Path& path);

  // Writes the file atomically with mode 0600. A key that is already there is never replaced: throws kConflict.
  void Save(FileSystem& files, const Path& path) const;

  [[nodiscard]] const Ed25519PublicKey& PublicKey() const noexcept { return public_key_; }
  // Deterministic: the same key and message give the same 64 bytes.
  [[nodiscard]] Ed25519Signature Sign(ByteView message) const;
  [[nodiscard]] Ed25519Signature Sign(std::string_view message) const { return Sign(AsBytes(message)); }

 private:
  struct Key;
  explicit Ed25519KeyPair(std::shared_ptr<const Key> key);

  std::shared_ptr<const Key> key_;
  Ed25519PublicKey public_key_;
};

// True only for 64 bytes that the key's owner made for exactly this message. Signatures whose scalar is not reduced
// are refused, so one message has one signature for one key unless the owner makes more.
[[nodiscard]] bool Verify(const Ed25519PublicKey& key, ByteView message, ByteView signature);
[[nodiscard]] inline bool Verify(const Ed25519PublicKey& key, std::string_view message, ByteView signature) {
  return Verify(key, AsBytes(message), signature);
}

}  // namespace hemafed
