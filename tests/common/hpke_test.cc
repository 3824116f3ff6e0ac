// SPDX-License-Identifier: Apache-2.0
//
// Against the published vector in tests/data/hpke/ (its README says where the numbers are from), in both directions.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/file_system.h"
#include "common/hpke.h"
#include "tests/expect_error.h"

namespace hemafed {
namespace {

class PublishedHpkeVector : public testing::Test {
 protected:
  [[nodiscard]] Bytes Field(const char* name) const { return *HexDecode(vector_.at(name).get<std::string>()); }
  [[nodiscard]] HpkePrivateKey Private(const char* name) const {
    return HpkePrivateKey(std::span<const std::uint8_t, 32>(Field(name)));
  }
  [[nodiscard]] HpkePublicKey Public(const char* name) const {
    return *HpkePublicKey::FromHex(vector_.at(name).get<std::string>());
  }

  const nlohmann::json vector_ = nlohmann::json::parse(
      ReadFile(RealFileSystem(), Path(HEMAFED_SOURCE_DIR) / "tests/data/hpke/x25519_sha256_aes256gcm.json", 1 << 20));
};

TEST_F(PublishedHpkeVector, IsOfTheSuiteThatWeSpeak) {
  EXPECT_EQ(vector_.at("mode"), 0);
  EXPECT_EQ(vector_.at("kem_id"), 0x20);
  EXPECT_EQ(vector_.at("kdf_id"), 1);
  EXPECT_EQ(vector_.at("aead_id"), 2);
}

TEST_F(PublishedHpkeVector, DerivesItsKeys) {
  for (const auto& [material, secret, point] : {std::tuple{"ikmR", "skRm", "pkRm"}, {"ikmE", "skEm", "pkEm"}}) {
    const HpkePrivateKey key = HpkePrivateKey::Derive(Field(material));
    EXPECT_EQ(HexEncode(key.bytes()), vector_.at(secret));
    EXPECT_EQ(key.PublicKey().Hex(), vector_.at(point));
    EXPECT_EQ(Private(secret).PublicKey().Hex(), vector_.at(point));
  }
}

TEST_F(PublishedHpkeVector, IsSealedByteForByte) {
  HpkeSender sender(Public("pkRm"), Field("info"), Private("skEm"));
  EXPECT_EQ(sender.encapsulated(), Public("enc"));
  std::size_t compared = 0;
  for (const auto& message : vector_.at("encryptions")) {
    while (sender.sequence() < message.at("sequence")) {
      (void)sender.Seal(AsBytes("Count-" + std::to_string(sender.sequence())), Field("plaintext"));
    }
    const Bytes aad = *HexDecode(message.at("aad").get<std::string>());
    EXPECT_EQ(HexEncode(sender.Seal(aad, Field("plaintext"))), message.at("ct")) << message;
    ++compared;
  }
  EXPECT_EQ(compared, 6u);
  EXPECT_EQ(sender.sequence(), 257u);
}

TEST_F(PublishedHpkeVector, IsOpened) {
  HpkeSender between(Public("pkRm"), Field("info"), Private("skEm"));
  HpkeRecipient recipient(Private("skRm"), Public("enc"), Field("info"));
  for (const auto& message : vector_.at("encryptions")) {
    while (recipient.sequence() < message.at("sequence")) {
      const std::string aad = "Count-" + std::to_string(recipient.sequence());
      ASSERT_TRUE(recipient.Open(AsBytes(aad), between.Seal(AsBytes(aad), Field("plaintext"))));
    }
    const Bytes aad = *HexDecode(message.at("aad").get<std::string>());
    EXPECT_EQ(recipient.Open(aad, *HexDecode(message.at("ct").get<std::string>())), Field("plaintext")) << message;
    (void)between.Seal(aad, Field("plaintext"));
  }
}

const Bytes kInfo = ToBytes("info");
const Bytes kAad = ToBytes("aad");
const Bytes kText = ToBytes("a picture of a lymphocyte");

TEST(Hpke, OpensWhatItSealedForEverySize) {
  const HpkePrivateKey key = HpkePrivateKey::Generate();
  HpkeSender sender(key.PublicKey(), kInfo);
  HpkeRecipient recipient(key, sender.encapsulated(), kInfo);
  for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 4096u, 1u << 20}) {
    const Bytes text(size, 7);
    const Bytes sealed = sender.Seal(kAad, text);
    EXPECT_EQ(sealed.size(), size + kHpkeTagBytes);
    EXPECT_EQ(recipient.Open(kAad, sealed), text);
  }
}

TEST(Hpke, SealsTheSameTextDifferentlyEachTime) {
  const HpkePublicKey key = HpkePrivateKey::Generate().PublicKey();
  EXPECT_NE(HpkeSeal(key, kInfo, kAad, kText), HpkeSeal(key, kInfo, kAad, kText));
}

TEST(Hpke, OpensForNobodyElseAndNothingElse) {
  const HpkePrivateKey key = HpkePrivateKey::Generate();
  const Bytes sealed = HpkeSeal(key.PublicKey(), kInfo, kAad, kText);
  EXPECT_EQ(HpkeOpen(key, kInfo, kAad, sealed), kText);
  EXPECT_EQ(HpkeOpen(HpkePrivateKey::Generate(), kInfo, kAad, sealed), std::nullopt);
  EXPECT_EQ(HpkeOpen(key, ToBytes("other"), kAad, sealed), std::nullopt);
  EXPECT_EQ(HpkeOpen(key, kInfo, ToBytes("other"), sealed), std::nullopt);
  EXPECT_EQ(HpkeOpen(key, kInfo, {}, sealed), std::nullopt);
}

TEST(Hpke, OpensWithNoBitFlipped) {
  const HpkePrivateKey key = HpkePrivateKey::Generate();
  const Bytes sealed = HpkeSeal(key.PublicKey(), kInfo, kAad, kText);
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    Bytes changed = sealed;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    // X25519 ignores the top bit of a point's coordinate; the key schedule still hashes it.
    EXPECT_EQ(HpkeOpen(key, kInfo, kAad, changed), std::nullopt) << bit;
  }
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_EQ(HpkeOpen(key, kInfo, kAad, ByteView(sealed).first(size)), std::nullopt) << size;
  }
}

TEST(Hpke, RefusesRepeatedLeftOutAndSwappedMessages) {
  const HpkePrivateKey key = HpkePrivateKey::Generate();
  HpkeSender sender(key.PublicKey(), kInfo);
  const Bytes first = sender.Seal(kAad, kText), second = sender.Seal(kAad, kText), third = sender.Seal(kAad, kText);
  EXPECT_NE(first, second);
  HpkeRecipient recipient(key, sender.encapsulated(), kInfo);
  EXPECT_EQ(recipient.Open(kAad, second), std::nullopt);  // Too early.
  EXPECT_EQ(recipient.Open(kAad, first), kText);          // A failure costs no place.
  EXPECT_EQ(recipient.Open(kAad, first), std::nullopt);   // Replayed.
  EXPECT_EQ(recipient.Open(kAad, third), std::nullopt);   // One left out.
  EXPECT_EQ(recipient.Open(kAad, second), kText);
  EXPECT_EQ(recipient.Open(kAad, third), kText);
  EXPECT_EQ(recipient.sequence(), 3u);
}

// The points of small order of Curve25519 and their forms that are not reduced, in the order of the list by D. J.
// Bernstein (https://cr.yp.to/ecdh.html).
TEST(Hpke, RefusesPointsOfLowOrderOnBothSides) {
  const HpkePrivateKey key = HpkePrivateKey::Generate();
  for (const char* point : {"0000000000000000000000000000000000000000000000000000000000000000",
                            "0100000000000000000000000000000000000000000000000000000000000000",
                            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    const HpkePublicKey low = *HpkePublicKey::FromHex(point);
    EXPECT_ERROR(ErrorCode::kInvalidInput, "low order", (void)HpkeSender(low, kInfo));
    EXPECT_ERROR(ErrorCode::kInvalidInput, "low order", (void)HpkeRecipient(key, low, kInfo));
  }
}

TEST(Hpke, RefusesMoreBytesAndMessagesThanItsLimits) {
  const HpkePrivateKey key = HpkePrivateKey::Generate();
  const Bytes long_info(kMaxHpkeInfoBytes + 1), long_aad(kMaxHpkeAadBytes + 1);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "info has 4097 bytes", (void)HpkeSender(key.PublicKey(), long_info));
  HpkeSender sender(key.PublicKey(), ByteView(long_info).first(kMaxHpkeInfoBytes));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "associated data has", (void)sender.Seal(long_aad, kText));
  const Bytes long_text(kMaxHpkePlaintextBytes + 1);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "a plaintext has", (void)sender.Seal(kAad, long_text));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "32 secret bytes", (void)HpkePrivateKey::Derive(Bytes(31)));

  while (sender.sequence() < kMaxHpkeMessages) (void)sender.Seal({}, {});
  EXPECT_ERROR(ErrorCode::kConflict, "at most 65536 messages", (void)sender.Seal({}, {}));
}

TEST(Hpke, ReadsPublicKeysInOneSpellingOnly) {
  const HpkePublicKey key = HpkePrivateKey::Generate().PublicKey();
  EXPECT_EQ(HpkePublicKey::FromHex(key.Hex()), key);
  EXPECT_EQ(HpkePublicKey::FromHex(key.Hex() + "00"), std::nullopt);
  EXPECT_EQ(HpkePublicKey::FromHex(std::string(64, 'A')), std::nullopt);
}

}  // namespace
}  // namespace hemafed
