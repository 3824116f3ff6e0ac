// common/report/confusion_chart.h
// SPDX-License-Identifier: Apache-2.0
//
// A confusion matrix as a heat map: rows are true classes, columns predictions. A cell shows its count and, beneath it,
// its share of the row in percent; the shade is that share, so rare classes are as legible as frequent ones. The last
// column has the pictures of each class. A row without pictures is grey and has no percentages.
//
// Shapes: n class names, n · n counts in row-major order (counts[true * n + predicted]).
//
// Errors: kInvalidInput for no class, more than kMaxConfusionClasses, another number of counts, or a row whose sum does
// not fit 53 bits. Thread-safety: value type and a free function without state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/report/drawing.h"

namespace hemafed::report {

inline constexpr std::size_t kMaxConfusionClasses = 64;

struct ConfusionChart {
  std::string title;
  std::vector<std::string> classes;
  std::vector<std::uint64_t> counts;
};

[[nodiscard]] Drawing DrawConfusionChart(const ConfusionChart& chart);

}  // namespace hemafed::report
