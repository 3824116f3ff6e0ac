// SPDX-License-Identifier: Apache-2.0
#include "common/report/number_text.h"

#include <array>
#include <charconv>
#include <cmath>

#include "common/error.h"

namespace hemafed::report {

namespace {

// 309 digits before the point, kMaxDigits after it, sign and point.
using NumberBuffer = std::array<char, 336>;

void RequireFinite(double value) {
  if (!std::isfinite(value)) {
    throw Error(ErrorCode::kInvalidInput,
                "a number for a report is not finite (NaN or infinite); leave out a value that is not defined");
  }
}

}  // namespace

std::string FormatFixed(double value, int digits) {
  RequireFinite(value);
  if (digits < 0 || digits > kMaxDigits) {
    throw Error(ErrorCode::kInvalidInput, "a number for a report asks for " + std::to_string(digits) +
                                              " digits after the point; 0 to " + std::to_string(kMaxDigits) +
                                              " are possible");
  }
  NumberBuffer buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, digits);
  std::string text(buffer.data(), end.ptr);
  // A small negative value must not read as a signed zero.
  if (text.starts_with('-') && text.find_first_of("123456789") == std::string::npos) text.erase(0, 1);
  return text;
}

std::string FormatMeasurement(const Measurement& measurement) {
  std::string text = FormatFixed(measurement.value, measurement.digits);
  if (!measurement.spread) return text;
  if (*measurement.spread < 0) {
    throw Error(ErrorCode::kInvalidInput, "a spread for a report is below zero: " + FormatExact(*measurement.spread));
  }
  return text + " \u00B1 " + FormatFixed(*measurement.spread, measurement.digits);
}

std::string FormatExact(double value) {
  RequireFinite(value);
  NumberBuffer buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return std::string(buffer.data(), end.ptr);
}

}  // namespace hemafed::report
