// learning/data/path_rules.h
// SPDX-License-Identifier: Apache-2.0
//
// What a name from a manifest or a folder must look like before it is used or printed. Purely textual: whether a
// symbolic link leads out of the folder is asked of the file system, in picture_folder.h.
//
// Thread-safety: free functions without state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "learning/data/skip_reason.h"

namespace hemafed::learning {

// Longest path below a domain folder that is accepted, in bytes; published sets stay below 100.
inline constexpr std::size_t kMaxPicturePathBytes = 512;

// Well-formed UTF-8 (RFC 3629) without control characters (C0, DEL, C1); with `allow_line_ends` CR and LF may occur.
[[nodiscard]] bool IsPlainText(std::string_view text, bool allow_line_ends = false);

// A path relative to the domain folder, parts separated by '/'. Nothing when it is fine; kEscapesFolder for an absolute
// path or a part "..", kHidden for a part that starts with a dot, kBadName for an empty part, a backslash, a control
// character, bytes that are not UTF-8, or more than kMaxPicturePathBytes.
[[nodiscard]] std::optional<SkipReason> CheckPicturePath(std::string_view path);

// Labels as sources use them: 1 to kMaxShortNameBytes letters, digits, '_', '-' or '.', not starting with '.' or '-'.
inline constexpr std::size_t kMaxShortNameBytes = 64;
[[nodiscard]] bool IsShortName(std::string_view name);

// The text with everything that is not plain replaced by '?', for messages and reports.
[[nodiscard]] std::string Printable(std::string_view text);

}  // namespace hemafed::learning
