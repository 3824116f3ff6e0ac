// SPDX-License-Identifier: Apache-2.0
#include "common/report/markup.h"

#include <algorithm>
#include <cstdint>

#include "common/bytes.h"

namespace hemafed::report {

namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr char32_t kEllipsis = 0x2026;

// Bytes of the sequence that starts with `lead`, by RFC 3629; 0 for a byte that cannot start one.
std::size_t SequenceLength(std::uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return 0;
}

char32_t Decode(std::string_view sequence) {
  const auto lead = static_cast<std::uint8_t>(sequence[0]);
  if (sequence.size() == 1) return lead;
  char32_t point = lead & (0xFFu >> (sequence.size() + 1));
  for (const char c : sequence.substr(1)) point = (point << 6) | (static_cast<std::uint8_t>(c) & 0x3Fu);
  return point;
}

bool MayBeShown(char32_t point) {
  if (point == '\t' || point == '\n') return true;
  if (point < 0x20 || (point >= 0x7F && point < 0xA0)) return false;
  const bool noncharacter = (point & 0xFFFE) == 0xFFFE || (point >= 0xFDD0 && point <= 0xFDEF);
  return !noncharacter;
}

void AppendUtf8(char32_t point, std::string& out) {
  const auto low = [&](int shift) { return static_cast<char>(0x80 | ((point >> shift) & 0x3F)); };
  if (point < 0x80) {
    out.push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (point >> 6)));
    out.push_back(low(0));
  } else if (point < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (point >> 12)));
    out.push_back(low(6));
    out.push_back(low(0));
  } else {
    out.push_back(static_cast<char>(0xF0 | (point >> 18)));
    out.push_back(low(12));
    out.push_back(low(6));
    out.push_back(low(0));
  }
}

}  // namespace

std::vector<char32_t> CleanCodePoints(std::string_view text) {
  std::vector<char32_t> points;
  points.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = SequenceLength(static_cast<std::uint8_t>(text[at]));
    const std::string_view sequence = text.substr(at, length);
    if (length == 0 || sequence.size() < length || !IsUtf8(sequence)) {
      points.push_back(kReplacement);
      ++at;
      continue;
    }
    const char32_t point = Decode(sequence);
    points.push_back(MayBeShown(point) ? point : kReplacement);
    at += length;
  }
  return points;
}

std::string ToUtf8(const std::vector<char32_t>& points) {
  std::string out;
  out.reserve(points.size());
  for (const char32_t point : points) AppendUtf8(point, out);
  return out;
}

std::string EscapeMarkup(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : ToUtf8(CleanCodePoints(text))) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out.push_back(c);
    }
  }
  return out;
}

std::string Shorten(std::string_view text, std::size_t max_points) {
  std::vector<char32_t> points = CleanCodePoints(text);
  std::replace_if(
      points.begin(), points.end(), [](char32_t point) { return point == '\n' || point == '\t'; }, U' ');
  if (points.size() > max_points) {
    points.resize(max_points);
    if (!points.empty()) points.back() = kEllipsis;
  }
  return ToUtf8(points);
}

}  // namespace hemafed::report
