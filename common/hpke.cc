// SPDX-License-Identifier: Apache-2.0
#include "common/hpke.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <initializer_list>
#include <memory>

#include "common/error.h"

namespace hemafed {

namespace {

template <auto Free>
struct FreeWith {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using PkeyPointer = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using PkeyContextPointer = std::unique_ptr<EVP_PKEY_CTX, FreeWith<EVP_PKEY_CTX_free>>;
using KdfPointer = std::unique_ptr<EVP_KDF, FreeWith<EVP_KDF_free>>;
using KdfContextPointer = std::unique_ptr<EVP_KDF_CTX, FreeWith<EVP_KDF_CTX_free>>;
using CipherPointer = std::unique_ptr<EVP_CIPHER_CTX, FreeWith<EVP_CIPHER_CTX_free>>;

constexpr std::string_view kVersionLabel = "HPKE-v1";
// Identifiers of section 7: KEM 0x0020, KDF 0x0001, AEAD 0x0002; big-endian as the RFC writes them.
constexpr std::string_view kKemSuite{"KEM\x00\x20", 5};
constexpr std::string_view kHpkeSuite{"HPKE\x00\x20\x00\x01\x00\x02", 10};

void Check(bool ok, const char* action) {
  if (!ok) throw Error(ErrorCode::kInternal, std::string("HPKE: OpenSSL cannot ") + action);
}

void Require(std::size_t bytes, std::size_t limit, const char* what) {
  if (bytes > limit) {
    throw Error(ErrorCode::kInvalidInput, std::string("HPKE: ") + what + " has " + std::to_string(bytes) +
                                              " bytes; the limit is " + std::to_string(limit));
  }
}

// HKDF-Extract or HKDF-Expand (RFC 5869) with SHA-256.
void Hkdf(int mode, ByteView key, const char* extra_name, ByteView extra, std::span<std::uint8_t> out) {
  const KdfPointer kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  const KdfContextPointer context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
  Check(context != nullptr, "set up HKDF");
  char digest[] = "SHA256";
  // The parameters are only read, though their type does not say so.
  const auto octets = [](const char* name, ByteView bytes) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(bytes.data()), bytes.size());
  };
  std::array<OSSL_PARAM, 5> parameters{
      OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      octets(OSSL_KDF_PARAM_KEY, key),
      extra.empty() ? OSSL_PARAM_construct_end() : octets(extra_name, extra),  // No salt is a salt of zeros.
      OSSL_PARAM_construct_end(),
  };
  Check(EVP_KDF_derive(context.get(), out.data(), out.size(), parameters.data()) == 1, "derive a key");
}

// The parts one after the other, in memory that is overwritten when it goes: some parts are secrets.
class Joined {
 public:
  Joined(std::initializer_list<ByteView> parts) {
    std::size_t size = 0;
    for (const ByteView part : parts) size += part.size();
    bytes_.resize(size);  // Once: a vector that grows leaves copies behind.
    auto end = bytes_.begin();
    for (const ByteView part : parts) end = std::copy(part.begin(), part.end(), end);
  }
  ~Joined() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }
  Joined(const Joined&) = delete;
  Joined& operator=(const Joined&) = delete;
  [[nodiscard]] ByteView view() const { return bytes_; }

 private:
  Bytes bytes_;
};

// Section 4.
Secret<32> LabeledExtract(std::string_view suite, ByteView salt, std::string_view label, ByteView key) {
  const Joined labeled{AsBytes(kVersionLabel), AsBytes(suite), AsBytes(label), key};
  Secret<32> out;
  Hkdf(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, labeled.view(), OSSL_KDF_PARAM_SALT, salt, out.mutable_view());
  return out;
}

template <std::size_t kSize>
Secret<kSize> LabeledExpand(std::string_view suite, const Secret<32>& key, std::string_view label, ByteView info) {
  const std::array<std::uint8_t, 2> length{0, kSize};
  const Joined labeled{length, AsBytes(kVersionLabel), AsBytes(suite), AsBytes(label), info};
  Secret<kSize> out;
  Hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, key.view(), OSSL_KDF_PARAM_INFO, labeled.view(), out.mutable_view());
  return out;
}

PkeyPointer PrivatePkey(std::span<const std::uint8_t, 32> bytes) {
  PkeyPointer key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, bytes.data(), bytes.size()));
  Check(key != nullptr, "make an X25519 key");
  return key;
}

// X25519 (RFC 7748). OpenSSL refuses a result of zeros itself; the check here does not depend on that.
Secret<32> DiffieHellman(const HpkePrivateKey& own, const HpkePublicKey& other) {
  const PkeyPointer own_key = PrivatePkey(own.bytes());
  const PkeyPointer other_key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, other.bytes.data(), other.bytes.size()));
  const PkeyContextPointer context(EVP_PKEY_CTX_new(own_key.get(), nullptr));
  Check(other_key != nullptr && context != nullptr && EVP_PKEY_derive_init(context.get()) == 1 &&
            EVP_PKEY_derive_set_peer(context.get(), other_key.get()) == 1,
        "set up X25519");
  Secret<32> shared;
  std::size_t size = 32;
  const bool derived = EVP_PKEY_derive(context.get(), shared.mutable_view().data(), &size) == 1 && size == 32;
  std::uint8_t any = 0;
  for (const std::uint8_t byte : shared.view()) any |= byte;
  if (!derived || any == 0) {
    throw Error(ErrorCode::kInvalidInput, "HPKE: " + other.Hex() +
                                              " is no usable public key: the point has low order; ask its owner for "
                                              "the key again");
  }
  return shared;
}

// Encap and Decap end alike (4.1).
Secret<32> SharedSecret(const Secret<32>& dh, const HpkePublicKey& encapsulated, const HpkePublicKey& recipient) {
  const Joined kem_context{encapsulated.bytes, recipient.bytes};
  return LabeledExpand<32>(kKemSuite, LabeledExtract(kKemSuite, {}, "eae_prk", dh.view()), "shared_secret",
                           kem_context.view());
}

// The longest text of one message fits the int of OpenSSL's calls.
static_assert(kMaxHpkePlaintextBytes + kHpkeTagBytes < (1u << 30));

CipherPointer StartGcm(const Secret<32>& key, ByteView nonce, ByteView aad, bool seal) {
  CipherPointer cipher(EVP_CIPHER_CTX_new());
  Check(cipher != nullptr && EVP_CipherInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.view().data(),
                                               nonce.data(), seal ? 1 : 0) == 1,
        "set up AES-256-GCM");
  int length = 0;
  if (!aad.empty()) {
    Check(EVP_CipherUpdate(cipher.get(), nullptr, &length, aad.data(), static_cast<int>(aad.size())) == 1,
          "authenticate data");
  }
  return cipher;
}

}  // namespace

std::optional<HpkePublicKey> HpkePublicKey::FromHex(std::string_view text) {
  const auto decoded = HexDecode(text);
  HpkePublicKey key;
  if (!decoded || decoded->size() != key.bytes.size() || HexEncode(*decoded) != text) return std::nullopt;
  std::copy(decoded->begin(), decoded->end(), key.bytes.begin());
  return key;
}

HpkePrivateKey::HpkePrivateKey(std::span<const std::uint8_t, kBytes> bytes) : bytes_(bytes) {
  std::size_t size = public_key_.bytes.size();
  Check(EVP_PKEY_get_raw_public_key(PrivatePkey(bytes).get(), public_key_.bytes.data(), &size) == 1 && size == 32,
        "compute a public key");
}

HpkePrivateKey HpkePrivateKey::Generate() {
  Secret<kBytes> bytes;
  Check(RAND_priv_bytes(bytes.mutable_view().data(), kBytes) == 1, "draw random bytes");
  return HpkePrivateKey(bytes.view());
}

HpkePrivateKey HpkePrivateKey::Derive(ByteView key_material) {
  if (key_material.size() < kBytes) {
    throw Error(ErrorCode::kInvalidInput, "HPKE: a key needs at least 32 secret bytes to be derived from");
  }
  Require(key_material.size(), kMaxHpkeInfoBytes, "key material");
  const Secret<32> extracted = LabeledExtract(kKemSuite, {}, "dkp_prk", key_material);
  return HpkePrivateKey(LabeledExpand<kBytes>(kKemSuite, extracted, "sk", {}).view());
}

// KeySchedule (5.1) of base mode: no pre-shared key.
HpkeContext::HpkeContext(const Secret<32>& shared_secret, ByteView info) {
  Require(info.size(), kMaxHpkeInfoBytes, "info");
  const Secret<32> psk_id_hash = LabeledExtract(kHpkeSuite, {}, "psk_id_hash", {});
  const Secret<32> info_hash = LabeledExtract(kHpkeSuite, {}, "info_hash", info);
  const std::array<std::uint8_t, 1> mode_base{0};
  const Joined schedule{mode_base, psk_id_hash.view(), info_hash.view()};
  const Secret<32> secret = LabeledExtract(kHpkeSuite, shared_secret.view(), "secret", {});
  key_ = LabeledExpand<32>(kHpkeSuite, secret, "key", schedule.view());
  base_nonce_ = LabeledExpand<12>(kHpkeSuite, secret, "base_nonce", schedule.view());
}

std::array<std::uint8_t, 12> HpkeContext::Nonce() const {
  if (sequence_ >= kMaxHpkeMessages) {
    throw Error(ErrorCode::kConflict,
                "HPKE: a context carries at most " + std::to_string(kMaxHpkeMessages) + " messages; set up a new one");
  }
  std::array<std::uint8_t, 12> nonce{};
  std::copy(base_nonce_.view().begin(), base_nonce_.view().end(), nonce.begin());
  for (std::size_t i = 0; i < 8; ++i) nonce[11 - i] ^= static_cast<std::uint8_t>(sequence_ >> (8 * i));
  return nonce;
}

HpkeSender::HpkeSender(const HpkePublicKey& recipient, ByteView info)
    : HpkeSender(recipient, info, HpkePrivateKey::Generate()) {}

HpkeSender::HpkeSender(const HpkePublicKey& recipient, ByteView info, const HpkePrivateKey& ephemeral)
    : HpkeContext(SharedSecret(DiffieHellman(ephemeral, recipient), ephemeral.PublicKey(), recipient), info),
      encapsulated_(ephemeral.PublicKey()) {}

Bytes HpkeSender::Seal(ByteView aad, ByteView plaintext) {
  Require(aad.size(), kMaxHpkeAadBytes, "associated data");
  Require(plaintext.size(), kMaxHpkePlaintextBytes, "a plaintext");
  const auto nonce = Nonce();
  const CipherPointer cipher = StartGcm(key_, nonce, aad, true);
  Bytes sealed(plaintext.size() + kHpkeTagBytes);
  int length = 0;
  if (!plaintext.empty()) {
    Check(EVP_CipherUpdate(cipher.get(), sealed.data(), &length, plaintext.data(),
                           static_cast<int>(plaintext.size())) == 1,
          "encrypt");
  }
  int rest = 0;
  Check(
      EVP_CipherFinal_ex(cipher.get(), sealed.data() + length, &rest) == 1 &&
          EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kHpkeTagBytes, sealed.data() + plaintext.size()) == 1,
      "encrypt");
  ++sequence_;
  return sealed;
}

HpkeRecipient::HpkeRecipient(const HpkePrivateKey& key, const HpkePublicKey& encapsulated, ByteView info)
    : HpkeContext(SharedSecret(DiffieHellman(key, encapsulated), encapsulated, key.PublicKey()), info) {}

std::optional<Bytes> HpkeRecipient::Open(ByteView aad, ByteView ciphertext) {
  Require(aad.size(), kMaxHpkeAadBytes, "associated data");
  Require(ciphertext.size(), kMaxHpkePlaintextBytes + kHpkeTagBytes, "a ciphertext");
  if (ciphertext.size() < kHpkeTagBytes) return std::nullopt;
  const auto nonce = Nonce();
  const CipherPointer cipher = StartGcm(key_, nonce, aad, false);
  const ByteView text = ciphertext.first(ciphertext.size() - kHpkeTagBytes);
  std::array<std::uint8_t, kHpkeTagBytes> tag{};
  std::copy(ciphertext.end() - kHpkeTagBytes, ciphertext.end(), tag.begin());

  Bytes opened(text.size());
  int length = 0;
  if (!text.empty()) {
    Check(EVP_CipherUpdate(cipher.get(), opened.data(), &length, text.data(), static_cast<int>(text.size())) == 1,
          "decrypt");
  }
  Check(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kHpkeTagBytes, tag.data()) == 1, "decrypt");
  std::array<std::uint8_t, 16> none{};
  int rest = 0;
  if (EVP_CipherFinal_ex(cipher.get(), none.data(), &rest) != 1) {
    OPENSSL_cleanse(opened.data(), opened.size());  // Nobody sees what was not proven genuine.
    return std::nullopt;
  }
  ++sequence_;
  return opened;
}

Bytes HpkeSeal(const HpkePublicKey& recipient, ByteView info, ByteView aad, ByteView plaintext) {
  HpkeSender sender(recipient, info);
  const Bytes sealed = sender.Seal(aad, plaintext);
  Bytes out(HpkePublicKey::kBytes + sealed.size());
  std::copy(sealed.begin(), sealed.end(),
            std::copy_n(sender.encapsulated().bytes.begin(), HpkePublicKey::kBytes, out.begin()));
  return out;
}

std::optional<Bytes> HpkeOpen(const HpkePrivateKey& key, ByteView info, ByteView aad, ByteView sealed) {
  HpkePublicKey encapsulated;
  if (sealed.size() < encapsulated.bytes.size() + kHpkeTagBytes) return std::nullopt;
  std::copy_n(sealed.begin(), encapsulated.bytes.size(), encapsulated.bytes.begin());
  return HpkeRecipient(key, encapsulated, info).Open(aad, sealed.subspan(encapsulated.bytes.size()));
}

}  // namespace hemafed
