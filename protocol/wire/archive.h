// protocol/wire/archive.h
// SPDX-License-Identifier: Apache-2.0
//
// Two Cereal archives of our own. Cereal describes the fields of a message (one serialize() for both directions); these
// archives decide how each becomes bytes and refuse everything that is not exactly one valid message:
//
//     integers   little-endian, 1, 2, 4 or 8 bytes
//     FlagField      one byte, 0 or 1
//     EnumField      an enumeration as its underlying integer; IsKnown(value) must hold
//     TextField      u32 count, then UTF-8 without control characters ('\n' only where said); at most the stated bytes
//     BlobField      u32 count, then bytes; at most the stated bytes
//     DigestList     u32 count, then digests of 32 bytes; at most the stated number
//     arrays of bytes and Digest: their bytes, no count
//
// A count is compared with the limit of its field and with the bytes that are left before anything is reserved.
// Strings, vectors, bare enumerations, bool, pointers and floating point do not compile: each needs one of the wrappers
// above, or has no place in a message. Cereal's own headers for containers are not included anywhere.
//
// Errors: both archives keep the first failure as text and turn every later call into nothing (reading yields zeros);
// the caller asks once at the end. Cereal's functions return nothing, and a hostile peer should not cost an exception.
//
// Thread-safety: an archive belongs to one thread.
#pragma once

#include <array>
#include <cereal/cereal.hpp>
#include <concepts>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/bytes.h"
#include "common/sha256.h"

namespace hemafed::wire {

enum class TextRule {
  kLine,  // No control characters at all.
  kPage,  // '\n' is allowed: notes, JSON texts, explanations.
};

// Valid UTF-8 (no overlong forms, surrogates or values above U+10FFFF) without C0, DEL and C1 control characters.
[[nodiscard]] bool IsPlainText(std::string_view text, TextRule rule) noexcept;

// Wrappers that carry a field's limit. They borrow the field for the length of one archive call.
struct TextField {
  TextField(std::string& field, std::size_t limit, TextRule text_rule = TextRule::kLine)
      : value(field), limit_bytes(limit), rule(text_rule) {}
  std::string& value;
  std::size_t limit_bytes;
  TextRule rule;
};
struct BlobField {
  BlobField(Bytes& field, std::size_t limit) : value(field), limit_bytes(limit) {}
  Bytes& value;
  std::size_t limit_bytes;
};
struct DigestList {
  DigestList(std::vector<Digest>& field, std::size_t limit) : value(field), limit_count(limit) {}
  std::vector<Digest>& value;
  std::size_t limit_count;
};
struct FlagField {
  explicit FlagField(bool& field) : value(field) {}
  bool& value;
};
template <typename Enum>
struct EnumField {
  explicit EnumField(Enum& field) : value(field) {}
  Enum& value;
};

template <typename T>
concept WireInteger = std::same_as<T, std::uint8_t> || std::same_as<T, std::uint16_t> ||
    std::same_as<T, std::uint32_t> || std::same_as<T, std::uint64_t> || std::same_as<T, std::int64_t>;

class WireOutput : public cereal::OutputArchive<WireOutput, cereal::AllowEmptyClassElision> {
 public:
  // Appends to `out`, which is borrowed.
  explicit WireOutput(Bytes& out) : OutputArchive(this), out_(out) {}

  void Write(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void WriteCounted(ByteView bytes, std::size_t limit_bytes, const char* what);
  void Fail(std::string why) {
    if (failure_.empty()) failure_ = std::move(why);
  }
  // Empty as long as every field was within its limits.
  [[nodiscard]] const std::string& failure() const { return failure_; }

 private:
  Bytes& out_;
  std::string failure_;
};

class WireInput : public cereal::InputArchive<WireInput, cereal::AllowEmptyClassElision> {
 public:
  // Reads from `bytes`, which are borrowed.
  explicit WireInput(ByteView bytes) : InputArchive(this), left_(bytes) {}

  // Fills `out`, with zeros if fewer bytes are left or something failed before.
  void Read(std::span<std::uint8_t> out);
  // The bytes after a u32 count; empty on failure. `unit_bytes` is the size of one counted element.
  [[nodiscard]] ByteView ReadCounted(std::size_t limit_count, std::size_t unit_bytes, const char* what);
  void Fail(std::string why) {
    if (failure_.empty()) failure_ = std::move(why);
  }
  // Empty if all fields were valid and nothing is left over. Call once, after the last field.
  [[nodiscard]] std::string Finish();
  [[nodiscard]] bool failed() const { return !failure_.empty(); }

 private:
  ByteView left_;
  std::string failure_;
};

template <WireInteger T>
void save(WireOutput& archive, const T& value) {
  std::array<std::uint8_t, sizeof(T)> bytes{};
  StoreLittleEndian(value, bytes.data());
  archive.Write(bytes);
}
template <WireInteger T>
void load(WireInput& archive, T& value) {
  std::array<std::uint8_t, sizeof(T)> bytes{};
  archive.Read(bytes);
  value = LoadLittleEndian<T>(bytes.data());
}

template <std::size_t kSize>
void save(WireOutput& archive, const std::array<std::uint8_t, kSize>& value) {
  archive.Write(value);
}
template <std::size_t kSize>
void load(WireInput& archive, std::array<std::uint8_t, kSize>& value) {
  archive.Read(value);
}
inline void save(WireOutput& archive, const Digest& value) { archive.Write(value.bytes); }
inline void load(WireInput& archive, Digest& value) { archive.Read(value.bytes); }

void save(WireOutput& archive, const TextField& field);
void load(WireInput& archive, TextField& field);
void save(WireOutput& archive, const BlobField& field);
void load(WireInput& archive, BlobField& field);
void save(WireOutput& archive, const DigestList& field);
void load(WireInput& archive, DigestList& field);
void save(WireOutput& archive, const FlagField& field);
void load(WireInput& archive, FlagField& field);

template <typename Enum>
void save(WireOutput& archive, const EnumField<Enum>& field) {
  if (!IsKnown(field.value)) archive.Fail("an enumeration has a value without a name");
  archive(static_cast<std::underlying_type_t<Enum>>(field.value));
}
template <typename Enum>
void load(WireInput& archive, EnumField<Enum>& field) {
  std::underlying_type_t<Enum> number{};
  archive(number);
  const auto value = static_cast<Enum>(number);
  if (!archive.failed() && !IsKnown(value)) archive.Fail("unknown value " + std::to_string(number));
  if (!archive.failed()) field.value = value;
}

// Cereal would write any enumeration as a number and read it back unchecked. It does so only for archives registered
// with CEREAL_SETUP_ARCHIVE_TRAITS; these are not, so an enumeration without EnumField does not compile.

}  // namespace hemafed::wire
