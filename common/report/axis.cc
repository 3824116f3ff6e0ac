// SPDX-License-Identifier: Apache-2.0
#include "common/report/axis.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "common/error.h"
#include "common/report/number_text.h"

namespace hemafed::report {

namespace {

// A limit that misses a multiple of the step by rounding alone counts as that multiple.
constexpr double kSlack = 1e-9;
// Charts show measurements; beyond this the labels would not fit anything.
constexpr double kMaxMagnitude = 1e15;

}  // namespace

Axis NiceAxis(double low, double high, int max_ticks) {
  if (!std::isfinite(low) || !std::isfinite(high) || std::max(std::abs(low), std::abs(high)) > kMaxMagnitude) {
    throw Error(ErrorCode::kInvalidInput, "an axis has a limit that is not finite or beyond 1e15");
  }
  max_ticks = std::clamp(max_ticks, 2, 100);
  if (low > high) std::swap(low, high);
  // Below this width the ticks would differ in digits that a double of this size or a label does not have.
  const double least = std::max(std::max(std::abs(low), std::abs(high)) * 1e-9, 1e-12);
  if (high - low <= least) {
    const double room = std::max(0.5, std::max(std::abs(low), std::abs(high)) * 0.1);
    low -= room;
    high += room;
  }
  // The power of ten below the smallest possible step, then 1, 2 and 5 times it and its successors until all fit.
  int exponent = static_cast<int>(std::floor(std::log10((high - low) / max_ticks)));
  for (;; ++exponent) {
    for (const int mantissa : {1, 2, 5}) {
      const double power = std::pow(10.0, std::abs(exponent));
      const auto multiple = [&](double count) {
        return exponent < 0 ? count * mantissa / power : count * mantissa * power;
      };
      const double step = multiple(1);
      const double first = std::floor(low / step + kSlack);
      const double last = std::ceil(high / step - kSlack);
      if (last - first + 1 > max_ticks) continue;
      Axis axis{.low = multiple(first), .high = multiple(last), .ticks = {}};
      const int digits = std::min(kMaxDigits, std::max(0, -exponent));
      const int steps = static_cast<int>(last - first);  // Below max_ticks.
      for (int i = 0; i <= steps; ++i) {
        const double value = multiple(first + i);
        axis.ticks.push_back({value, FormatFixed(value, digits)});
      }
      return axis;
    }
  }
}

}  // namespace hemafed::report
