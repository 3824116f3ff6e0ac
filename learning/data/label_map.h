// learning/data/label_map.h
// SPDX-License-Identifier: Apache-2.0
//
// Which label of a source means which class of the plan. A label map is a TOML file (configs/labels/):
//
//     name = "five_wbc"
//     unknown = "error"                # or "skip": files with a label that is not mentioned are counted and left out
//     dropped = ["none", "erythroblast"]   # left out on purpose, counted
//     [[class]]
//     name = "neutrophil"
//     labels = ["neutrophil", "neutrophil_banded", "neutrophil_segmented"]
//
// Classes keep the order of the file; their names are those of the plan (codec/plan.h). Labels are compared byte for
// byte: "Monocyte" and "monocyte" are both listed where both occur. A label stands in one place only.
//
// Errors: Error(kInvalidInput) with line and column. Thread-safety: value type.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/file_system.h"

namespace hemafed::learning {

// Labels of one class or of the dropped list.
inline constexpr std::size_t kMaxLabels = 256;

enum class LabelVerdict : std::uint8_t { kClass, kDropped, kUnknown };

struct LabelMeaning {
  LabelVerdict verdict = LabelVerdict::kUnknown;
  std::uint32_t class_index = 0;  // position in classes(), if verdict is kClass
};

class LabelMap {
 public:
  [[nodiscard]] static LabelMap Parse(std::string_view text, const std::string& where);
  [[nodiscard]] static LabelMap Load(FileSystem& files, const Path& path);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::vector<std::string>& classes() const { return classes_; }
  // Whether a label that is not mentioned ends the import (true) or only leaves its files out.
  [[nodiscard]] bool unknown_is_error() const { return unknown_is_error_; }
  [[nodiscard]] LabelMeaning Find(std::string_view label) const;

 private:
  std::string name_;
  std::vector<std::string> classes_;
  std::map<std::string, LabelMeaning, std::less<>> meanings_;
  bool unknown_is_error_ = true;
};

}  // namespace hemafed::learning
