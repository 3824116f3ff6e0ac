// protocol/log/canonical_json.cc
// SPDX-License-Identifier: Apache-2.0
#include "protocol/log/canonical_json.h"

#include "common/error.h"

namespace hemafed {

namespace {

using nlohmann::json;

[[noreturn]] void Refuse(const std::string& reason) {
  throw Error(ErrorCode::kInvalidInput, "not canonical JSON: " + reason);
}

void CheckSize(std::size_t size, std::size_t limit) {
  if (size > limit) Refuse(std::to_string(size) + " bytes are over the limit of " + std::to_string(limit));
}

void CheckDepth(int depth) {
  if (depth > kMaxJsonDepth) Refuse("objects and arrays lie more than " + std::to_string(kMaxJsonDepth) + " deep");
}

void CheckValue(const json& value, int depth) {
  switch (value.type()) {
    case json::value_t::null:
    case json::value_t::boolean:
    case json::value_t::string: return;  // Encoding is checked when it is written.
    case json::value_t::number_unsigned:
      if (value.get<std::uint64_t>() > static_cast<std::uint64_t>(kMaxJsonInteger)) Refuse("an integer above 2^53 - 1");
      return;
    case json::value_t::number_integer:
      if (value.get<std::int64_t>() > kMaxJsonInteger || value.get<std::int64_t>() < -kMaxJsonInteger) {
        Refuse("an integer beyond 2^53 - 1");
      }
      return;
    case json::value_t::number_float: Refuse("a fraction or an integer too large; write fractions in millionths");
    case json::value_t::binary:
    case json::value_t::discarded: Refuse("a value that JSON cannot carry");
    case json::value_t::object:
    case json::value_t::array:
      CheckDepth(depth);
      for (const json& element : value) CheckValue(element, depth + 1);
      return;
  }
}

}  // namespace

std::string CanonicalJson(const json& value, std::size_t limit_bytes) {
  CheckValue(value, 1);
  std::string text;
  try {
    // nlohmann::json keeps objects in ascending byte order of their keys and writes the escapes that our page lists.
    text = value.dump(-1, ' ', false, json::error_handler_t::strict);
  } catch (const json::exception& error) {
    Refuse(error.what());
  }
  CheckSize(text.size(), limit_bytes);
  return text;
}

json ParseCanonicalJson(std::string_view text, std::size_t limit_bytes) {
  CheckSize(text.size(), limit_bytes);
  json value;
  try {
    // The depth is watched while parsing: afterwards even destroying the value would recurse as deep as the text.
    value = json::parse(text, [](int depth, json::parse_event_t, json&) {
      CheckDepth(depth);
      return true;
    });
  } catch (const json::exception& error) {
    Refuse(error.what());
  }
  if (CanonicalJson(value, limit_bytes) != text) {
    Refuse("the text differs from its canonical form (order of keys, repeated keys, spaces, escapes or numbers)");
  }
  return value;
}

}  // namespace hemafed
