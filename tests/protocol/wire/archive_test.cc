// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/archive.h"

#include <gtest/gtest.h>

#include <memory>

#include "protocol/wire/messages.h"

namespace hemafed::wire {
namespace {

// What must not compile as a field of a message.
template <typename T>
constexpr bool kIsField = cereal::traits::is_output_serializable<T, WireOutput>::value&&
    cereal::traits::is_input_serializable<T, WireInput>::value;
static_assert(kIsField<std::uint32_t> && kIsField<std::int64_t> && kIsField<Digest> && kIsField<Bytes32>);
static_assert(!kIsField<bool>, "a bool could be read as neither true nor false");
static_assert(!kIsField<std::string> && !kIsField<Bytes> && !kIsField<std::vector<Digest>>, "no limit");
static_assert(!kIsField<double> && !kIsField<float>);
static_assert(!kIsField<std::int32_t> && !kIsField<char>, "not in the format");
static_assert(!kIsField<std::unique_ptr<int>>);

struct TextCase {
  const char* name;
  std::string text;
  bool line;
  bool page;
};

class PlainText : public ::testing::TestWithParam<TextCase> {};

TEST_P(PlainText, IsToldApart) {
  EXPECT_EQ(IsPlainText(GetParam().text, TextRule::kLine), GetParam().line);
  EXPECT_EQ(IsPlainText(GetParam().text, TextRule::kPage), GetParam().page);
}

INSTANTIATE_TEST_SUITE_P(Table, PlainText,
                         ::testing::ValuesIn(std::vector<TextCase>{
                             {"Empty", "", true, true},
                             {"Ascii", "site 1", true, true},
                             {"Umlaut", "Z\xc3\xbcrich", true, true},
                             {"ThreeBytes", "\xe2\x82\xac", true, true},
                             {"FourBytes", "\xf0\x9f\xa9\xb8", true, true},
                             {"LastCodePoint", "\xf4\x8f\xbf\xbf", true, true},
                             {"Newline", "a\nb", false, true},
                             {"CarriageReturn", "a\rb", false, false},
                             {"Tab", "a\tb", false, false},
                             {"Nul", std::string(1, '\0'), false, false},
                             {"Escape", "\x1b[2J", false, false},
                             {"Delete", "\x7f", false, false},
                             {"C1Control", "\xc2\x9b", false, false},
                             {"FirstAfterC1", "\xc2\xa0", true, true},
                             {"LoneContinuation", "\x80", false, false},
                             {"OverlongTwo", "\xc1\x81", false, false},
                             {"OverlongThree", "\xe0\x81\x81", false, false},
                             {"OverlongFour", "\xf0\x80\x81\x81", false, false},
                             {"Surrogate", "\xed\xa0\x80", false, false},
                             {"BeyondUnicode", "\xf4\x90\x80\x80", false, false},
                             {"FiveByteLead", "\xf8\x88\x80\x80\x80", false, false},
                             {"CutInTheMiddle", "\xe2\x82", false, false},
                             {"BrokenInTheMiddle", "\xe2(\xac", false, false}}),
                         [](const auto& row) { return row.param.name; });

TEST(WireInput, AfterTheFirstFailureEverythingReadsAsZeros) {
  const Bytes bytes{1, 2, 3, 4, 5};
  WireInput input(bytes);
  std::uint32_t first = 0;
  std::uint64_t second = 77;
  std::uint8_t third = 77;
  input(first, second, third);
  EXPECT_EQ(first, 0x04030201u);
  EXPECT_EQ(second, 0u);
  EXPECT_EQ(third, 0u);
  EXPECT_EQ(input.Finish().substr(0, 7), "ends in");
}

TEST(WireInput, LeftoversAreAnError) {
  const Bytes bytes{1, 2};
  WireInput input(bytes);
  std::uint8_t first = 0;
  input(first);
  EXPECT_EQ(input.Finish(), "1 bytes after the last field");
}

TEST(WireOutput, IntegersAreLittleEndian) {
  Bytes bytes;
  WireOutput output(bytes);
  output(std::uint8_t{0xAB}, std::uint16_t{0x0102}, std::uint32_t{0x01020304}, std::int64_t{-2});
  EXPECT_EQ(HexEncode(bytes),
            "ab"
            "0201"
            "04030201"
            "feffffffffffffff");
}

}  // namespace
}  // namespace hemafed::wire
