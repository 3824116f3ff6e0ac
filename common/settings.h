// common/settings.h
// SPDX-License-Identifier: Apache-2.0
//
// Strict reading of TOML settings and plans. Each getter checks presence, type and range and remembers its key;
// RequireAllRead() then refuses every key that nobody asked for, so that a misspelt setting is never silently ignored.
//
//     auto settings = Settings::Parse(text, "plan.toml");
//     plan.seed = settings.Integer("seed", 0, INT64_MAX);
//     auto training = settings.Table("training");
//     training_plan.batch = training.Integer("batch", 1, kMaxBatch);
//     for (Settings& task : settings.Tables("task", kMaxTasks)) ...;
//     settings.RequireAllRead();   // Tables that were handed out included.
//
// A getter with a fallback returns it when the key is missing; without one, a missing key is an error. There are no
// hidden defaults.
//
// Errors: Error(kInvalidInput), always "where:line:column: ...", with the full key and what is allowed. Columns count
// characters from 1. Messages quote settings: secrets do not belong into them.
// Thread-safety: one document, with all its tables, belongs to one thread. A Settings is a handle: copies refer to the
// same table and keep the document alive.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed {

// Largest text read, in bytes: a plan of 64 tasks and 64 classes has 10 KB.
inline constexpr std::size_t kMaxSettingsBytes = 64 << 10;
// Longest line in bytes. A dotted key nests once per dot, so this also bounds the depth of what one line can build.
inline constexpr std::size_t kMaxSettingsLineBytes = 4 << 10;

// What a text may look like. `words` completes "must be ...".
struct TextRule {
  std::string_view words = "a text without control characters";
  bool (*allows)(std::string_view) = nullptr;  // Null: anything without control characters.
};

class Settings {
 public:
  // `where` names the text in errors, for example the file.
  [[nodiscard]] static Settings Parse(std::string_view text, std::string where);
  [[nodiscard]] static Settings Load(FileSystem& files, const Path& path);

  // Whether the key is there. The key then counts as known, but not as read.
  [[nodiscard]] bool Has(std::string_view key) const;

  [[nodiscard]] std::int64_t Integer(std::string_view key, std::int64_t low, std::int64_t high,
                                     std::optional<std::int64_t> fallback = std::nullopt) const;
  // A finite number; an integer is one too. Both ends are allowed.
  [[nodiscard]] double Number(std::string_view key, double low, double high,
                              std::optional<double> fallback = std::nullopt) const;
  [[nodiscard]] bool Boolean(std::string_view key, std::optional<bool> fallback = std::nullopt) const;
  // UTF-8 of at most `max_bytes` bytes.
  [[nodiscard]] std::string Text(std::string_view key, std::size_t max_bytes, TextRule rule = {},
                                 std::optional<std::string_view> fallback = std::nullopt) const;
  // Index of the text in `choices`; the error lists them.
  [[nodiscard]] std::size_t Choice(std::string_view key, const std::vector<std::string_view>& choices,
                                   std::optional<std::size_t> fallback = std::nullopt) const;
  // 64 lower-case hexadecimal characters.
  [[nodiscard]] Digest Sha256Digest(std::string_view key) const;
  // `min_items` to `max_items` texts, each as above.
  [[nodiscard]] std::vector<std::string> TextList(std::string_view key, std::size_t min_items, std::size_t max_items,
                                                  std::size_t max_bytes, TextRule rule = {}) const;
  // `min_items` to `max_items` integers, each of `low` to `high`.
  [[nodiscard]] std::vector<std::int64_t> IntegerList(std::string_view key, std::size_t min_items,
                                                      std::size_t max_items, std::int64_t low, std::int64_t high) const;

  // [key]
  [[nodiscard]] Settings Table(std::string_view key) const;
  [[nodiscard]] std::optional<Settings> OptionalTable(std::string_view key) const;
  // [[key]], in the order of the text: at least one, at most `max_items`.
  [[nodiscard]] std::vector<Settings> Tables(std::string_view key, std::size_t max_items) const;

  // Throws if this table, or one handed out below it, holds a key that no getter asked for; the message names the
  // nearest key that one did.
  void RequireAllRead() const;
  // For rules between settings: throws kInvalidInput "where:line:column: 'table.key' <problem>". A missing key is
  // reported at its table.
  [[noreturn]] void Fail(std::string_view key, const std::string& problem) const;

 private:
  struct Document;
  struct Node;

  Settings(std::shared_ptr<Document> document, Node* node);
  [[nodiscard]] std::string FullKey(std::string_view key) const;
  void CheckText(std::string_view key, const std::string& text, std::size_t max_bytes, const TextRule& rule) const;

  std::shared_ptr<Document> document_;
  Node* node_;  // Owned by the document.
};

}  // namespace hemafed
