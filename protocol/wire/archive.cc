// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/archive.h"

#include <algorithm>

namespace hemafed::wire {

namespace {

// Length of the UTF-8 sequence at the front of `text`, 0 if there is none; `code` receives the code point.
std::size_t TakeCodePoint(std::string_view text, std::uint32_t& code) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) {
    code = first;
    return 1;
  }
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  code = first & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  constexpr std::array<std::uint32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  return code < kSmallest[length] || surrogate || code > 0x10FFFF ? 0 : length;
}

}  // namespace

bool IsPlainText(std::string_view text, TextRule rule) noexcept {
  while (!text.empty()) {
    std::uint32_t code = 0;
    const std::size_t length = TakeCodePoint(text, code);
    if (length == 0) return false;
    const bool control = code < 0x20 || (code >= 0x7F && code < 0xA0);
    if (control && !(code == '\n' && rule == TextRule::kPage)) return false;
    text.remove_prefix(length);
  }
  return true;
}

void WireOutput::WriteCounted(ByteView bytes, std::size_t limit_bytes, const char* what) {
  if (bytes.size() > limit_bytes) {
    Fail(std::string(what) + " of " + std::to_string(bytes.size()) + " bytes where " + std::to_string(limit_bytes) +
         " are allowed");
    return;
  }
  std::array<std::uint8_t, 4> count{};
  StoreLittleEndian(static_cast<std::uint32_t>(bytes.size()), count.data());
  Write(count);
  Write(bytes);
}

void WireInput::Read(std::span<std::uint8_t> out) {
  if (out.size() > left_.size()) Fail("ends in the middle of a field");
  if (failed()) {
    std::fill(out.begin(), out.end(), std::uint8_t{0});
    return;
  }
  std::copy_n(left_.begin(), out.size(), out.begin());
  left_ = left_.subspan(out.size());
}

ByteView WireInput::ReadCounted(std::size_t limit_count, std::size_t unit_bytes, const char* what) {
  std::uint32_t count = 0;
  load(*this, count);
  if (count > limit_count) {
    Fail(std::string(what) + " count " + std::to_string(count) + " where " + std::to_string(limit_count) +
         " are allowed");
  }
  if (count > left_.size() / unit_bytes) {
    Fail(std::string(what) + " count " + std::to_string(count) + " is more than the message holds");
  }
  if (failed()) return {};
  const ByteView bytes = left_.first(count * unit_bytes);
  left_ = left_.subspan(bytes.size());
  return bytes;
}

std::string WireInput::Finish() {
  if (!left_.empty()) Fail(std::to_string(left_.size()) + " bytes after the last field");
  return failure_;
}

void save(WireOutput& archive, const TextField& field) {
  if (!IsPlainText(field.value, field.rule)) archive.Fail("a text that is not UTF-8 without control characters");
  archive.WriteCounted(AsBytes(field.value), field.limit_bytes, "a text");
}
void load(WireInput& archive, TextField& field) {
  const std::string_view text = AsText(archive.ReadCounted(field.limit_bytes, 1, "text"));
  if (!IsPlainText(text, field.rule)) return archive.Fail("a text that is not UTF-8 without control characters");
  field.value.assign(text);
}

void save(WireOutput& archive, const BlobField& field) { archive.WriteCounted(field.value, field.limit_bytes, "data"); }
void load(WireInput& archive, BlobField& field) {
  const ByteView bytes = archive.ReadCounted(field.limit_bytes, 1, "data");
  field.value.assign(bytes.begin(), bytes.end());
}

void save(WireOutput& archive, const DigestList& field) {
  if (field.value.size() > field.limit_count) {
    return archive.Fail("a list of " + std::to_string(field.value.size()) + " digests where " +
                        std::to_string(field.limit_count) + " are allowed");
  }
  save(archive, static_cast<std::uint32_t>(field.value.size()));
  for (const Digest& digest : field.value) save(archive, digest);
}
void load(WireInput& archive, DigestList& field) {
  ByteView bytes = archive.ReadCounted(field.limit_count, sizeof(Digest::bytes), "digest");
  field.value.resize(bytes.size() / sizeof(Digest::bytes));
  for (Digest& digest : field.value) {
    std::copy_n(bytes.begin(), digest.bytes.size(), digest.bytes.begin());
    bytes = bytes.subspan(digest.bytes.size());
  }
}

void save(WireOutput& archive, const FlagField& field) { save(archive, static_cast<std::uint8_t>(field.value)); }
void load(WireInput& archive, FlagField& field) {
  std::uint8_t byte = 0;
  load(archive, byte);
  if (byte > 1) archive.Fail("a yes-or-no field holds " + std::to_string(byte));
  field.value = byte == 1;
}

}  // namespace hemafed::wire
