// codec/exact.h
// SPDX-License-Identifier: Apache-2.0
//
// Integers of 128 bits and rounding half to even: what every machine must compute alike. Nothing here depends on the
// floating-point rounding mode of the process.
//
// Thread-safety: free functions without state.
#pragma once

#include <cmath>

namespace hemafed {

__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 UInt128;

// The integer nearest to x; of two equally near ones the even one. x must be finite.
[[nodiscard]] inline double RoundHalfEven(double x) noexcept {
  const double below = std::floor(x);
  // Exact, except between -1/2 and 0, where it may round to 1/2 or 1: both lead to 0, as they should.
  const double rest = x - below;
  if (rest < 0.5) return below;
  if (rest > 0.5) return below + 1;
  return std::fmod(below, 2) == 0 ? below : below + 1;
}

// The integer nearest to numerator / denominator, half to even. The denominator must be at least 1 and below 2^62.
[[nodiscard]] inline Int128 DivideHalfEven(Int128 numerator, Int128 denominator) noexcept {
  Int128 quotient = numerator / denominator;
  Int128 rest = numerator % denominator;
  if (rest < 0) {  // Division truncates towards zero; make the rest the distance from the integer below.
    rest += denominator;
    --quotient;
  }
  const Int128 twice = 2 * rest;
  if (twice > denominator || (twice == denominator && quotient % 2 != 0)) ++quotient;
  return quotient;
}

}  // namespace hemafed
