// protocol/identity/ed25519.cc
// SPDX-License-Identifier: Apache-2.0
#include "protocol/identity/ed25519.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <utility>

#include "common/error.h"

namespace hemafed {

namespace {

// Bytes of a key file. An Ed25519 key in PEM has 119; the rest is room for comment lines.
constexpr std::uint64_t kMaxKeyFileBytes = 4096;

template <auto Free>
struct FreeWith {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using PkeyPointer = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using MdContextPointer = std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>>;
using BioPointer = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;

[[noreturn]] void ThrowOpenSsl(const char* action) {
  throw Error(ErrorCode::kInternal, std::string("Ed25519: OpenSSL cannot ") + action);
}

// Answers a PEM file that asks for a passphrase with none, instead of OpenSSL's prompt on the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

}  // namespace

std::optional<Ed25519PublicKey> Ed25519PublicKey::FromHex(std::string_view text) {
  const auto decoded = HexDecode(text);
  Ed25519PublicKey key;
  if (!decoded || decoded->size() != key.bytes.size()) return std::nullopt;
  std::copy(decoded->begin(), decoded->end(), key.bytes.begin());
  return key;
}

struct Ed25519KeyPair::Key {
  PkeyPointer pkey;
};

Ed25519KeyPair::Ed25519KeyPair(std::shared_ptr<const Key> key) : key_(std::move(key)) {
  std::size_t size = public_key_.bytes.size();
  if (key_->pkey == nullptr || EVP_PKEY_get_raw_public_key(key_->pkey.get(), public_key_.bytes.data(), &size) != 1) {
    ThrowOpenSsl("make a key");
  }
}

Ed25519KeyPair Ed25519KeyPair::Generate() {
  return Ed25519KeyPair(std::make_shared<Key>(Key{PkeyPointer(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"))}));
}

Ed25519KeyPair Ed25519KeyPair::FromSeed(const std::array<std::uint8_t, 32>& seed) {
  return Ed25519KeyPair(std::make_shared<Key>(
      Key{PkeyPointer(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()))}));
}

Ed25519KeyPair Ed25519KeyPair::Load(FileSystem& files, const Path& path) {
  if (const auto mode = files.ModeOf(path); mode && (*mode & 077u) != 0) {
    throw Error(ErrorCode::kConflict, "the private key " + path.string() +
                                          " can be read or written by other users of this machine; run `chmod 600 " +
                                          path.string() + "`, and make a new key if others may have read it");
  }
  std::string pem = ReadFile(files, path, kMaxKeyFileBytes);
  const BioPointer memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  PkeyPointer pkey(memory ? PEM_read_bio_PrivateKey(memory.get(), nullptr, NoPassphrase, nullptr) : nullptr);
  OPENSSL_cleanse(pem.data(), pem.size());
  if (pkey == nullptr || EVP_PKEY_get_base_id(pkey.get()) != EVP_PKEY_ED25519) {
    throw Error(ErrorCode::kInvalidInput, path.string() +
                                              " is not an Ed25519 private key in PEM without passphrase; restore it "
                                              "from a copy or make a new key and enrol again");
  }
  return Ed25519KeyPair(std::make_shared<Key>(Key{std::move(pkey)}));
}

void Ed25519KeyPair::Save(FileSystem& files, const Path& path) const {
  if (files.Exists(path)) {
    throw Error(ErrorCode::kConflict, "a key is already at " + path.string() + "; move it away first if it is to go");
  }
  const BioPointer memory(BIO_new(BIO_s_secmem()));
  if (!memory ||
      PEM_write_bio_PKCS8PrivateKey(memory.get(), key_->pkey.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    ThrowOpenSsl("write a key");
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  WriteFileAtomically(files, path, {text, static_cast<std::size_t>(size)}, 0600);
}

Ed25519Signature Ed25519KeyPair::Sign(ByteView message) const {
  const MdContextPointer context(EVP_MD_CTX_new());
  Ed25519Signature signature;
  std::size_t size = signature.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_->pkey.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) != 1 ||
      size != signature.size()) {
    ThrowOpenSsl("sign");
  }
  return signature;
}

bool Verify(const Ed25519PublicKey& key, ByteView message, ByteView signature) {
  if (signature.size() != std::tuple_size_v<Ed25519Signature>) return false;
  const PkeyPointer pkey(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.bytes.data(), key.bytes.size()));
  const MdContextPointer context(EVP_MD_CTX_new());
  if (!pkey || !context) ThrowOpenSsl("prepare a verification");
  if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) != 1) {
    ThrowOpenSsl("begin a verification");
  }
  return EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
}

}  // namespace hemafed
