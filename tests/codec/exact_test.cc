// SPDX-License-Identifier: Apache-2.0
#include "codec/exact.h"

#include <gtest/gtest.h>

#include <cfenv>
#include <cmath>

#include "common/random.h"

namespace hemafed {
namespace {

TEST(RoundHalfEven, TakesTheEvenOneOfTwoEquallyNear) {
  EXPECT_EQ(RoundHalfEven(0.5), 0);
  EXPECT_EQ(RoundHalfEven(1.5), 2);
  EXPECT_EQ(RoundHalfEven(2.5), 2);
  EXPECT_EQ(RoundHalfEven(-0.5), 0);
  EXPECT_EQ(RoundHalfEven(-1.5), -2);
  EXPECT_EQ(RoundHalfEven(-2.5), -2);
  EXPECT_EQ(RoundHalfEven(0x1.fffffffffffffp-2), 0);  // The number below one half.
  EXPECT_EQ(RoundHalfEven(-0x1.fffffffffffffp-2), 0);
  EXPECT_EQ(RoundHalfEven(0x1.0000000000001p-1), 1);  // The number above one half.
  EXPECT_EQ(RoundHalfEven(-0x1.0000000000001p-1), -1);
  EXPECT_EQ(RoundHalfEven(-1e-300), 0);
  EXPECT_EQ(RoundHalfEven(0x1p52 + 1), 0x1p52 + 1);
  EXPECT_EQ(RoundHalfEven(-1e300), -1e300);
}

TEST(RoundHalfEven, AgreesWithTheProcessorInItsDefaultModeAndIgnoresOthers) {
  RandomStream random(7);
  for (int i = 0; i < 20'000; ++i) {
    const double x = std::ldexp(random.NextBetween(-1, 1), static_cast<int>(random.NextBelow(60)) - 5);
    const double want = std::nearbyint(x);
    ASSERT_EQ(RoundHalfEven(x), want) << x;
    std::fesetround(FE_UPWARD);
    const double upward = RoundHalfEven(x);
    std::fesetround(FE_TONEAREST);
    ASSERT_EQ(upward, want) << x;
  }
}

TEST(DivideHalfEven, AgreesWithAllSmallCases) {
  for (int denominator = 1; denominator <= 12; ++denominator) {
    for (int numerator = -60; numerator <= 60; ++numerator) {
      // Exact: quarters and so on of small numbers that decide a tie are multiples of 1/2.
      const double want = numerator * 2 % denominator == 0
                              ? std::nearbyint(static_cast<double>(numerator) / denominator)
                              : std::round(static_cast<double>(numerator) / denominator);
      EXPECT_EQ(static_cast<double>(DivideHalfEven(numerator, denominator)), want) << numerator << "/" << denominator;
    }
  }
}

TEST(DivideHalfEven, IsExactBeyondSixtyFourBits) {
  const Int128 large = static_cast<Int128>(1) << 100;
  EXPECT_TRUE(DivideHalfEven(large + 1, 2) == large / 2);      // A half above an even number.
  EXPECT_TRUE(DivideHalfEven(large + 3, 2) == large / 2 + 2);  // A half above an odd one.
  EXPECT_TRUE(DivideHalfEven(-large - 3, 2) == -large / 2 - 2);
}

}  // namespace
}  // namespace hemafed
