// common/report/number_text.h
// SPDX-License-Identifier: Apache-2.0
//
// Numbers as text, the same on every machine: a point as the decimal sign whatever the locale, no "-0.00", no "nan".
//
// Errors: kInvalidInput for a value that is not finite, a spread below zero or a number of digits out of range.
// Thread-safety: free functions without state.
#pragma once

#include <optional>
#include <string>

namespace hemafed::report {

// Digits after the point; more than a double can hold means nothing.
inline constexpr int kMaxDigits = 15;

// A value with what is known of its spread. What the spread is (seeds, steps, folds) is said by whoever shows it.
struct Measurement {
  double value = 0;
  std::optional<double> spread;  // Half-width of "value ± spread", >= 0.
  int digits = 3;                // After the point, 0 to kMaxDigits.
};

// The exact value rounded to `digits` after the point: (0.125, 2) is "0.12", because 0.125 is a tie and 2 is even.
[[nodiscard]] std::string FormatFixed(double value, int digits);

// "0.82 ± 0.04", or "0.82" without a spread.
[[nodiscard]] std::string FormatMeasurement(const Measurement& measurement);

// The shortest text that reads back as the same double: what machine-readable files carry.
[[nodiscard]] std::string FormatExact(double value);

}  // namespace hemafed::report
