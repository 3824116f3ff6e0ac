// SPDX-License-Identifier: Apache-2.0
#include "studies/federation/plan_text.h"

#include <toml++/toml.h>

#include <sstream>

#include "codec/plan.h"
#include "common/error.h"

namespace hemafed::studies {

namespace {

// TOML integers end at 2^63 - 1, and a study's record holds seeds up to 2^53 - 1.
constexpr std::uint64_t kMaxSeed = (std::uint64_t{1} << 53) - 1;

toml::table Parsed(std::string_view plan, const std::string& where) {
  (void)ParsePlan(plan, where);  // Says what is wrong with line and column, and bounds the text.
  return toml::parse(plan);
}

// Offset of a line (from 1) and a column (from 1, in characters of UTF-8).
std::size_t OffsetOf(std::string_view text, const toml::source_position& at) {
  std::size_t offset = 0;
  for (std::uint32_t line = 1; line < at.line; ++line) offset = text.find('\n', offset) + 1;
  for (std::uint32_t column = 1; column < at.column; ++column) {
    ++offset;
    while (offset < text.size() && (static_cast<unsigned char>(text[offset]) & 0xc0) == 0x80) ++offset;
  }
  return offset;
}

}  // namespace

std::string PlanWithSeed(std::string_view plan, std::uint64_t seed, const std::string& where) {
  if (seed > kMaxSeed) {
    throw Error(ErrorCode::kInvalidInput,
                "the seed " + std::to_string(seed) + " is too large; use one up to " + std::to_string(kMaxSeed));
  }
  const toml::table table = Parsed(plan, where);
  const toml::source_region& place = table.get("seed")->source();
  const std::size_t begin = OffsetOf(plan, place.begin), end = OffsetOf(plan, place.end);
  std::string text(plan.substr(0, begin));
  text += std::to_string(seed);
  text += plan.substr(end);
  if (ParsePlan(text, where).seed != seed) {
    throw Error(ErrorCode::kInternal, where + ": the seed could not be replaced");
  }
  return text;
}

nlohmann::json PlanAsJson(std::string_view plan, const std::string& where) {
  const toml::table table = Parsed(plan, where);
  std::ostringstream text;
  text << toml::json_formatter(table);
  return nlohmann::json::parse(text.str());
}

}  // namespace hemafed::studies
