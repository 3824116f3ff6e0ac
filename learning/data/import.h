// learning/data/import.h
// SPDX-License-Identifier: Apache-2.0
//
// Turns a folder of pictures into a DatasetIndex. Two kinds of folder are read:
//
// (a) A domain with a manifest: `manifest.csv` (file, class_original, class_common, split, width, height, sha256),
//     with or without `sources.csv` (file, ..., group). The label is class_common; the manifest's split is kept.
// (b) A tree of folders. The label is the first folder below the root, or the file name up to its first '_' (published
//     sets of Barcelona and Munich put the finer class there), as the label map says (label_map.h, class_from). A file
//     whose folder speaks of another class than its name is kept and reported. The split is HoldOut of split_rule.h.
//
// In both, an optional `patients.csv` (file, patient) names patients; a split made here keeps them whole.
//
// Every picture is read once, its SHA-256 taken, its header checked against the limits, and decoded. A file that fails
// is counted under a SkipReason and named; it never ends the import. Byte-identical files are one picture: the one on
// the test side, then the one with the smaller path, is kept, the others are kDuplicate; if their classes differ, none
// is kept (kContradictoryLabel). Labels that the map does not mention end the import, all of them listed with their
// counts, unless the map says unknown = "skip".
//
// Errors: Error(kNotFound) no such folder or manifest; kInvalidInput a malformed table, unknown labels, a domain name
// that is not plain (codec/plan.h), or no picture left; kInterrupted when `progress` asks to stop.
// Threads: one; OpenCV may use more inside a decoder.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "common/file_system.h"
#include "learning/data/dataset_index.h"
#include "learning/data/import_report.h"
#include "learning/data/label_map.h"

namespace hemafed::learning {

inline constexpr unsigned kDefaultTestPercent = 20;

// Called after each file with files done and files in all; returns false to stop.
using ImportProgress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

struct Import {
  DatasetIndex index;
  ImportReport report;
};

struct TreeSettings {
  std::optional<LabelRule> label_rule;  // instead of the label map's
  unsigned test_percent = kDefaultTestPercent;
  std::uint64_t split_seed = 0;
};

[[nodiscard]] Import ImportManifest(FileSystem& files, const Path& folder, const std::string& domain,
                                    const LabelMap& labels, const ImportProgress& progress = {});

[[nodiscard]] Import ImportTree(FileSystem& files, const Path& folder, const std::string& domain,
                                const LabelMap& labels, const TreeSettings& settings = {},
                                const ImportProgress& progress = {});

}  // namespace hemafed::learning
