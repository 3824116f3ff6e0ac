// common/json_fields.h
// SPDX-License-Identifier: Apache-2.0
//
// Strict reading of JSON objects whose fields are known: every getter checks presence, type and bounds, and
// RequireAllRead() refuses fields that nobody asked for. Use it for every JSON text that another program wrote.
//
//     JsonFields fields(json, "job.json");
//     job.task = fields.Unsigned("task", kMaxTasks);
//     ...
//     fields.RequireAllRead();
//
// Errors: Error(kInvalidInput) whose message names the place ("job.json: field 'task' ..."). The JSON value is borrowed
// and must outlive the reader. Thread-safety: value type for one thread.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/sha256.h"

namespace hemafed {

// Parses a text that must be one JSON object; depth at most 32, no duplicate keys. kInvalidInput names `where`.
[[nodiscard]] nlohmann::json ParseJsonObject(std::string_view text, const std::string& where);

class JsonFields {
 public:
  JsonFields(const nlohmann::json& object, std::string where);

  [[nodiscard]] bool Has(const std::string& key) const { return object_->contains(key); }
  [[nodiscard]] std::string Text(const std::string& key, std::size_t max_bytes);
  [[nodiscard]] std::int64_t Integer(const std::string& key, std::int64_t low, std::int64_t high);
  [[nodiscard]] std::uint64_t Unsigned(const std::string& key, std::uint64_t high);
  [[nodiscard]] bool Boolean(const std::string& key);
  // 64 lower-case hexadecimal characters.
  [[nodiscard]] Digest Sha256Digest(const std::string& key);
  // The same, or null.
  [[nodiscard]] std::optional<Digest> OptionalDigest(const std::string& key);
  // Exactly `bytes` bytes as lower-case hexadecimal characters.
  [[nodiscard]] Bytes HexBytes(const std::string& key, std::size_t bytes);
  [[nodiscard]] std::vector<std::string> Texts(const std::string& key, std::size_t max_items, std::size_t max_bytes);
  // Integers 0..high, or null for a withheld one.
  [[nodiscard]] std::vector<std::optional<std::uint64_t>> Counts(const std::string& key, std::size_t max_items,
                                                                 std::uint64_t high);
  // Integers low..high.
  [[nodiscard]] std::vector<std::uint64_t> Numbers(const std::string& key, std::size_t max_items, std::uint64_t low,
                                                   std::uint64_t high);
  [[nodiscard]] std::vector<std::int64_t> Integers(const std::string& key, std::size_t max_items, std::int64_t low,
                                                   std::int64_t high);
  [[nodiscard]] JsonFields Object(const std::string& key);
  [[nodiscard]] std::vector<JsonFields> Objects(const std::string& key, std::size_t max_items);
  // The value itself, marked as read.
  [[nodiscard]] const nlohmann::json& Raw(const std::string& key) { return Require(key); }

  void RequireAllRead() const;
  [[noreturn]] void Fail(const std::string& key, const std::string& problem) const;
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  const nlohmann::json& Require(const std::string& key);
  const nlohmann::json& RequireArray(const std::string& key, std::size_t max_items);

  const nlohmann::json* object_;
  std::string where_;
  std::set<std::string> read_;
};

}  // namespace hemafed
