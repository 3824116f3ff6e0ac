// SPDX-License-Identifier: Apache-2.0
#include "common/bytes.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace hemafed {
namespace {

// RFC 4648 section 10.
TEST(Base64, MatchesThePublishedVectorsBothWays) {
  const std::array<std::pair<const char*, const char*>, 7> vectors{{{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"}}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(Base64Encode(AsBytes(plain)), encoded);
    const auto decoded = Base64Decode(encoded);
    ASSERT_TRUE(decoded.has_value()) << encoded;
    EXPECT_EQ(AsText(*decoded), plain);
  }
}

TEST(Base64, RefusesEveryTextThatIsNotCanonical) {
  for (const char* text : {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 9", "Zm9v\n", "Zg=a"}) {
    EXPECT_FALSE(Base64Decode(text).has_value()) << text;
  }
}

TEST(Hex, RoundTripsEveryByteAndRefusesUpperCaseAndOddLength) {
  Bytes all(256);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint8_t>(i);
  EXPECT_EQ(HexDecode(HexEncode(all)), all);
  for (const char* text : {"0", "0G", "AB", " 00"}) EXPECT_FALSE(HexDecode(text).has_value()) << text;
}

// RFC 4648 section 10, lower-case and without padding.
TEST(Base32, MatchesThePublishedVectors) {
  EXPECT_EQ(Base32Encode(AsBytes("f")), "my");
  EXPECT_EQ(Base32Encode(AsBytes("fooba")), "mzxw6ytb");
  EXPECT_EQ(Base32Encode(AsBytes("foobar")), "mzxw6ytboi");
  EXPECT_EQ(Base32Encode(Bytes(10, 0xff)).size(), 16u);
}

// RFC 3629 section 4: the first and last character of each length, and each way to be wrong.
TEST(Utf8, AcceptsEveryLengthAndRefusesEveryMalformedForm) {
  for (const char* text : {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\xe2\x80\x94z"}) {
    EXPECT_TRUE(IsUtf8(text)) << HexEncode(AsBytes(text));
  }
  for (const char* text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xe2\x80", "\xed\xa0\x80",
        "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xe2\x80\x94\x94"}) {
    EXPECT_FALSE(IsUtf8(text)) << HexEncode(AsBytes(text));
  }
}

TEST(LittleEndian, StoresTheLowestByteFirst) {
  std::array<std::uint8_t, 4> bytes{};
  StoreLittleEndian<std::int32_t>(-2, bytes.data());
  EXPECT_EQ(bytes, (std::array<std::uint8_t, 4>{0xfe, 0xff, 0xff, 0xff}));
  EXPECT_EQ(LoadLittleEndian<std::int32_t>(bytes.data()), -2);
}

}  // namespace
}  // namespace hemafed
