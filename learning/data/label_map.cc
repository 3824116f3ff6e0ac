// SPDX-License-Identifier: Apache-2.0
#include "learning/data/label_map.h"

#include <algorithm>

#include "codec/plan.h"
#include "common/settings.h"
#include "learning/data/path_rules.h"

namespace hemafed::learning {

namespace {

constexpr TextRule kClassName = {"1 to 48 of a-z, 0-9, '_' and '-', starting with a letter or digit", IsPlainName};
constexpr TextRule kLabel = {"1 to 64 letters, digits, '_', '-' or '.'", IsShortName};

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
  settings.RequireAllRead();
  return map;
}

LabelMap LabelMap::Load(FileSystem& files, const Path& path) {
  return Parse(ReadFile(files, path, kMaxSettingsBytes), path.string());
}

LabelMeaning LabelMap::Find(std::string_view label) const {
  const auto found = meanings_.find(label);
  return found == meanings_.end() ? LabelMeaning{} : found->second;
}

}  // namespace hemafed::learning
