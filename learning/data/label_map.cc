// SPDX-License-Identifier: Apache-2.0
#include "learning/data/label_map.h"

#include <algorithm>

#include "codec/plan.h"
#include "common/error.h"
#include "common/settings.h"
#include "learning/data/path_rules.h"

namespace hemafed::learning {

namespace {

constexpr TextRule kClassName = {"1 to 48 of a-z, 0-9, '_' and '-', starting with a letter or digit", IsPlainName};
constexpr TextRule kLabel = {"1 to 64 letters, digits, '_', '-' or '.'", IsShortName};
// Part of a file name: like a label, but it may start with '.' or '-'.
constexpr TextRule kNamePart = {"1 to 63 letters, digits, '_', '-' or '.'", [](std::string_view text) {
                                  return !text.empty() && IsShortName("x" + std::string(text));
                                }};

}  // namespace

LabelMap LabelMap::Parse(std::string_view text, const std::string& where) {
  const Settings settings = Settings::Parse(text, where);
  LabelMap map;
  map.name_ = settings.Text("name", kMaxNameBytes, kClassName);
  map.unknown_is_error_ = settings.Choice("unknown", {"error", "skip"}) == 0;
  const auto enter = [&](const Settings& table, std::string_view key, const std::string& label, LabelMeaning meaning) {
    if (!map.meanings_.emplace(label, meaning).second)
      table.Fail(key, "lists '" + label + "', which stands twice in this map");
  };
  for (const Settings& table : settings.Tables("class", kMaxClasses)) {
    const std::string name = table.Text("name", kMaxNameBytes, kClassName);
    if (std::find(map.classes_.begin(), map.classes_.end(), name) != map.classes_.end()) {
      table.Fail("name", "repeats the class '" + name + "'");
    }
    const LabelMeaning meaning{LabelVerdict::kClass, static_cast<std::uint32_t>(map.classes_.size())};
    map.classes_.push_back(name);
    for (const std::string& label : table.TextList("labels", 1, kMaxLabels, kMaxShortNameBytes, kLabel)) {
      enter(table, "labels", label, meaning);
    }
  }
  for (const std::string& label : settings.TextList("dropped", 0, kMaxLabels, kMaxShortNameBytes, kLabel)) {
    enter(settings, "dropped", label, {LabelVerdict::kDropped, 0});
  }
  map.label_rule_ =
      settings.Choice("class_from", {"folder", "prefix"}, 0) == 0 ? LabelRule::kFolder : LabelRule::kFilePrefix;
  if (settings.Has("leave_out")) {
    map.leave_out_ = settings.TextList("leave_out", 1, kMaxLeaveOut, kMaxShortNameBytes - 1, kNamePart);
  }
  if (settings.Has("folder")) map.ReadFolders(settings);
  settings.RequireAllRead();
  return map;
}

void LabelMap::ReadFolders(const Settings& settings) {
  if (label_rule_ != LabelRule::kFilePrefix) {
    settings.Fail("folder", "has a meaning only with class_from = \"prefix\": here the folder is the label");
  }
  for (const Settings& table : settings.Tables("folder", kMaxFolders)) {
    const std::string folder = table.Text("name", kMaxShortNameBytes, kLabel);
    const auto [entry, fresh] = folders_.try_emplace(folder);
    if (!fresh) table.Fail("name", "repeats the folder '" + folder + "'");
    for (const std::string& label : table.TextList("holds", 1, kMaxLabels, kMaxShortNameBytes, kLabel)) {
      if (Find(label).verdict == LabelVerdict::kUnknown) {
        table.Fail("holds", "names '" + label + "', which is no label of this map");
      }
      entry->second.insert(label);
    }
  }
}

LabelMap LabelMap::Load(FileSystem& files, const Path& path) {
  return Parse(ReadFile(files, path, kMaxSettingsBytes), path.string());
}

LabelMeaning LabelMap::Find(std::string_view label) const {
  const auto found = meanings_.find(label);
  return found == meanings_.end() ? LabelMeaning{} : found->second;
}

bool LabelMap::LeavesOut(std::string_view file_name) const {
  return std::any_of(leave_out_.begin(), leave_out_.end(),
                     [&](const std::string& part) { return file_name.find(part) != std::string_view::npos; });
}

bool LabelMap::IsMisplaced(std::string_view folder, std::string_view label) const {
  if (folders_.empty()) return false;
  const auto found = folders_.find(folder);
  return found == folders_.end() || !found->second.contains(label);
}

LabelMap LabelMap::InOrder(const std::vector<std::string>& order) const {
  std::vector<std::uint32_t> place(classes_.size());
  bool same = order.size() == classes_.size() && std::set(order.begin(), order.end()).size() == order.size();
  for (std::size_t c = 0; same && c < classes_.size(); ++c) {
    const auto found = std::find(order.begin(), order.end(), classes_[c]);
    same = found != order.end();
    place[c] = static_cast<std::uint32_t>(found - order.begin());
  }
  if (!same) {
    throw Error(ErrorCode::kInvalidInput, "the class order does not name the " + std::to_string(classes_.size()) +
                                              " classes of the label map '" + name_ + "', each once");
  }
  LabelMap ordered = *this;
  ordered.classes_ = order;
  for (auto& [label, meaning] : ordered.meanings_) {
    if (meaning.verdict == LabelVerdict::kClass) meaning.class_index = place[meaning.class_index];
  }
  return ordered;
}

std::vector<std::string> ParseClassOrder(std::string_view text, const std::string& where) {
  const Settings settings = Settings::Parse(text, where);
  (void)settings.Text("name", kMaxNameBytes, kClassName);
  std::vector<std::string> classes = settings.TextList("classes", 1, kMaxClasses, kMaxNameBytes, kClassName);
  if (std::set(classes.begin(), classes.end()).size() != classes.size()) {
    settings.Fail("classes", "names a class twice");
  }
  settings.RequireAllRead();
  return classes;
}

std::vector<std::string> LoadClassOrder(FileSystem& files, const Path& path) {
  return ParseClassOrder(ReadFile(files, path, kMaxSettingsBytes), path.string());
}

}  // namespace hemafed::learning
