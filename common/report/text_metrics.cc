// SPDX-License-Identifier: Apache-2.0
#include "common/report/text_metrics.h"

#include <array>
#include <cstdint>

#include "common/report/markup.h"

namespace hemafed::report {

namespace {

// Thousandths of the font size, from U+0020 to U+007E.
constexpr std::array<std::uint16_t, 95> kHelveticaAdvance = {
    278,  278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,  // space to /
    556,  556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,  // 0 to ?
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,  // @ to O
    667,  778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,  // P to _
    333,  556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,  // ` to o
    556,  556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584};      // p to ~
constexpr double kOtherAdvance = 0.6;
// Helvetica Bold is wider by five to ten parts of a hundred, letter by letter.
constexpr double kBoldFactor = 1.07;

}  // namespace

double AdvanceOf(char32_t point) {
  if (point < 0x20 || point > 0x7E) return kOtherAdvance;
  return kHelveticaAdvance[point - 0x20] / 1000.0;
}

double TextWidth(std::string_view text, double size, bool bold) {
  double width = 0;
  for (const char32_t point : CleanCodePoints(text)) width += AdvanceOf(point);
  return width * size * (bold ? kBoldFactor : 1.0);
}

}  // namespace hemafed::report
