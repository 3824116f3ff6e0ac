// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "common/bytes.h"
#include "common/report/markup.h"
#include "common/report/number_text.h"
#include "common/report/text_metrics.h"
#include "studies/report/report_names.h"
#include "tests/expect_error.h"

namespace hemafed::studies {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(FormatFixed, RoundsTheExactValueAndHasNoSignedZero) {
  EXPECT_EQ(FormatFixed(0.825, 2), "0.82");  // The double lies below 0.825.
  EXPECT_EQ(FormatFixed(0.125, 2), "0.12");  // A tie goes to the even digit.
  EXPECT_EQ(FormatFixed(0.375, 2), "0.38");
  EXPECT_EQ(FormatFixed(-0.004, 2), "0.00");
  EXPECT_EQ(FormatFixed(-0.0, 0), "0");
  EXPECT_EQ(FormatFixed(-0.006, 2), "-0.01");
  EXPECT_EQ(FormatFixed(1234567.0, 0), "1234567");
  EXPECT_EQ(FormatFixed(std::numeric_limits<double>::max(), 15).size(), 309u + 16u);
}

TEST(FormatFixed, RefusesWhatIsNoNumberAndDigitsThatMeanNothing) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not finite", (void)FormatFixed(kNan, 2));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not finite", (void)FormatFixed(-kInfinity, 2));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "-1 digits", (void)FormatFixed(1, -1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "16 digits", (void)FormatFixed(1, 16));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not finite", (void)FormatExact(kNan));
}

TEST(FormatMeasurement, ShowsTheSpreadWithTheSameDigits) {
  EXPECT_EQ(FormatMeasurement({.value = 0.8166, .spread = 0.0449, .digits = 2}), "0.82 \u00B1 0.04");
  EXPECT_EQ(FormatMeasurement({.value = 0.8166, .spread = {}, .digits = 3}), "0.817");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "below zero",
               (void)FormatMeasurement({.value = 1, .spread = -0.1, .digits = 2}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not finite",
               (void)FormatMeasurement({.value = 1, .spread = kNan, .digits = 2}));
}

TEST(FormatExact, ReadsBackAsTheSameDouble) {
  for (const double value : {0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, -2.5, 0.0, 123456789012345678.0})
    EXPECT_EQ(std::strtod(FormatExact(value).c_str(), nullptr), value);
}

TEST(EscapeMarkup, LeavesNothingThatMarkupWouldTakeForItsOwn) {
  EXPECT_EQ(EscapeMarkup("<script>\"a\" & 'b'</script>"),
            "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;");
  EXPECT_EQ(EscapeMarkup("Zellgr\u00F6\u00DFe \u00B1 \U0001F52C"), "Zellgr\u00F6\u00DFe \u00B1 \U0001F52C");
  EXPECT_EQ(EscapeMarkup("a\tb\nc"), "a\tb\nc");
}

TEST(EscapeMarkup, ReplacesEveryByteThatIsNoTextSoThatTheResultIsAlwaysUtf8) {
  EXPECT_EQ(EscapeMarkup(std::string_view("a\0b", 3)), "a\uFFFDb");
  EXPECT_EQ(EscapeMarkup("\x1b[31m"), "\uFFFD[31m");
  EXPECT_EQ(EscapeMarkup("\x7f\xc2\x85"), "\uFFFD\uFFFD");              // DEL and a C1 control.
  EXPECT_EQ(EscapeMarkup("\xff<\xc3"), "\uFFFD&lt;\uFFFD");             // No lead byte; cut short.
  EXPECT_EQ(EscapeMarkup("\xe0\x80\xaf"), "\uFFFD\uFFFD\uFFFD");        // Overlong.
  EXPECT_EQ(EscapeMarkup("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD");        // Surrogate.
  EXPECT_EQ(EscapeMarkup("\xef\xbf\xbf\xef\xb7\x90"), "\uFFFD\uFFFD");  // Noncharacters.
  for (int lead = 0; lead < 256; ++lead) {
    for (int next = 0; next < 256; ++next) {
      const std::string bytes = {static_cast<char>(lead), static_cast<char>(next), 'x'};
      EXPECT_TRUE(IsUtf8(EscapeMarkup(bytes))) << lead << " " << next;
    }
  }
}

TEST(Shorten, CutsAtCharactersAndStaysOnOneLine) {
  EXPECT_EQ(Shorten("abc", 3), "abc");
  EXPECT_EQ(Shorten("abcd", 3), "ab\u2026");
  EXPECT_EQ(Shorten("\u00E4\u00F6\u00FC\u00DF", 3), "\u00E4\u00F6\u2026");
  EXPECT_EQ(Shorten("a\nb\tc", 9), "a b c");
  EXPECT_EQ(Shorten("abc", 0), "");
}

TEST(TextWidth, IsThatOfHelvetica) {
  // Adobe's metrics: H 722, e 556, m 833, a 556, F 611, e 556, d 556 thousandths.
  EXPECT_NEAR(TextWidth("HemaFed", 10), 43.90, 1e-9);
  EXPECT_NEAR(TextWidth("~ ", 1000), 584 + 278, 1e-9);
  EXPECT_EQ(TextWidth("", 10), 0);
  EXPECT_GT(TextWidth("task", 10, true), TextWidth("task", 10));
}

}  // namespace
}  // namespace hemafed::studies
