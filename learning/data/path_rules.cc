// SPDX-License-Identifier: Apache-2.0
#include "learning/data/path_rules.h"

#include <algorithm>
#include <cstdint>

#include "common/bytes.h"

namespace hemafed::learning {

namespace {

// A control character (C0, DEL, C1) starts at `at` of a well-formed text.
bool IsControl(std::string_view text, std::size_t at) {
  const auto lead = static_cast<std::uint8_t>(text[at]);
  // C1 controls are U+0080 to U+009F: C2 80 to C2 9F.
  const bool c1 = lead == 0xC2 && at + 1 < text.size() && static_cast<std::uint8_t>(text[at + 1]) < 0xA0;
  return lead < 0x20 || lead == 0x7F || c1;
}

}  // namespace

bool IsPlainText(std::string_view text, bool allow_line_ends) {
  if (!IsUtf8(text)) return false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool line_end = text[at] == '\n' || text[at] == '\r';
    if (IsControl(text, at) && !(allow_line_ends && line_end)) return false;
  }
  return true;
}

std::optional<SkipReason> CheckPicturePath(std::string_view path) {
  if (path.empty() || path.size() > kMaxPicturePathBytes || !IsPlainText(path)) return SkipReason::kBadName;
  if (path.find('\\') != std::string_view::npos) return SkipReason::kBadName;
  if (path.front() == '/') return SkipReason::kEscapesFolder;
  bool hidden = false;
  for (std::string_view rest = path; !rest.empty();) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part == "..") return SkipReason::kEscapesFolder;
    if (part.empty()) return SkipReason::kBadName;
    hidden = hidden || part.front() == '.';
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
    if (rest.empty()) return SkipReason::kBadName;  // Ends in a slash.
  }
  if (hidden) return SkipReason::kHidden;
  return std::nullopt;
}

bool IsShortName(std::string_view name) {
  if (name.empty() || name.size() > kMaxShortNameBytes || name.front() == '.' || name.front() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
}

std::string Printable(std::string_view text) {
  const bool well_formed = IsUtf8(text);
  std::string printable(text);
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool foreign = !well_formed && static_cast<std::uint8_t>(text[at]) >= 0x80;
    if (!foreign && !IsControl(text, at)) continue;
    printable[at] = '?';
    if (well_formed && static_cast<std::uint8_t>(text[at]) == 0xC2) printable[++at] = '?';
  }
  return printable;
}

}  // namespace hemafed::learning
