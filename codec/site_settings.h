// codec/site_settings.h
// SPDX-License-Identifier: Apache-2.0
//
// A lab's own settings, site.toml: which hospital it is and where its pictures are. Agent, launcher and trainer read
// the same file; only the trainer ever opens what it names.
//
// Errors: Error(kInvalidInput) with file, line and column. Thread-safety: value type.
#pragma once

#include <string>

#include "common/file_system.h"

namespace hemafed {

enum class PictureLayout : std::uint8_t {
  kManifest,  // manifest.csv (and sources.csv) beside the pictures, with their split.
  kFolders,   // One folder per class.
};

struct SiteSettings {
  std::string site;  // The lab's slot in the consortium.
  Path pictures;     // Absolute, or relative to the file's folder.
  PictureLayout layout = PictureLayout::kManifest;
  Path labels;  // Label map from the pictures' labels to the plan's classes.

  [[nodiscard]] std::string ToToml() const;
  [[nodiscard]] static SiteSettings Load(FileSystem& files, const Path& path);
};

}  // namespace hemafed
