// SPDX-License-Identifier: Apache-2.0
#include "protocol/log/canonical_json.h"

#include <gtest/gtest.h>

#include "tests/protocol/log_test_support.h"

namespace hemafed {
namespace {

using nlohmann::json;
using testing_support::FailureOf;

TEST(CanonicalJson, SortsKeysByBytesAndWritesNoSpaces) {
  const json value = {{"b", 1}, {"a", {{"z", nullptr}, {"Z", true}}}, {"\u00e9", {1, -2, "x y"}}, {"", false}};
  const std::string text = "{\"\":false,\"a\":{\"Z\":true,\"z\":null},\"b\":1,\"\u00e9\":[1,-2,\"x y\"]}";
  EXPECT_EQ(CanonicalJson(value), text);
  EXPECT_EQ(ParseCanonicalJson(text), value);
}

TEST(CanonicalJson, EscapesExactlyWhatItsPageLists) {
  std::string all;
  for (char c = 1; c < 0x20; ++c) all.push_back(c);
  all += "\"\\/\x7f\u2028\u00e9";
  EXPECT_EQ(
      CanonicalJson(all),
      "\"\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e\\u000f"
      "\\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016\\u0017\\u0018\\u0019\\u001a\\u001b\\u001c\\u001d\\u001e\\u001f"
      "\\\"\\\\/\x7f\u2028\u00e9\"");
  EXPECT_EQ(ParseCanonicalJson(CanonicalJson(all)), all);
}

TEST(CanonicalJson, HoldsIntegersUpTo2To53Minus1InBothDirections) {
  EXPECT_EQ(CanonicalJson({kMaxJsonInteger, -kMaxJsonInteger, 0}), "[9007199254740991,-9007199254740991,0]");
  EXPECT_TRUE(FailureOf([] { (void)CanonicalJson(kMaxJsonInteger + 1); }));
  EXPECT_TRUE(FailureOf([] { (void)CanonicalJson(-kMaxJsonInteger - 1); }));
  EXPECT_TRUE(FailureOf([] { (void)CanonicalJson(~std::uint64_t{0}); }));
}

TEST(CanonicalJson, RefusesValuesThatHaveNoCanonicalForm) {
  for (const json& value : {json(0.5), json(1.0), json::binary({1, 2}), json("\xff"), json{{"\xc0\x80", 1}}}) {
    const auto failure = FailureOf([&] { (void)CanonicalJson(value); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code, ErrorCode::kInvalidInput);
  }
}

TEST(CanonicalJson, BoundsDepthAndSizeBothWays) {
  const auto nested = [](int depth) {
    return std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']');
  };
  EXPECT_EQ(CanonicalJson(ParseCanonicalJson(nested(kMaxJsonDepth))), nested(kMaxJsonDepth));
  EXPECT_TRUE(FailureOf([&] { (void)ParseCanonicalJson(nested(kMaxJsonDepth + 1)); }));
  EXPECT_TRUE(FailureOf([&] { (void)CanonicalJson(json::parse(nested(kMaxJsonDepth + 1))); }));
  // Deep enough to exhaust the stack if it were followed.
  EXPECT_TRUE(FailureOf([&] { (void)ParseCanonicalJson(nested(5'000'000), 100'000'000); }));

  const std::string largest(kMaxEntryBytes - 2, 'x');
  EXPECT_EQ(CanonicalJson(largest).size(), kMaxEntryBytes);
  EXPECT_EQ(ParseCanonicalJson(CanonicalJson(largest)), largest);
  EXPECT_TRUE(FailureOf([&] { (void)CanonicalJson(largest + "x"); }));
  EXPECT_TRUE(FailureOf([&] { (void)ParseCanonicalJson("\"" + largest + "x\""); }));
}

struct NotCanonical {
  const char* name;
  std::string text;
};

class ParseCanonicalJsonRefuses : public testing::TestWithParam<NotCanonical> {};

TEST_P(ParseCanonicalJsonRefuses, TextThatIsNotItsOwnCanonicalForm) {
  const auto failure = FailureOf([] { (void)ParseCanonicalJson(GetParam().text); });
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code, ErrorCode::kInvalidInput);
}

INSTANTIATE_TEST_SUITE_P(Table, ParseCanonicalJsonRefuses,
                         testing::ValuesIn(std::vector<NotCanonical>{{"Empty", ""},
                                                                     {"SpaceBefore", " 1"},
                                                                     {"NewlineAfter", "1\n"},
                                                                     {"SpaceInside", "{\"a\": 1}"},
                                                                     {"UnsortedKeys", "{\"b\":1,\"a\":2}"},
                                                                     {"RepeatedKey", "{\"a\":1,\"a\":1}"},
                                                                     {"Fraction", "1.5"},
                                                                     {"IntegerWithFraction", "1.0"},
                                                                     {"Exponent", "1e2"},
                                                                     {"MinusZero", "-0"},
                                                                     {"LeadingZero", "01"},
                                                                     {"Plus", "+1"},
                                                                     {"Over2To53", "9007199254740992"},
                                                                     {"Over64Bits", "99999999999999999999"},
                                                                     {"EscapedSlash", "\"\\/\""},
                                                                     {"EscapedLetter", "\"\\u0061\""},
                                                                     {"UpperCaseHex", "\"\\u001F\""},
                                                                     {"LongEscapeOfNewline", "\"\\u000a\""},
                                                                     {"LoneSurrogate", "\"\\ud800\""},
                                                                     {"RawNewline", "\"\n\""},
                                                                     {"NotUtf8", "\"\xff\""},
                                                                     {"OverlongUtf8", "\"\xc0\x80\""},
                                                                     {"ByteOrderMark",
                                                                      "\xef\xbb\xbf"
                                                                      "1"},
                                                                     {"Comment", "/**/1"},
                                                                     {"TwoValues", "1 2"},
                                                                     {"Cut", "{\"a\":"},
                                                                     {"NaN", "NaN"}}),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace hemafed
