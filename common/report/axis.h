// common/report/axis.h
// SPDX-License-Identifier: Apache-2.0
//
// Where an axis begins, ends and is labelled.
//
// Ticks lie at whole multiples of a step that is 1, 2 or 5 times a power of ten (2.5 would need a digit more in every
// label); the axis ends on a tick at both sides.
//
// Errors: kInvalidInput for limits that are not finite. Thread-safety: free functions without state.
#pragma once

#include <string>
#include <vector>

namespace hemafed::report {

struct Tick {
  double value = 0;
  std::string label;
};

struct Axis {
  double low = 0;
  double high = 1;
  std::vector<Tick> ticks;  // Ascending; the first is at low, the last at high.

  // Position of a value between low (0) and high (1).
  [[nodiscard]] double Part(double value) const { return (value - low) / (high - low); }
};

// The narrowest such axis that holds [low, high] and has at most `max_ticks` (2 to 100) ticks. Equal limits get half a
// unit of room on both sides, or a tenth of their size where that is more; limits closer than 1e-12, or than a
// billionth of their size, count as equal.
[[nodiscard]] Axis NiceAxis(double low, double high, int max_ticks = 8);

}  // namespace hemafed::report
