// SPDX-License-Identifier: Apache-2.0
#include "common/sha256.h"

#include <gtest/gtest.h>

namespace hemafed {
namespace {

// FIPS 180-4 examples (NIST, "SHA256.pdf" of the example values) and the empty message.
TEST(Sha256, MatchesThePublishedExamples) {
  EXPECT_EQ(Sha256Of("").Hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Of("abc").Hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").Hex(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, PiecesGiveTheDigestOfTheWholeAndFinishStartsAnew) {
  Sha256 hash;
  EXPECT_EQ(hash.Update("a").Update("").Update("bc").Finish(), Sha256Of("abc"));
  EXPECT_EQ(hash.Finish(), Sha256Of(""));
}

TEST(Digest, HexRoundTripsAndRefusesOtherLengths) {
  const Digest digest = Sha256Of("x");
  EXPECT_EQ(Digest::FromHex(digest.Hex()), digest);
  EXPECT_FALSE(Digest::FromHex(digest.Hex().substr(2)).has_value());
  EXPECT_FALSE(Digest::FromHex(digest.Hex() + "00").has_value());
}

}  // namespace
}  // namespace hemafed
