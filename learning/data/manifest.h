// learning/data/manifest.h
// SPDX-License-Identifier: Apache-2.0
//
// The tables that can lie in a domain folder: manifest.csv, sources.csv, patients.csv. Column order is free; columns
// that are not listed here are allowed and ignored, since a manifest may say more than an import needs.
//
// Errors: Error(kInvalidInput) with the line. Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "learning/data/dataset_index.h"

namespace hemafed::learning {

inline constexpr std::string_view kManifestFile = "manifest.csv";
inline constexpr std::string_view kSourcesFile = "sources.csv";
inline constexpr std::string_view kPatientsFile = "patients.csv";

struct ManifestRow {
  std::string file;  // as written: not yet checked by CheckPicturePath
  std::string class_original;
  std::string class_common;
  Split split = Split::kTrain;
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  Digest digest;
};

// Needs the columns file, class_original, class_common, split, width, height, sha256.
[[nodiscard]] std::vector<ManifestRow> ParseManifest(std::string_view text, const std::string& where);
[[nodiscard]] std::string FormatManifest(const std::vector<ManifestRow>& rows);

// file -> value of `column` ("group", "patient"), values of at most kMaxGroupBytes; a file listed twice is an error.
[[nodiscard]] std::map<std::string, std::string> ParseFileTable(std::string_view text, std::string_view column,
                                                                const std::string& where);

}  // namespace hemafed::learning
