// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <string>

#include "protocol/identity/ed25519.h"
#include "protocol/identity/statement.h"
#include "tests/protocol/log_test_support.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::FailureOf;
using testing_support::FixedKey;
using testing_support::Scratch;

std::array<std::uint8_t, 32> Seed(std::string_view hex) {
  const auto bytes = HexDecode(hex);
  std::array<std::uint8_t, 32> seed{};
  std::copy(bytes->begin(), bytes->end(), seed.begin());
  return seed;
}

struct SignatureVector {
  const char* name;
  const char* seed;
  const char* public_key;
  const char* message;
  const char* signature;
};

class Ed25519Vector : public testing::TestWithParam<SignatureVector> {};

TEST_P(Ed25519Vector, IsReproducedAndVerified) {
  const SignatureVector& vector = GetParam();
  const auto key = Ed25519KeyPair::FromSeed(Seed(vector.seed));
  EXPECT_EQ(key.PublicKey().Hex(), vector.public_key);
  const Bytes message = *HexDecode(vector.message);
  EXPECT_EQ(HexEncode(key.Sign(message)), vector.signature);
  EXPECT_TRUE(Verify(*Ed25519PublicKey::FromHex(vector.public_key), message, *HexDecode(vector.signature)));
}

// RFC 8032 section 7.1.
INSTANTIATE_TEST_SUITE_P(Rfc8032, Ed25519Vector,
                         testing::ValuesIn(std::vector<SignatureVector>{
                             {"Test1", "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                              "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
                              "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
                              "1cf9b46bd25bf5f0595bbe2"
                              "4655141438e7a100b"},
                             {"Test2", "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                              "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
                              "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
                              "d0f11d8c387b2eaeb4302ae"
                              "eb00d291612bb0c00"},
                             {"Test3", "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                              "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
                              "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760"
                              "984dc6594a7c15e9716ed28"
                              "dc027beceea1ec40a"},
                             {"TestShaAbc", "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
                              "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
                              "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23"
                              "a3feebbd454d4423643ce80"
                              "e2a9ac94fa54ca49f",
                              "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c6"
                              "6431e0303dca179c138ac17"
                              "ad9bef1177331a704"}}),
                         [](const auto& row) { return row.param.name; });

TEST(Ed25519, RefusesEverySingleBitChangeOfSignatureMessageAndKey) {
  const auto key = FixedKey();
  const std::string message = "round 3";
  const Ed25519Signature signature = key.Sign(message);
  for (std::size_t bit = 0; bit < 512; ++bit) {
    Ed25519Signature changed = signature;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1u << (bit % 8)));
    EXPECT_FALSE(Verify(key.PublicKey(), message, changed)) << bit;
  }
  for (std::size_t bit = 0; bit < 8 * message.size(); ++bit) {
    EXPECT_FALSE(Verify(key.PublicKey(), testing_support::WithBitFlipped(message, bit), signature)) << bit;
  }
  for (std::size_t bit = 0; bit < 256; ++bit) {
    Ed25519PublicKey changed = key.PublicKey();
    changed.bytes[bit / 8] = static_cast<std::uint8_t>(changed.bytes[bit / 8] ^ (1u << (bit % 8)));
    EXPECT_FALSE(Verify(changed, message, signature)) << bit;
  }
  for (const std::size_t size : {0u, 32u, 63u}) {
    EXPECT_FALSE(Verify(key.PublicKey(), message, ByteView(signature).first(size)));
  }
}

// The group's order L (RFC 8032 section 5.1), little-endian. S + L satisfies the equation as well and must not pass.
TEST(Ed25519, RefusesASignatureWhoseScalarIsNotReduced) {
  const Bytes order = *HexDecode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  const auto key = FixedKey();
  Ed25519Signature signature = key.Sign("m");
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += signature[32 + i] + order[i];
    signature[32 + i] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  EXPECT_FALSE(Verify(key.PublicKey(), "m", signature));
}

TEST(Ed25519, GeneratedKeysDiffer) {
  std::set<Ed25519PublicKey> keys;
  for (int i = 0; i < 20; ++i) keys.insert(Ed25519KeyPair::Generate().PublicKey());
  EXPECT_EQ(keys.size(), 20u);
}

TEST(Ed25519, PublicKeyHexRoundTripsAndNothingElseIsAccepted) {
  const auto key = FixedKey().PublicKey();
  EXPECT_EQ(Ed25519PublicKey::FromHex(key.Hex()), key);
  EXPECT_FALSE(Ed25519PublicKey::FromHex(key.Hex() + "00"));
  EXPECT_FALSE(Ed25519PublicKey::FromHex(key.Hex().substr(2)));
  EXPECT_FALSE(Ed25519PublicKey::FromHex(""));
}

TEST(KeyFile, IsReadableByItsOwnerOnlyAndGivesTheSameKeyBack) {
  const Scratch scratch;
  const auto key = Ed25519KeyPair::Generate();
  key.Save(RealFileSystem(), scratch / "log.pem");
  EXPECT_EQ(RealFileSystem().ModeOf(scratch / "log.pem"), 0600u);
  const auto loaded = Ed25519KeyPair::Load(RealFileSystem(), scratch / "log.pem");
  EXPECT_EQ(loaded.PublicKey(), key.PublicKey());
  EXPECT_EQ(loaded.Sign("m"), key.Sign("m"));
}

// RFC 8410 section 10.3; `openssl pkey -pubout` gives the public key printed there.
TEST(KeyFile, OfAnotherToolIsRead) {
  const Scratch scratch;
  WriteFileAtomically(RealFileSystem(), scratch / "key.pem",
                      "-----BEGIN PRIVATE KEY-----\n"
                      "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
                      "-----END PRIVATE KEY-----\n",
                      0600);
  EXPECT_EQ(Ed25519KeyPair::Load(RealFileSystem(), scratch / "key.pem").PublicKey().Hex(),
            "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
}

TEST(KeyFile, ThatOthersMayReadOrWriteIsRefusedWithTheCommandThatHelps) {
  const Scratch scratch;
  FixedKey().Save(RealFileSystem(), scratch / "key.pem");
  for (const mode_t mode : {0640u, 0620u, 0604u, 0602u, 0644u, 0666u}) {
    ASSERT_EQ(::chmod((scratch / "key.pem").c_str(), mode), 0);
    const auto failure = FailureOf([&] { (void)Ed25519KeyPair::Load(RealFileSystem(), scratch / "key.pem"); });
    ASSERT_TRUE(failure) << std::oct << mode;
    EXPECT_EQ(failure->code, ErrorCode::kConflict);
    EXPECT_TRUE(testing_support::Contains(failure->message, "chmod 600 " + (scratch / "key.pem").string()));
  }
}

TEST(KeyFile, IsNeverReplaced) {
  const Scratch scratch;
  FixedKey(0).Save(RealFileSystem(), scratch / "key.pem");
  const auto failure = FailureOf([&] { FixedKey(1).Save(RealFileSystem(), scratch / "key.pem"); });
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code, ErrorCode::kConflict);
  EXPECT_EQ(Ed25519KeyPair::Load(RealFileSystem(), scratch / "key.pem").PublicKey(), FixedKey(0).PublicKey());
}

struct BadKeyFile {
  const char* name;
  std::string content;
  ErrorCode code;
};

class KeyFileRefuses : public testing::TestWithParam<BadKeyFile> {};

TEST_P(KeyFileRefuses, WithoutAskingTheTerminal) {
  const Scratch scratch;
  WriteFileAtomically(RealFileSystem(), scratch / "key.pem", GetParam().content, 0600);
  const auto failure = FailureOf([&] { (void)Ed25519KeyPair::Load(RealFileSystem(), scratch / "key.pem"); });
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code, GetParam().code);
}

// The encrypted and the X25519 key were made with `openssl genpkey` (the former with -aes256 and passphrase "secret").
INSTANTIATE_TEST_SUITE_P(
    Table, KeyFileRefuses,
    testing::ValuesIn(std::vector<BadKeyFile>{
        {"Empty", "", ErrorCode::kInvalidInput},
        {"NotPem", "hello\n", ErrorCode::kInvalidInput},
        {"PublicKey",
         "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
         "-----END PUBLIC KEY-----\n",
         ErrorCode::kInvalidInput},
        {"OtherAlgorithm",
         "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIIBmfdLR1Qa0KpHwUbmDXOeaSBZuriJqXBwct0dCLpN1\n-----END "
         "PRIVATE KEY-----\n",
         ErrorCode::kInvalidInput},
        {"Encrypted",
         "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhJlVSiaJpOuAICCAAw\n"
         "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEPvb+uEYyBG5U0ArtYuJniQEQP2B\n"
         "DpCooPStiV6oiNa3oMtR4N1hqdYpZz/qllzIIBreVd5DkjLXb/q2DMpeJHIUO+Ib\n"
         "hf/+Xi+dbvLWCLy2IWs=\n-----END ENCRYPTED PRIVATE KEY-----\n",
         ErrorCode::kInvalidInput},
        {"TooLarge", std::string(5000, '\n'), ErrorCode::kInvalidInput}}),
    [](const auto& row) { return row.param.name; });

// Made with Python's hashlib and struct from the description in docs/round_log.md; signed with the `cryptography`
// package by the key of seed 00 01 .. 1f.
TEST(Statement, HasTheBytesOfItsPage) {
  Statement statement;
  statement.context = StatementContext::kUpdate;
  statement.plan_digest = Sha256Of("plan");
  statement.task = 1;
  statement.round = 2;
  statement.base_digest = Sha256Of("base");
  statement.body = "{\"pictures\":12}";
  const std::vector<std::string> fields{"68656d616665642d7570646174652d76310a",
                                        "2000000064879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a9e3b525",
                                        "080000000100000000000000",
                                        "080000000200000000000000",
                                        "20000000cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2",
                                        "0f0000007b227069637475726573223a31327d"};
  const std::vector<std::string> signature{"01eab65f1642f5de4ca79abecc88ca92c9417b192769a4036872bbba506caf3b",
                                           "a4963070bd3354ef91a5d73657207a160683bb7c7ae240919e940620c5def405"};
  std::string bytes, page_bytes, page_signature;
  for (const std::string& field : fields) bytes += field, page_bytes += field + "\n";
  for (const std::string& half : signature) page_signature += half + "\n";
  EXPECT_EQ(HexEncode(AsBytes(StatementBytes(statement))), bytes);
  EXPECT_EQ(HexEncode(SignStatement(FixedKey(), statement)), signature[0] + signature[1]);
  const std::string page = testing_support::ReadAll(Path(HEMAFED_SOURCE_DIR) / "docs/round_log.md");
  EXPECT_TRUE(testing_support::Contains(page, page_bytes));
  EXPECT_TRUE(testing_support::Contains(page, page_signature));
}

TEST(Statement, SignatureHoldsForExactlyOneContextPlanTaskRoundBaseAndBody) {
  const auto key = FixedKey();
  const Statement signed_one{StatementContext::kUpdate, Sha256Of("plan"), 1, 2, Sha256Of("base"), "body"};
  const Ed25519Signature signature = SignStatement(key, signed_one);
  EXPECT_TRUE(VerifyStatement(key.PublicKey(), signed_one, signature));
  EXPECT_FALSE(VerifyStatement(FixedKey(1).PublicKey(), signed_one, signature));

  std::vector<Statement> others(6, signed_one);
  others[0].plan_digest = Sha256Of("another plan");
  others[1].task = 2;
  others[2].round = 1;
  others[3].base_digest = Sha256Of("another base");
  others[4].body = "bodY";
  others[5].body = "";
  for (const StatementContext context :
       {StatementContext::kPlan, StatementContext::kRoster, StatementContext::kLabEntry, StatementContext::kEnrolment,
        StatementContext::kCommitment, StatementContext::kAcknowledgement, StatementContext::kEvaluation}) {
    others.push_back(signed_one);
    others.back().context = context;
  }
  for (std::size_t i = 0; i < others.size(); ++i) {
    EXPECT_FALSE(VerifyStatement(key.PublicKey(), others[i], signature)) << i;
  }
}

TEST(Statement, LargerThanTheLimitIsNeitherSignedNorVerified) {
  const std::string body(kMaxStatementBodyBytes + 1, 'x');
  Statement statement{StatementContext::kPlan, {}, 0, 0, {}, body};
  const auto failure = FailureOf([&] { (void)SignStatement(FixedKey(), statement); });
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code, ErrorCode::kInvalidInput);
  EXPECT_FALSE(VerifyStatement(FixedKey().PublicKey(), statement, Bytes(64)));
  statement.body.remove_suffix(1);
  EXPECT_TRUE(VerifyStatement(FixedKey().PublicKey(), statement, SignStatement(FixedKey(), statement)));
}

}  // namespace
}  // namespace hemafed
