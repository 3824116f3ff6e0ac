// SPDX-License-Identifier: Apache-2.0
#include "common/json_fields.h"

#include <utility>

#include "common/error.h"

namespace hemafed {

using nlohmann::json;

namespace {

// Our own texts nest four or five levels; a deeper one is somebody else's attempt to exhaust the stack.
constexpr int kMaxDepth = 32;

}  // namespace

json ParseJsonObject(std::string_view text, const std::string& where) {
  const auto fail = [&](const std::string& problem) { throw Error(ErrorCode::kInvalidInput, where + " " + problem); };
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > kMaxDepth) fail("is nested deeper than " + std::to_string(kMaxDepth) + " levels");
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      fail("holds the key '" + parsed.get<std::string>() + "' twice");
    }
    return true;
  };
  json parsed;
  try {
    parsed = json::parse(text, watch);
  } catch (const json::exception& error) {
    fail(std::string("is not JSON: ") + error.what());
  }
  if (!parsed.is_object()) fail("is not a JSON object");
  return parsed;
}

JsonFields::JsonFields(const json& object, std::string where) : object_(&object), where_(std::move(where)) {
  if (!object.is_object()) throw Error(ErrorCode::kInvalidInput, where_ + " is not a JSON object");
}

void JsonFields::Fail(const std::string& key, const std::string& problem) const {
  throw Error(ErrorCode::kInvalidInput, where_ + ": field '" + key + "' " + problem);
}

const json& JsonFields::Require(const std::string& key) {
  const auto found = object_->find(key);
  if (found == object_->end()) Fail(key, "is missing");
  read_.insert(key);
  return *found;
}

const json& JsonFields::RequireArray(const std::string& key, std::size_t max_items) {
  const json& value = Require(key);
  if (!value.is_array()) Fail(key, "is not a list");
  if (value.size() > max_items) Fail(key, "has more than " + std::to_string(max_items) + " items");
  return value;
}

std::string JsonFields::Text(const std::string& key, std::size_t max_bytes) {
  const json& value = Require(key);
  if (!value.is_string()) Fail(key, "is not a text");
  auto text = value.get<std::string>();
  if (text.size() > max_bytes) Fail(key, "is longer than " + std::to_string(max_bytes) + " bytes");
  return text;
}

std::int64_t JsonFields::Integer(const std::string& key, std::int64_t low, std::int64_t high) {
  const json& value = Require(key);
  const bool too_large =
      value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  if (!value.is_number_integer() || too_large) Fail(key, "is not an integer");
  const auto number = value.get<std::int64_t>();
  if (number < low || number > high) {
    Fail(key, "is " + std::to_string(number) + ", outside " + std::to_string(low) + " to " + std::to_string(high));
  }
  return number;
}

std::uint64_t JsonFields::Unsigned(const std::string& key, std::uint64_t high) {
  return static_cast<std::uint64_t>(Integer(key, 0, static_cast<std::int64_t>(high)));
}

bool JsonFields::Boolean(const std::string& key) {
  const json& value = Require(key);
  if (!value.is_boolean()) Fail(key, "is neither true nor false");
  return value.get<bool>();
}

Digest JsonFields::Sha256Digest(const std::string& key) {
  const auto digest = Digest::FromHex(Text(key, 64));
  if (!digest) Fail(key, "is not a SHA-256 digest in lower-case hexadecimal");
  return *digest;
}

std::optional<Digest> JsonFields::OptionalDigest(const std::string& key) {
  if (Require(key).is_null()) return std::nullopt;
  return Sha256Digest(key);
}

Bytes JsonFields::HexBytes(const std::string& key, std::size_t bytes) {
  auto decoded = HexDecode(Text(key, 2 * bytes));
  if (!decoded || decoded->size() != bytes) Fail(key, "is not " + std::to_string(bytes) + " bytes in hexadecimal");
  return std::move(*decoded);
}

std::vector<std::string> JsonFields::Texts(const std::string& key, std::size_t max_items, std::size_t max_bytes) {
  std::vector<std::string> texts;
  for (const json& item : RequireArray(key, max_items)) {
    if (!item.is_string() || item.get_ref<const std::string&>().size() > max_bytes) {
      Fail(key, "holds something that is not a text of at most " + std::to_string(max_bytes) + " bytes");
    }
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

std::vector<std::optional<std::uint64_t>> JsonFields::Counts(const std::string& key, std::size_t max_items,
                                                             std::uint64_t high) {
  std::vector<std::optional<std::uint64_t>> counts;
  for (const json& item : RequireArray(key, max_items)) {
    if (item.is_null()) {
      counts.emplace_back();
      continue;
    }
    if (!item.is_number_unsigned() || item.get<std::uint64_t>() > high) {
      Fail(key, "holds something that is neither null nor an integer of at most " + std::to_string(high));
    }
    counts.emplace_back(item.get<std::uint64_t>());
  }
  return counts;
}

std::vector<std::uint64_t> JsonFields::Numbers(const std::string& key, std::size_t max_items, std::uint64_t low,
                                               std::uint64_t high) {
  std::vector<std::uint64_t> numbers;
  for (const json& item : RequireArray(key, max_items)) {
    if (!item.is_number_unsigned() || item.get<std::uint64_t>() < low || item.get<std::uint64_t>() > high) {
      Fail(key, "holds something that is not an integer of " + std::to_string(low) + " to " + std::to_string(high));
    }
    numbers.push_back(item.get<std::uint64_t>());
  }
  return numbers;
}

std::vector<std::int64_t> JsonFields::Integers(const std::string& key, std::size_t max_items, std::int64_t low,
                                               std::int64_t high) {
  std::vector<std::int64_t> integers;
  for (const json& item : RequireArray(key, max_items)) {
    const bool fits = item.is_number_integer() &&
                      !(item.is_number_unsigned() && item.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX));
    if (!fits || item.get<std::int64_t>() < low || item.get<std::int64_t>() > high) {
      Fail(key, "holds something that is not an integer of " + std::to_string(low) + " to " + std::to_string(high));
    }
    integers.push_back(item.get<std::int64_t>());
  }
  return integers;
}

JsonFields JsonFields::Object(const std::string& key) { return {Require(key), where_ + ": " + key}; }

std::vector<JsonFields> JsonFields::Objects(const std::string& key, std::size_t max_items) {
  std::vector<JsonFields> objects;
  std::size_t at = 0;
  for (const json& item : RequireArray(key, max_items)) {
    objects.emplace_back(item, where_ + ": " + key + "[" + std::to_string(at++) + "]");
  }
  return objects;
}

void JsonFields::RequireAllRead() const {
  for (const auto& item : object_->items()) {
    if (!read_.contains(item.key())) Fail(item.key(), "is not known here; remove it or correct its spelling");
  }
}

}  // namespace hemafed
