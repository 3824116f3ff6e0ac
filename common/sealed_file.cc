// SPDX-License-Identifier: Apache-2.0
#include "common/sealed_file.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <memory>
#include <string>

#include "common/error.h"

namespace hemafed {

namespace {

constexpr std::string_view kMagic = "HMFSEAL1";
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kHeaderBytes = kMagic.size() + kNonceBytes;

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

void Check(int result, const char* call) {
  if (result != 1) throw Error(ErrorCode::kInternal, std::string("OpenSSL ") + call + " failed");
}

void FillRandom(std::span<std::uint8_t> out) {
  Check(RAND_bytes(out.data(), static_cast<int>(out.size())), "RAND_bytes");
}

// A cipher that has taken key, nonce, header and context; ready for the text.
Cipher StartCipher(const SealKey& key, ByteView header, std::string_view context, bool encrypt) {
  Cipher cipher(EVP_CIPHER_CTX_new());
  if (!cipher) throw Error(ErrorCode::kInternal, "OpenSSL has no memory for a cipher");
  Check(EVP_CipherInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.bytes().data(), header.data() + kMagic.size(),
                          encrypt ? 1 : 0),
        "EVP_CipherInit_ex");
  int length = 0;
  for (const ByteView part : {header, AsBytes(context)}) {  // The header has a fixed length: no ambiguity.
    Check(EVP_CipherUpdate(cipher.get(), nullptr, &length, part.data(), static_cast<int>(part.size())),
          "EVP_CipherUpdate");
  }
  return cipher;
}

[[noreturn]] void FailCorrupt(const std::string& problem) { throw Error(ErrorCode::kCorrupt, problem); }

}  // namespace

SealKey::~SealKey() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

SealKey LoadOrCreateSealKey(FileSystem& files, const Path& path) {
  std::array<std::uint8_t, SealKey::kBytes> bytes{};
  if (!files.Exists(path)) {
    FillRandom(bytes);
    WriteFileAtomically(files, path, AsText(bytes), 0600);
  } else {
    if (const auto mode = files.ModeOf(path); mode && (*mode & 077u) != 0) {
      throw Error(ErrorCode::kConflict, "the key " + path.string() +
                                            " can be read or written by other users of this machine; run `chmod 600 " +
                                            path.string() + "`");
    }
    std::string content = ReadFile(files, path, SealKey::kBytes);
    if (content.size() != SealKey::kBytes) {
      throw Error(ErrorCode::kInvalidInput, path.string() + " is not a key: it has " + std::to_string(content.size()) +
                                                " bytes instead of 32; restore it from a copy");
    }
    std::copy(content.begin(), content.end(), bytes.begin());
    OPENSSL_cleanse(content.data(), content.size());
  }
  const SealKey key(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return key;
}

Bytes Seal(const SealKey& key, std::string_view context, ByteView plaintext) {
  if (plaintext.size() > kMaxSealedBytes) {
    throw Error(ErrorCode::kInvalidInput, "cannot seal " + std::to_string(plaintext.size()) + " bytes: the limit is " +
                                              std::to_string(kMaxSealedBytes));
  }
  Bytes sealed(kHeaderBytes + plaintext.size() + kTagBytes);
  std::copy(kMagic.begin(), kMagic.end(), sealed.begin());
  FillRandom(std::span(sealed).subspan(kMagic.size(), kNonceBytes));
  const Cipher cipher = StartCipher(key, ByteView(sealed).first(kHeaderBytes), context, true);
  std::uint8_t* out = sealed.data() + kHeaderBytes;
  int length = 0;
  Check(EVP_CipherUpdate(cipher.get(), out, &length, plaintext.data(), static_cast<int>(plaintext.size())),
        "EVP_CipherUpdate");
  Check(EVP_CipherFinal_ex(cipher.get(), out + length, &length), "EVP_CipherFinal_ex");
  Check(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, out + plaintext.size()),
        "EVP_CTRL_GCM_GET_TAG");
  return sealed;
}

Bytes OpenSealed(const SealKey& key, std::string_view context, ByteView sealed) {
  if (sealed.size() < kHeaderBytes + kTagBytes || sealed.size() > kHeaderBytes + kMaxSealedBytes + kTagBytes ||
      AsText(sealed.first(kMagic.size())) != kMagic) {
    FailCorrupt("not a sealed file: its header or size is wrong; restore it from a copy");
  }
  const ByteView ciphertext = sealed.subspan(kHeaderBytes, sealed.size() - kHeaderBytes - kTagBytes);
  std::array<std::uint8_t, kTagBytes> tag{};
  std::copy(sealed.end() - kTagBytes, sealed.end(), tag.begin());
  const Cipher cipher = StartCipher(key, sealed.first(kHeaderBytes), context, false);
  Bytes plaintext(ciphertext.size() + 1);  // One more, so that there is an address to write to when it is empty.
  int length = 0;
  Check(
      EVP_CipherUpdate(cipher.get(), plaintext.data(), &length, ciphertext.data(), static_cast<int>(ciphertext.size())),
      "EVP_CipherUpdate");
  Check(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()), "EVP_CTRL_GCM_SET_TAG");
  int rest = 0;
  if (EVP_CipherFinal_ex(cipher.get(), plaintext.data() + length, &rest) != 1) {
    OPENSSL_cleanse(plaintext.data(), plaintext.size());  // Nobody sees what was not proven genuine.
    FailCorrupt("sealed data does not open: it was changed, belongs to another key, or is not '" +
                std::string(context) + "'; restore file and key from a copy");
  }
  plaintext.resize(ciphertext.size());
  return plaintext;
}

void WriteSealedFile(FileSystem& files, const Path& path, const SealKey& key, std::string_view context,
                     ByteView plaintext) {
  WriteFileAtomically(files, path, AsText(Seal(key, context, plaintext)), 0600);
}

Bytes ReadSealedFile(FileSystem& files, const Path& path, const SealKey& key, std::string_view context) {
  const std::string sealed = ReadFile(files, path, kHeaderBytes + kMaxSealedBytes + kTagBytes);
  try {
    return OpenSealed(key, context, AsBytes(sealed));
  } catch (const Error& error) {
    throw Error(error.code(), path.string() + ": " + error.what());
  }
}

}  // namespace hemafed
