// protocol/log/note.h
// SPDX-License-Identifier: Apache-2.0
//
// Signed notes (https://c2sp.org/signed-note): a text, a blank line, and signature lines
//
//   "— " name " " base64(key id: 4 bytes, big-endian || signature) "\n"
//   key id = first 4 bytes of SHA-256(name || "\n" || type || public key)
//
// with two signature types: Ed25519 over the text (0x01), and the timestamped cosignature/v1 of
// https://c2sp.org/tlog-cosignature (0x04), whose signature is u64 big-endian seconds || Ed25519 over
//
//   "cosignature/v1\ntime " seconds "\n" text
//
// Parsing is strict and bounded: a parsed note encodes to the very same bytes. Signatures by keys that the reader does
// not know are kept and ignored, as the format demands.
//
// Errors: text that is not a note is nothing (std::nullopt); signing text that cannot be a note throws kInvalidInput.
// Thread-safety: values and free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "protocol/identity/ed25519.h"

namespace hemafed {

// Bytes of one note. A cosignature line is about 150 bytes; a roster of a thousand labs still fits.
inline constexpr std::size_t kMaxNoteBytes = 256u << 10;
// Signature lines in one note; bounds the work that a stranger's note can cause.
inline constexpr std::size_t kMaxNoteSignatures = 1024;
// Bytes of a key name or an origin: a URL without scheme.
inline constexpr std::size_t kMaxKeyNameBytes = 255;

enum class NoteKeyType : std::uint8_t { kEd25519 = 0x01, kCosignature = 0x04 };

// Who may sign: written as "name+8 hex digits+base64(type || public key)" in trust files.
struct NoteKey {
  std::string name;
  NoteKeyType type = NoteKeyType::kEd25519;
  Ed25519PublicKey key;

  [[nodiscard]] std::uint32_t Id() const;
  [[nodiscard]] std::string Encode() const;
  [[nodiscard]] static std::optional<NoteKey> Parse(std::string_view text);
  bool operator==(const NoteKey&) const = default;
};

struct NoteSignature {
  std::string name;
  std::uint32_t key_id = 0;
  Bytes signature;  // Without the key id.
  bool operator==(const NoteSignature&) const = default;
};

struct Note {
  std::string text;  // Ends with a newline.
  std::vector<NoteSignature> signatures;

  [[nodiscard]] std::string Encode() const;
  [[nodiscard]] static std::optional<Note> Parse(std::string_view bytes);
};

// Non-empty UTF-8 without spaces, control characters and '+', at most kMaxKeyNameBytes.
[[nodiscard]] bool IsKeyName(std::string_view name);

[[nodiscard]] NoteSignature SignNote(std::string_view text, const std::string& name, const Ed25519KeyPair& key);
// `time_s`: seconds since 1970-01-01T00:00:00Z, at most 2^63 - 1.
[[nodiscard]] NoteSignature CosignNote(std::string_view text, const std::string& name, const Ed25519KeyPair& key,
                                       std::uint64_t time_s);

enum class NoteVerdict : std::uint8_t {
  kVerified,        // A signature by the key is there, and every one by it is right.
  kNotSignedByKey,  // No signature carries the key's name and id.
  kWrongSignature,  // One claims to be by the key and is not: the note is to be rejected as a whole.
};
[[nodiscard]] NoteVerdict VerifyNote(const Note& note, const NoteKey& key);

// The time of a verified cosignature, the latest if there are several; nothing unless VerifyNote says kVerified and
// the key is of type kCosignature.
[[nodiscard]] std::optional<std::uint64_t> CosignatureTime(const Note& note, const NoteKey& key);

}  // namespace hemafed
