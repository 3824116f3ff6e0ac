// SPDX-License-Identifier: Apache-2.0
#include "common/settings.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <set>
#include <sstream>
#include <utility>

#include "common/error.h"

namespace hemafed {

// A table that was handed out, and what has been asked of it.
struct Settings::Node {
  const toml::table* table = nullptr;
  std::string path;  // "training" or "task[2]"; empty for the whole document.
  std::set<std::string, std::less<>> known;
  std::set<std::string, std::less<>> read;
  std::vector<Node*> children;

  [[nodiscard]] const toml::node* Find(std::string_view key) {
    known.emplace(key);
    const auto found = table->find(key);
    return found == table->end() ? nullptr : &found->second;
  }
  [[nodiscard]] const toml::node* Read(std::string_view key) {
    read.emplace(key);
    return Find(key);
  }
};

struct Settings::Document {
  std::string where;
  toml::table root;
  std::deque<Node> nodes;  // A deque: pointers to its elements stay valid while it grows.

  Node* NewNode(const toml::table& table, std::string path) {
    nodes.push_back({&table, std::move(path), {}, {}, {}});
    return &nodes.back();
  }
};

namespace {

[[noreturn]] void FailAt(const std::string& where, const toml::source_position& at, const std::string& problem) {
  // Tables that a dotted key made have no place of their own; the text's beginning is then as near as it gets.
  const auto line = std::max<std::uint32_t>(at.line, 1);
  const auto column = std::max<std::uint32_t>(at.column, 1);
  throw Error(ErrorCode::kInvalidInput,
              where + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + problem);
}

bool HasControlCharacters(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
}

// Keys are quoted in messages: kept short and printable.
std::string Shown(std::string_view key) {
  std::string shown(key.substr(0, 60));
  for (char& c : shown) {
    if (HasControlCharacters({&c, 1})) c = '?';
  }
  return shown;
}

// Levenshtein distance: insertions, deletions and substitutions of one character.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

std::string NumberText(double number) {
  std::ostringstream out;
  out << number;
  return out.str();
}

}  // namespace

Settings::Settings(std::shared_ptr<Document> document, Node* node) : document_(std::move(document)), node_(node) {}

Settings Settings::Parse(std::string_view text, std::string where) {
  if (text.size() > kMaxSettingsBytes) {
    throw Error(ErrorCode::kInvalidInput, where + " has " + std::to_string(text.size()) +
                                              " bytes; settings have at most " + std::to_string(kMaxSettingsBytes));
  }
  std::uint32_t line = 1;
  for (std::size_t start = 0; start < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    if (end - start > kMaxSettingsLineBytes) {
      FailAt(where, {line, 1}, "the line is longer than " + std::to_string(kMaxSettingsLineBytes) + " bytes");
    }
    start = end + 1;
  }
  auto document = std::make_shared<Document>();
  document->where = std::move(where);
  try {
    document->root = toml::parse(text);
  } catch (const toml::parse_error& error) {
    FailAt(document->where, error.source().begin, "not TOML: " + std::string(error.description()));
  }
  Node* root = document->NewNode(document->root, "");
  return {std::move(document), root};
}

Settings Settings::Load(FileSystem& files, const Path& path) {
  return Parse(ReadFile(files, path, kMaxSettingsBytes), path.string());
}

std::string Settings::FullKey(std::string_view key) const {
  return node_->path.empty() ? std::string(key) : node_->path + "." + std::string(key);
}

void Settings::Fail(std::string_view key, const std::string& problem) const {
  const toml::node* value = node_->Find(key);
  const toml::source_position at = value != nullptr ? value->source().begin : node_->table->source().begin;
  FailAt(document_->where, at, "'" + Shown(FullKey(key)) + "' " + problem);
}

bool Settings::Has(std::string_view key) const { return node_->Find(key) != nullptr; }

std::int64_t Settings::Integer(std::string_view key, std::int64_t low, std::int64_t high,
                               std::optional<std::int64_t> fallback) const {
  const toml::node* value = node_->Read(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr) Fail(key, "is missing");
  if (!value->is_integer()) Fail(key, "must be an integer");
  const std::int64_t number = value->as_integer()->get();
  if (number < low || number > high) {
    Fail(key, "is " + std::to_string(number) + ", outside " + std::to_string(low) + " to " + std::to_string(high));
  }
  return number;
}

double Settings::Number(std::string_view key, double low, double high, std::optional<double> fallback) const {
  const toml::node* value = node_->Read(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr) Fail(key, "is missing");
  if (!value->is_number()) Fail(key, "must be a number");
  const double number =
      value->is_integer() ? static_cast<double>(value->as_integer()->get()) : value->as_floating_point()->get();
  if (!(number >= low && number <= high)) {  // Not a number is outside of everything.
    Fail(key, "is " + NumberText(number) + ", outside " + NumberText(low) + " to " + NumberText(high));
  }
  return number;
}

bool Settings::Boolean(std::string_view key, std::optional<bool> fallback) const {
  const toml::node* value = node_->Read(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr) Fail(key, "is missing");
  if (!value->is_boolean()) Fail(key, "must be true or false");
  return value->as_boolean()->get();
}

void Settings::CheckText(std::string_view key, const std::string& text, std::size_t max_bytes,
                         const TextRule& rule) const {
  if (text.size() > max_bytes) {
    Fail(key, "has " + std::to_string(text.size()) + " bytes, more than the " + std::to_string(max_bytes) + " allowed");
  }
  if (HasControlCharacters(text) || (rule.allows != nullptr && !rule.allows(text))) {
    Fail(key, "must be " + std::string(rule.words) + ", not '" + Shown(text) + "'");
  }
}

std::string Settings::Text(std::string_view key, std::size_t max_bytes, TextRule rule,
                           std::optional<std::string_view> fallback) const {
  const toml::node* value = node_->Read(key);
  if (value == nullptr && fallback) return std::string(*fallback);
  if (value == nullptr) Fail(key, "is missing");
  if (!value->is_string()) Fail(key, "must be a text in quotes");
  const std::string& text = value->as_string()->get();
  CheckText(key, text, max_bytes, rule);
  return text;
}

std::size_t Settings::Choice(std::string_view key, const std::vector<std::string_view>& choices,
                             std::optional<std::size_t> fallback) const {
  if (fallback && node_->Read(key) == nullptr) return *fallback;
  const std::string text = Text(key, kMaxSettingsLineBytes);
  const auto found = std::find(choices.begin(), choices.end(), text);
  if (found == choices.end()) {
    std::string list;
    for (const std::string_view choice : choices) list += (list.empty() ? "" : ", ") + std::string(choice);
    Fail(key, "is '" + Shown(text) + "'; it must be one of: " + list);
  }
  return static_cast<std::size_t>(found - choices.begin());
}

Digest Settings::Sha256Digest(std::string_view key) const {
  const auto digest = Digest::FromHex(Text(key, kMaxSettingsLineBytes));
  if (!digest) Fail(key, "must be a SHA-256 digest: 64 lower-case hexadecimal characters");
  return *digest;
}

namespace {

// A list with an allowed number of items; anything else fails.
const toml::array& RequireList(const Settings& settings, const toml::node* value, std::string_view key,
                               std::size_t min_items, std::size_t max_items, const std::string& of_what) {
  if (value == nullptr) settings.Fail(key, "is missing");
  if (!value->is_array()) settings.Fail(key, "must be a list of " + of_what);
  const toml::array& list = *value->as_array();
  if (list.size() < min_items || list.size() > max_items) {
    settings.Fail(key, "has " + std::to_string(list.size()) + " items, outside " + std::to_string(min_items) + " to " +
                           std::to_string(max_items));
  }
  return list;
}

}  // namespace

std::vector<std::string> Settings::TextList(std::string_view key, std::size_t min_items, std::size_t max_items,
                                            std::size_t max_bytes, TextRule rule) const {
  std::vector<std::string> texts;
  for (const toml::node& item : RequireList(*this, node_->Read(key), key, min_items, max_items, "texts")) {
    if (!item.is_string()) Fail(key, "must hold nothing but texts");
    CheckText(key, item.as_string()->get(), max_bytes, rule);
    texts.push_back(item.as_string()->get());
  }
  return texts;
}

std::vector<std::int64_t> Settings::IntegerList(std::string_view key, std::size_t min_items, std::size_t max_items,
                                                std::int64_t low, std::int64_t high) const {
  std::vector<std::int64_t> integers;
  for (const toml::node& item : RequireList(*this, node_->Read(key), key, min_items, max_items, "integers")) {
    const auto value = item.value_exact<std::int64_t>();
    if (!value) Fail(key, "must hold nothing but integers");
    if (*value < low || *value > high) {
      Fail(key, "holds " + std::to_string(*value) + ", outside " + std::to_string(low) + " to " + std::to_string(high));
    }
    integers.push_back(*value);
  }
  return integers;
}

Settings Settings::Table(std::string_view key) const {
  auto table = OptionalTable(key);
  if (!table) Fail(key, "is missing: write a table [" + FullKey(key) + "]");
  return *table;
}

std::optional<Settings> Settings::OptionalTable(std::string_view key) const {
  const toml::node* value = node_->Read(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_table()) Fail(key, "must be a table [" + FullKey(key) + "]");
  // Asking twice gives the same table, so that what one reader took is known to the other.
  for (Node* child : node_->children) {
    if (child->table == value->as_table()) return Settings(document_, child);
  }
  Node* node = document_->NewNode(*value->as_table(), FullKey(key));
  node_->children.push_back(node);
  return Settings(document_, node);
}

std::vector<Settings> Settings::Tables(std::string_view key, std::size_t max_items) const {
  const toml::node* value = node_->Read(key);
  if (value == nullptr) Fail(key, "is missing: write at least one table [[" + FullKey(key) + "]]");
  if (!value->is_array_of_tables()) Fail(key, "must be a list of tables [[" + FullKey(key) + "]]");
  const toml::array& list = *value->as_array();
  if (list.size() > max_items) {
    Fail(key,
         "has " + std::to_string(list.size()) + " tables, more than the " + std::to_string(max_items) + " allowed");
  }
  std::vector<Settings> tables;
  for (const toml::node& item : list) {
    Node* node = document_->NewNode(*item.as_table(), FullKey(key) + "[" + std::to_string(tables.size() + 1) + "]");
    node_->children.push_back(node);
    tables.push_back(Settings(document_, node));
  }
  return tables;
}

void Settings::RequireAllRead() const {
  for (const auto& [key, value] : *node_->table) {
    if (node_->read.contains(key.str())) continue;
    std::string problem = "'" + Shown(FullKey(key.str())) + "' is not known here";
    // clang-14 does not let a lambda capture a structured binding as it is.
    const auto distance = [&name = key](const std::string& known) { return EditDistance(name.str(), known); };
    const auto nearest = std::min_element(node_->known.begin(), node_->known.end(),
                                          [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
    if (nearest != node_->known.end()) problem += "; the nearest known key is '" + *nearest + "'";
    FailAt(document_->where, key.source().begin, problem);
  }
  for (Node* child : node_->children) Settings(document_, child).RequireAllRead();
}

}  // namespace hemafed
