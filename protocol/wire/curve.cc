// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/curve.h"

#include <zmq.h>

#include <algorithm>

#include "common/error.h"

namespace hemafed::wire {

namespace {

constexpr std::size_t kZ85Characters = 40;
constexpr std::string_view kFileHeader = "hemafed curve key pair, version 1\n";
constexpr std::string_view kPublicLabel = "public ";
constexpr std::string_view kSecretLabel = "secret ";
constexpr std::uint64_t kKeyFileLimitBytes = 256;  // The file has 130.

CurveKey MustDecode(std::string_view text) {
  const auto key = Z85Decode(text);
  if (!key) throw Error(ErrorCode::kInternal, "CURVE: libzmq returned a key that is not Z85");
  return *key;
}

// The rest of the line after `label`; removes the line from `text`.
std::optional<CurveKey> TakeKeyLine(std::string_view& text, std::string_view label) {
  if (!text.starts_with(label) || text.size() < label.size() + kZ85Characters + 1) return std::nullopt;
  const auto key = Z85Decode(text.substr(label.size(), kZ85Characters));
  text.remove_prefix(label.size() + kZ85Characters);
  if (!text.starts_with('\n')) return std::nullopt;
  text.remove_prefix(1);
  return key;
}

}  // namespace

CurveKeyPair GenerateCurveKeyPair() {
  std::array<char, kZ85Characters + 1> public_text{};
  std::array<char, kZ85Characters + 1> secret_text{};
  if (::zmq_curve_keypair(public_text.data(), secret_text.data()) != 0) {
    throw Error(ErrorCode::kInternal, "this build of libzmq has no CURVE; install one that is built with libsodium");
  }
  return {MustDecode(public_text.data()), MustDecode(secret_text.data())};
}

CurveKey CurvePublicKeyOf(const CurveKey& secret_key) {
  std::array<char, kZ85Characters + 1> public_text{};
  if (::zmq_curve_public(public_text.data(), Z85Encode(secret_key).c_str()) != 0) {
    throw Error(ErrorCode::kInternal, "this build of libzmq has no CURVE; install one that is built with libsodium");
  }
  return MustDecode(public_text.data());
}

std::string Z85Encode(const CurveKey& key) {
  std::array<char, kZ85Characters + 1> text{};
  ::zmq_z85_encode(text.data(), key.data(), key.size());
  return text.data();
}

std::optional<CurveKey> Z85Decode(std::string_view text) {
  // A NUL inside would end the text early for libzmq's C interface.
  if (text.size() != kZ85Characters || text.find('\0') != std::string_view::npos) return std::nullopt;
  CurveKey key;
  if (::zmq_z85_decode(key.data(), std::string(text).c_str()) == nullptr) return std::nullopt;
  if (Z85Encode(key) != text) return std::nullopt;
  return key;
}

void SaveCurveKeyPair(FileSystem& files, const Path& path, const CurveKeyPair& keys) {
  std::string content(kFileHeader);
  content.append(kPublicLabel).append(Z85Encode(keys.public_key)).append("\n");
  content.append(kSecretLabel).append(Z85Encode(keys.secret_key)).append("\n");
  WriteFileAtomically(files, path, content, 0600);
}

CurveKeyPair LoadCurveKeyPair(FileSystem& files, const Path& path) {
  const std::string content = ReadFile(files, path, kKeyFileLimitBytes);
  std::string_view text = content;
  const auto damaged = [&](const char* what) {
    return Error(ErrorCode::kCorrupt,
                 path.string() + " " + what + "; restore it from a copy, or enrol this machine again with new keys");
  };
  if (!text.starts_with(kFileHeader)) throw damaged("is not a CURVE key file");
  text.remove_prefix(kFileHeader.size());
  const auto public_key = TakeKeyLine(text, kPublicLabel);
  const auto secret_key = TakeKeyLine(text, kSecretLabel);
  if (!public_key || !secret_key || !text.empty()) throw damaged("is damaged");
  if (CurvePublicKeyOf(*secret_key) != *public_key) throw damaged("holds two keys that do not belong together");
  return {*public_key, *secret_key};
}

}  // namespace hemafed::wire
