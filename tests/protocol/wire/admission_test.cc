// SPDX-License-Identifier: Apache-2.0
//
// Keys on disk, the allow-list and the limit on strangers' handshakes.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/error.h"
#include "protocol/wire/allowlist.h"
#include "protocol/wire/curve.h"
#include "protocol/wire/handshake_limiter.h"
#include "tests/scratch.h"

namespace hemafed::wire {
namespace {

using testing_support::Scratch;

ErrorCode CodeOf(const auto& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kInternal;
}

TEST(CurveKeys, Z85IsTheOneOfItsSpecification) {
  // ZeroMQ RFC 32's worked example is "HelloWorld" for 8 bytes; four times that is a key.
  CurveKey key;
  const Bytes example = *HexDecode("864fd26fb559f75b");
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = example[i % 8];
  EXPECT_EQ(Z85Encode(key), "HelloWorldHelloWorldHelloWorldHelloWorld");
  EXPECT_EQ(Z85Decode("HelloWorldHelloWorldHelloWorldHelloWorld"), key);
}

TEST(CurveKeys, Z85RefusesWhatItWouldNotWrite) {
  const std::string good(40, '0');
  EXPECT_TRUE(Z85Decode(good));
  EXPECT_FALSE(Z85Decode(good + "0"));
  EXPECT_FALSE(Z85Decode(good.substr(1)));
  EXPECT_FALSE(Z85Decode(std::string(40, '~')));
  EXPECT_FALSE(Z85Decode(std::string(40, '\0')));
  EXPECT_FALSE(Z85Decode(std::string(40, '\xff')));
  EXPECT_FALSE(Z85Decode(std::string(40, '#')));  // Five digits of 84 are more than 32 bits hold.
}

TEST(CurveKeys, SecretAndPublicHalfBelongTogether) {
  const CurveKeyPair keys = GenerateCurveKeyPair();
  EXPECT_EQ(CurvePublicKeyOf(keys.secret_key), keys.public_key);
  EXPECT_NE(GenerateCurveKeyPair().secret_key, keys.secret_key);
}

TEST(CurveKeys, ComeBackFromTheirFileWhichOnlyTheOwnerCanRead) {
  const Scratch scratch;
  const CurveKeyPair keys = GenerateCurveKeyPair();
  SaveCurveKeyPair(RealFileSystem(), scratch / "curve.key", keys);
  struct stat status {};
  ASSERT_EQ(::stat((scratch / "curve.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  const CurveKeyPair loaded = LoadCurveKeyPair(RealFileSystem(), scratch / "curve.key");
  EXPECT_EQ(loaded.public_key, keys.public_key);
  EXPECT_EQ(loaded.secret_key, keys.secret_key);
}

TEST(CurveKeys, ADamagedFileIsCorrupt) {
  const Scratch scratch;
  FileSystem& files = RealFileSystem();
  SaveCurveKeyPair(files, scratch / "key", GenerateCurveKeyPair());
  const std::string good = ReadFile(files, scratch / "key", 1000);
  const auto load = [&](const std::string& content) {
    files.Create(scratch / "key")->Append(content);
    return CodeOf([&] { (void)LoadCurveKeyPair(files, scratch / "key"); });
  };
  EXPECT_EQ(load(""), ErrorCode::kCorrupt);
  EXPECT_EQ(load(good + "\n"), ErrorCode::kCorrupt);
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_EQ(load(good.substr(0, size)), ErrorCode::kCorrupt);
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string damaged = good;
    damaged[at] = damaged[at] == '1' ? '2' : '1';
    // A few bits of a secret key do not count (Curve25519 clears them), so a change there may go unnoticed.
    files.Create(scratch / "key")->Append(damaged);
    try {
      const CurveKeyPair loaded = LoadCurveKeyPair(files, scratch / "key");
      EXPECT_EQ(CurvePublicKeyOf(loaded.secret_key), loaded.public_key);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    }
  }
  EXPECT_EQ(CodeOf([&] { (void)LoadCurveKeyPair(files, scratch / "absent"); }), ErrorCode::kNotFound);
}

TEST(Allowlist, LetsNobodyInUntilToldSo) {
  const Allowlist list;
  EXPECT_FALSE(list.UserOf(CurveKey{}));
  EXPECT_FALSE(list.IsAllowed("matek-19"));
  EXPECT_FALSE(list.IsAllowed(""));
}

TEST(Allowlist, RevokedAndReplacedKeysAreOut) {
  const CurveKey first = GenerateCurveKeyPair().public_key;
  const CurveKey second = GenerateCurveKeyPair().public_key;
  Allowlist list;
  list.Allow(first, "a");
  list.Allow(second, "a");
  EXPECT_FALSE(list.UserOf(first));
  EXPECT_EQ(list.UserOf(second), "a");
  list.Revoke("a");
  EXPECT_FALSE(list.UserOf(second));
  EXPECT_FALSE(list.IsAllowed("a"));
  list.Revoke("a");
  list.Allow(first, "b");
  EXPECT_EQ(list.UserOf(first), "b");
}

TEST(Allowlist, RefusesTwoNamesForOneKeyAndUnusableNames) {
  const CurveKey key = GenerateCurveKeyPair().public_key;
  Allowlist list;
  list.Allow(key, "a");
  list.Allow(key, "a");
  EXPECT_EQ(CodeOf([&] { list.Allow(key, "b"); }), ErrorCode::kInvalidInput);
  EXPECT_EQ(list.UserOf(key), "a");
  for (const std::string& name : {std::string(), std::string(65, 'x'), std::string("work:1"), std::string("a\nb")}) {
    EXPECT_EQ(CodeOf([&] { list.Allow(GenerateCurveKeyPair().public_key, name); }), ErrorCode::kInvalidInput) << name;
  }
}

TEST(HandshakeLimiter, OneAddressGetsItsBurstAndThenOneEachInterval) {
  HandshakeLimiter limiter;
  for (std::int64_t i = 0; i < HandshakeLimiter::kBurstPerAddress; ++i) EXPECT_TRUE(limiter.Admit("a", 0));
  EXPECT_FALSE(limiter.Admit("a", 0));
  EXPECT_TRUE(limiter.Admit("b", 0));  // Others are not punished for it.
  EXPECT_FALSE(limiter.Admit("a", HandshakeLimiter::kRefillPerAddressMs - 1));
  EXPECT_TRUE(limiter.Admit("a", HandshakeLimiter::kRefillPerAddressMs));
  EXPECT_FALSE(limiter.Admit("a", 2 * HandshakeLimiter::kRefillPerAddressMs - 1));
  EXPECT_TRUE(limiter.Admit("a", 2 * HandshakeLimiter::kRefillPerAddressMs));
}

TEST(HandshakeLimiter, AllAddressesTogetherAreLimitedToo) {
  HandshakeLimiter limiter;
  std::int64_t admitted = 0;
  for (int i = 0; i < 1000; ++i) admitted += limiter.Admit("host" + std::to_string(i), 0) ? 1 : 0;
  EXPECT_EQ(admitted, HandshakeLimiter::kBurstTotal);
  EXPECT_TRUE(limiter.Admit("later", HandshakeLimiter::kRefillTotalMs));
}

TEST(HandshakeLimiter, AFullTableSharesOneBucketAndIsForgottenWithTime) {
  HandshakeLimiter limiter;
  // As fast as the total allows, every address new: the table fills within its refill time only if it is small.
  std::int64_t now = 0;
  for (std::size_t i = 0; i < HandshakeLimiter::kMaxAddresses; ++i) {
    now += HandshakeLimiter::kRefillTotalMs;
    EXPECT_TRUE(limiter.Admit(std::to_string(i), now));
  }
  // By now the first are full again and make room.
  EXPECT_TRUE(limiter.Admit("one more", now + HandshakeLimiter::kRefillTotalMs));
}

}  // namespace
}  // namespace hemafed::wire
