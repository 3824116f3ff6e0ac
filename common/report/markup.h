// common/report/markup.h
// SPDX-License-Identifier: Apache-2.0
//
// Text from files, folders and settings on its way into SVG and HTML. Names of pictures and classes come from other
// programs, and a report must neither break on them nor run anything they hold.
//
// Thread-safety: free functions without state.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hemafed::report {

// The code points of a text. Bytes that are not UTF-8, and characters that XML 1.0 (section 2.2) or HTML forbid or that
// have no shape (controls other than tab and line feed, noncharacters), become U+FFFD, the replacement sign, one for
// each.
[[nodiscard]] std::vector<char32_t> CleanCodePoints(std::string_view text);
[[nodiscard]] std::string ToUtf8(const std::vector<char32_t>& points);

// Clean text in which < > & " and ' are character references: safe as element content and inside a quoted attribute.
[[nodiscard]] std::string EscapeMarkup(std::string_view text);

// At most `max_points` characters on one line; the last one is an ellipsis where something was cut.
[[nodiscard]] std::string Shorten(std::string_view text, std::size_t max_points);

}  // namespace hemafed::report
