// learning/data/dataset_index.h
// SPDX-License-Identifier: Apache-2.0
//
// What an import leaves behind (`data/<domain>.index`): the pictures of one domain that training may use, each checked
// and decoded once, with class, split and digest. Everything later (tile cache, batches, exemplars) refers to a picture
// by its position here.
//
// Pictures are in ascending order of the SHA-256 of their file, no digest twice: the order does not depend on names,
// folders or the operating system, so that sampling is the same wherever the pictures lie.
//
// Format: one JSON object, UTF-8, at most kMaxIndexBytes:
//   {"version": 1, "domain": text, "label_map": text, "classes": [text, ...],
//    "pictures": [{"file": text, "label": text, "class": n, "split": "train"|"test", "width": n, "height": n,
//                  "bytes": n, "sha256": hex, "group": text, "patient": text}, ...]}
// Unknown fields are refused. A later version number is refused with the advice to import again.
//
// Thread-safety: value types.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed::learning {

inline constexpr std::uint32_t kIndexVersion = 1;
// A picture takes about 300 bytes of JSON; 250,000 of them (kMaxFilesPerDomain) fit.
inline constexpr std::uint64_t kMaxIndexBytes = 128u << 20;
// Bytes of a group or patient name.
inline constexpr std::size_t kMaxGroupBytes = 256;

enum class Split : std::uint8_t { kTrain, kTest };
[[nodiscard]] std::string_view SplitName(Split split) noexcept;

struct PictureEntry {
  std::string file;   // relative to the domain folder, '/' between parts
  std::string label;  // as the source calls it
  std::uint32_t class_index = 0;
  Split split = Split::kTrain;
  std::uint32_t width = 0;   // pixels
  std::uint32_t height = 0;  // pixels
  std::uint64_t bytes = 0;
  Digest digest;        // SHA-256 of the file
  std::string group;    // pictures of one cell or field of view share it; empty: stands alone
  std::string patient;  // empty: not known

  bool operator==(const PictureEntry&) const = default;
};

struct DatasetIndex {
  std::string domain;
  std::string label_map;  // its name
  std::vector<std::string> classes;
  std::vector<PictureEntry> pictures;

  // counts[class] of one split.
  [[nodiscard]] std::vector<std::uint64_t> CountsPerClass(Split split) const;
  // Positions of the pictures of one split, ascending.
  [[nodiscard]] std::vector<std::uint32_t> Positions(Split split) const;
  bool operator==(const DatasetIndex&) const = default;
};

// The canonical text of the format above: same index, same bytes.
[[nodiscard]] std::string FormatIndex(const DatasetIndex& index);
// SHA-256 of that text: names what a cache was made from.
[[nodiscard]] Digest IndexDigest(const DatasetIndex& index);
// Throws Error(kInvalidInput) that names `where` and the first thing that is wrong: a path that leaves the folder, a
// class out of range, pictures out of order or twice, ...
[[nodiscard]] DatasetIndex ParseIndex(std::string_view text, const std::string& where);

void SaveIndex(FileSystem& files, const Path& path, const DatasetIndex& index);
[[nodiscard]] DatasetIndex LoadIndex(FileSystem& files, const Path& path);

}  // namespace hemafed::learning
