// protocol/log/note.cc
// SPDX-License-Identifier: Apache-2.0
#include "protocol/log/note.h"

#include <algorithm>
#include <array>
#include <limits>

#include "common/error.h"
#include "common/sha256.h"

namespace hemafed {

namespace {

constexpr std::string_view kSignaturePrefix = "\u2014 ";  // Em dash, space.
constexpr std::size_t kKeyIdBytes = 4;
constexpr std::size_t kTimeBytes = 8;
// Bytes of the longest signature kept for an unknown key, without its id: post-quantum ones have just under 5,000.
constexpr std::size_t kMaxSignatureBytes = 8192;

template <typename Integer>
void AppendBigEndian(Bytes& out, Integer value) {
  for (std::size_t i = sizeof(Integer); i-- > 0;) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

std::uint64_t LoadBigEndian(ByteView bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

Bytes KeyMaterial(const NoteKey& key) {
  Bytes material{static_cast<std::uint8_t>(key.type)};
  material.insert(material.end(), key.key.bytes.begin(), key.key.bytes.end());
  return material;
}

std::string HexOfId(std::uint32_t id) {
  Bytes bytes;
  AppendBigEndian(bytes, id);
  return HexEncode(bytes);
}

// Text that a note can carry: ends with a newline, UTF-8, no control character but newlines.
bool IsNoteText(std::string_view text) {
  return !text.empty() && text.back() == '\n' && text.size() <= kMaxNoteBytes &&
         std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\n'; }) &&
         IsUtf8(text);
}

void RequireSignable(std::string_view text, const std::string& name) {
  if (IsNoteText(text) && IsKeyName(name)) return;
  throw Error(ErrorCode::kInvalidInput, "cannot sign as '" + name +
                                            "': the name needs 1 to 255 characters without space and '+', the text "
                                            "must be UTF-8 that ends with a newline, without control characters");
}

std::string CosignedMessage(std::string_view text, std::uint64_t time_s) {
  return "cosignature/v1\ntime " + std::to_string(time_s) + "\n" + std::string(text);
}

std::optional<NoteSignature> ParseSignatureLine(std::string_view line) {
  if (!line.starts_with(kSignaturePrefix)) return std::nullopt;
  line.remove_prefix(kSignaturePrefix.size());
  const auto space = line.find(' ');
  if (space == std::string_view::npos || !IsKeyName(line.substr(0, space))) return std::nullopt;
  const auto decoded = Base64Decode(line.substr(space + 1));
  if (!decoded || decoded->size() <= kKeyIdBytes || decoded->size() > kKeyIdBytes + kMaxSignatureBytes) {
    return std::nullopt;
  }
  NoteSignature signature;
  signature.name = line.substr(0, space);
  signature.key_id = static_cast<std::uint32_t>(LoadBigEndian(ByteView(*decoded).first(kKeyIdBytes)));
  signature.signature.assign(decoded->begin() + kKeyIdBytes, decoded->end());
  return signature;
}

bool VerifyOne(std::string_view text, const NoteSignature& signature, const NoteKey& key) {
  const ByteView bytes(signature.signature);
  if (key.type == NoteKeyType::kEd25519) return Verify(key.key, text, bytes);
  if (bytes.size() < kTimeBytes) return false;
  const std::uint64_t time_s = LoadBigEndian(bytes.first(kTimeBytes));
  if (time_s > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return false;
  return Verify(key.key, CosignedMessage(text, time_s), bytes.subspan(kTimeBytes));
}

}  // namespace

bool IsKeyName(std::string_view name) {
  if (name.empty() || name.size() > kMaxKeyNameBytes || !IsUtf8(name)) return false;
  for (const char c : name) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == '+' || c == 0x7f) return false;
  }
  // Unicode's White_Space beyond ASCII; UTF-8 lets them be searched as byte strings.
  constexpr std::array<std::string_view, 18> kSpaces{"\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002",
                                                     "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008",
                                                     "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f"};
  return name.find("\u3000") == std::string_view::npos &&
         std::none_of(kSpaces.begin(), kSpaces.end(),
                      [&](std::string_view space) { return name.find(space) != std::string_view::npos; });
}

std::uint32_t NoteKey::Id() const {
  const Digest digest = Sha256().Update(name).Update("\n").Update(KeyMaterial(*this)).Finish();
  return static_cast<std::uint32_t>(LoadBigEndian(ByteView(digest.bytes).first(kKeyIdBytes)));
}

std::string NoteKey::Encode() const { return name + "+" + HexOfId(Id()) + "+" + Base64Encode(KeyMaterial(*this)); }

std::optional<NoteKey> NoteKey::Parse(std::string_view text) {
  // Names hold no '+', base64 may: the first two separate the parts.
  const auto first = text.find('+');
  const auto second = first == std::string_view::npos ? first : text.find('+', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  NoteKey key;
  key.name = text.substr(0, first);
  const auto material = Base64Decode(text.substr(second + 1));
  if (!IsKeyName(key.name) || !material || material->size() != 1 + key.key.bytes.size()) return std::nullopt;
  key.type = static_cast<NoteKeyType>(material->front());
  if (key.type != NoteKeyType::kEd25519 && key.type != NoteKeyType::kCosignature) return std::nullopt;
  std::copy(material->begin() + 1, material->end(), key.key.bytes.begin());
  if (text.substr(first + 1, second - first - 1) != HexOfId(key.Id())) return std::nullopt;
  return key;
}

std::string Note::Encode() const {
  std::string out = text + "\n";
  for (const NoteSignature& signature : signatures) {
    Bytes bytes;
    AppendBigEndian(bytes, signature.key_id);
    bytes.insert(bytes.end(), signature.signature.begin(), signature.signature.end());
    out.append(kSignaturePrefix).append(signature.name).append(" ").append(Base64Encode(bytes)).append("\n");
  }
  return out;
}

std::optional<Note> Note::Parse(std::string_view bytes) {
  if (bytes.size() > kMaxNoteBytes) return std::nullopt;
  // The text ends at the last empty line of the note.
  const auto blank = bytes.rfind("\n\n");
  if (blank == std::string_view::npos) return std::nullopt;
  Note note;
  note.text = bytes.substr(0, blank + 1);
  if (!IsNoteText(note.text)) return std::nullopt;
  std::string_view lines = bytes.substr(blank + 2);
  while (!lines.empty()) {
    const auto end = lines.find('\n');
    if (end == std::string_view::npos || note.signatures.size() == kMaxNoteSignatures) return std::nullopt;
    auto signature = ParseSignatureLine(lines.substr(0, end));
    if (!signature) return std::nullopt;
    note.signatures.push_back(std::move(*signature));
    lines.remove_prefix(end + 1);
  }
  if (note.signatures.empty()) return std::nullopt;
  return note;
}

NoteSignature SignNote(std::string_view text, const std::string& name, const Ed25519KeyPair& key) {
  RequireSignable(text, name);
  const Ed25519Signature signature = key.Sign(text);
  return {name, NoteKey{name, NoteKeyType::kEd25519, key.PublicKey()}.Id(), Bytes(signature.begin(), signature.end())};
}

NoteSignature CosignNote(std::string_view text, const std::string& name, const Ed25519KeyPair& key,
                         std::uint64_t time_s) {
  RequireSignable(text, name);
  if (time_s > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    throw Error(ErrorCode::kInvalidInput,
                "a cosignature's time must be below 2^63 seconds; check this machine's clock");
  }
  NoteSignature result{name, NoteKey{name, NoteKeyType::kCosignature, key.PublicKey()}.Id(), {}};
  AppendBigEndian(result.signature, time_s);
  const Ed25519Signature signature = key.Sign(CosignedMessage(text, time_s));
  result.signature.insert(result.signature.end(), signature.begin(), signature.end());
  return result;
}

NoteVerdict VerifyNote(const Note& note, const NoteKey& key) {
  const std::uint32_t id = key.Id();
  NoteVerdict verdict = NoteVerdict::kNotSignedByKey;
  for (const NoteSignature& signature : note.signatures) {
    if (signature.key_id != id || signature.name != key.name) continue;
    if (!VerifyOne(note.text, signature, key)) return NoteVerdict::kWrongSignature;
    verdict = NoteVerdict::kVerified;
  }
  return verdict;
}

std::optional<std::uint64_t> CosignatureTime(const Note& note, const NoteKey& key) {
  if (key.type != NoteKeyType::kCosignature || VerifyNote(note, key) != NoteVerdict::kVerified) return std::nullopt;
  std::uint64_t latest_s = 0;
  for (const NoteSignature& signature : note.signatures) {
    if (signature.key_id != key.Id() || signature.name != key.name) continue;
    latest_s = std::max(latest_s, LoadBigEndian(ByteView(signature.signature).first(kTimeBytes)));
  }
  return latest_s;
}

}  // namespace hemafed
