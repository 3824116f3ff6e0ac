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
// A map of one published set also says how its files lie, all of it optional:
//
//     class_from = "prefix"            # the label is the file name up to its first "_"; default "folder": the first
//                                      # folder below the root
//     leave_out = ["_aug"]             # files whose name contains one of these are counted and left out
//     folder = [{name = "ig", holds = ["IG", "MMY", "MY", "PMY"]}]   # with "prefix": labels that belong into a folder
//
// A file in a folder that does not hold its label, or that is not listed, keeps the class of its name and is reported:
// in one mirror of a published set a folder carries another code than its files. Without `folder` nothing is compared.
//
// Class order: the number of a class is its place in the map. Published label maps number the same thirteen classes in
// two ways; configs/class_orders/ has both, as {name, classes}, and InOrder() applies one.
//
// Errors: Error(kInvalidInput) with line and column. Thread-safety: value type.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/file_system.h"

namespace hemafed {
class Settings;
}

namespace hemafed::learning {

// Labels of one class or of the dropped list.
inline constexpr std::size_t kMaxLabels = 256;
// Folders with rules, and texts of `leave_out`; published sets have up to 18 folders.
inline constexpr std::size_t kMaxFolders = 64;
inline constexpr std::size_t kMaxLeaveOut = 32;

// Where a tree of pictures says what a picture is.
enum class LabelRule : std::uint8_t { kFolder, kFilePrefix };

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

  [[nodiscard]] LabelRule label_rule() const { return label_rule_; }
  // `file_name` is the last part of a path.
  [[nodiscard]] bool LeavesOut(std::string_view file_name) const;
  // Whether the map knows that a file with this label does not belong into this folder (the one that it lies in).
  [[nodiscard]] bool IsMisplaced(std::string_view folder, std::string_view label) const;

  // The same map with its classes numbered as in `order`, which must name the same classes: Error(kInvalidInput).
  [[nodiscard]] LabelMap InOrder(const std::vector<std::string>& order) const;

 private:
  void ReadFolders(const Settings& settings);

  std::string name_;
  std::vector<std::string> classes_;
  std::map<std::string, LabelMeaning, std::less<>> meanings_;
  bool unknown_is_error_ = true;
  LabelRule label_rule_ = LabelRule::kFolder;
  std::vector<std::string> leave_out_;
  std::map<std::string, std::set<std::string, std::less<>>, std::less<>> folders_;  // Folder: labels it holds.
};

// The classes of a file in configs/class_orders/. Errors as for label maps.
[[nodiscard]] std::vector<std::string> ParseClassOrder(std::string_view text, const std::string& where);
[[nodiscard]] std::vector<std::string> LoadClassOrder(FileSystem& files, const Path& path);

}  // namespace hemafed::learning
