// common/hpke.h
// SPDX-License-Identifier: Apache-2.0
//
// Hybrid public key encryption: whoever knows a public key can encrypt to its owner, and nobody else can open it (RFC
// 9180). One suite, base mode only: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. OpenSSL 3.0 has the
// primitives but not HPKE itself; this is the schedule of the RFC over them, section numbers beside each step.
//
//     sender                                        recipient
//     HpkeSender s(public_key, info)                HpkeRecipient r(private_key, s.encapsulated(), info)
//     c0 = s.Seal(aad0, text0)                      text0 = r.Open(aad0, c0)
//     c1 = s.Seal(aad1, text1)  ...                 text1 = r.Open(aad1, c1)  ...      in the same order
//
// NOT authenticated: base mode says nothing about who sent it. Anybody can make a message that opens. Who needs to know
// the sender signs the ciphertext's digest, as docs/sealed_bundle.md does.
//
// A message is sealed under the nonce of its place in the sequence, so one that was repeated, left out or put elsewhere
// does not open. `info` and each `aad` must be the same on both sides; they are not sent.
//
// Errors: kInvalidInput: a point of low order (it would make the secret independent of the keys, RFC 9180 7.1.4), or
// more bytes than the limits below; kConflict: more messages than a context may carry; kInternal: OpenSSL failed. A
// ciphertext that does not open is a value (nullopt), whatever the cause: wrong key, info, aad, place, or changed bytes
// cannot be told apart. Messages hold no keys and no plaintext.
// Thread-safety: keys are values; a context belongs to one thread.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/secret.h"

namespace hemafed {

inline constexpr std::size_t kHpkeTagBytes = 16;
// A context string with a few digests and names; RFC 9180 7.2.1 would allow far more.
inline constexpr std::size_t kMaxHpkeInfoBytes = 4096;
inline constexpr std::size_t kMaxHpkeAadBytes = 4096;
// One message is held in memory twice. Longer contents go in several messages (1 MiB chunks in a sealed bundle).
inline constexpr std::size_t kMaxHpkePlaintextBytes = 64u << 20;
// Messages of one context; a sealed bundle has at most 4,096. Far below the 2^96 of the RFC and 2^32 of GCM.
inline constexpr std::uint64_t kMaxHpkeMessages = 65'536;

// An X25519 point. Any 32 bytes are one; those of low order are refused when they are used.
struct HpkePublicKey {
  static constexpr std::size_t kBytes = 32;
  std::array<std::uint8_t, kBytes> bytes{};

  [[nodiscard]] std::string Hex() const { return HexEncode(bytes); }
  // 64 lower-case hexadecimal characters, or nothing.
  [[nodiscard]] static std::optional<HpkePublicKey> FromHex(std::string_view text);
  auto operator<=>(const HpkePublicKey&) const = default;  // NOLINT(modernize-use-nullptr): clang-tidy 14's mistake
};

// Any 32 bytes are a private key. Kept in a file with LoadOrCreateSealKey (common/sealed_file.h): mode 0600, 32 raw
// random bytes.
class HpkePrivateKey {
 public:
  static constexpr std::size_t kBytes = 32;

  explicit HpkePrivateKey(std::span<const std::uint8_t, kBytes> bytes);
  // From the operating system's random numbers.
  [[nodiscard]] static HpkePrivateKey Generate();
  // DeriveKeyPair (7.1.3): the key of at least 32 secret bytes; for published vectors and for simulators with fixed
  // keys.
  [[nodiscard]] static HpkePrivateKey Derive(ByteView key_material);

  [[nodiscard]] const HpkePublicKey& PublicKey() const { return public_key_; }
  [[nodiscard]] std::span<const std::uint8_t, kBytes> bytes() const { return bytes_.view(); }

 private:
  Secret<kBytes> bytes_;
  HpkePublicKey public_key_;
};

// Key, base nonce and place of one direction (5.1, 5.2).
class HpkeContext {
 public:
  [[nodiscard]] std::uint64_t sequence() const { return sequence_; }  // Messages so far.

 protected:
  HpkeContext(const Secret<32>& shared_secret, ByteView info);

  // The next message; throws kConflict after the last one that a context may carry.
  [[nodiscard]] std::array<std::uint8_t, 12> Nonce() const;

  Secret<32> key_;
  Secret<12> base_nonce_;
  std::uint64_t sequence_ = 0;
};

class HpkeSender : public HpkeContext {
 public:
  // SetupBaseS (5.1.1) with a new ephemeral key.
  HpkeSender(const HpkePublicKey& recipient, ByteView info);
  // The same with a chosen ephemeral key, for published vectors and worked examples. Two messages to one recipient with
  // the same ephemeral key and info reuse key and nonces: both are then readable. Never use it for contents.
  HpkeSender(const HpkePublicKey& recipient, ByteView info, const HpkePrivateKey& ephemeral);

  // `enc` of the RFC: what the recipient needs beside its private key.
  [[nodiscard]] const HpkePublicKey& encapsulated() const { return encapsulated_; }
  // Ciphertext and tag: kHpkeTagBytes longer than the plaintext.
  [[nodiscard]] Bytes Seal(ByteView aad, ByteView plaintext);

 private:
  HpkePublicKey encapsulated_;
};

class HpkeRecipient : public HpkeContext {
 public:
  // SetupBaseR (5.1.1).
  HpkeRecipient(const HpkePrivateKey& key, const HpkePublicKey& encapsulated, ByteView info);

  // The plaintext, or nothing; after nothing the same place can be tried again.
  [[nodiscard]] std::optional<Bytes> Open(ByteView aad, ByteView ciphertext);
};

// Single-shot forms (6.1): the encapsulated key, then the only message.
[[nodiscard]] Bytes HpkeSeal(const HpkePublicKey& recipient, ByteView info, ByteView aad, ByteView plaintext);
[[nodiscard]] std::optional<Bytes> HpkeOpen(const HpkePrivateKey& key, ByteView info, ByteView aad, ByteView sealed);

}  // namespace hemafed
