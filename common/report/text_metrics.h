// common/report/text_metrics.h
// SPDX-License-Identifier: Apache-2.0
//
// How wide a text is, known without a font: the layout of a chart must be the same in SVG, where the reader's machine
// picks the font, and in PNG, where we draw the letters. The widths are those of Helvetica (Adobe Core 14 font
// metrics), which Arial and Liberation Sans share; the drawn letters are fitted to them.
//
// Thread-safety: free functions without state.
#pragma once

#include <string_view>

namespace hemafed::report {

// Height of a capital letter as a part of the font size (Helvetica: 718 of 1000).
inline constexpr double kCapHeight = 0.718;

// Advance of one character as a part of the font size; 0.6 for characters outside ASCII.
[[nodiscard]] double AdvanceOf(char32_t point);

// Width in the unit of `size`, of the text as EscapeMarkup would show it.
[[nodiscard]] double TextWidth(std::string_view text, double size, bool bold = false);

}  // namespace hemafed::report
