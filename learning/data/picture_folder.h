// learning/data/picture_folder.h
// SPDX-License-Identifier: Apache-2.0
//
// A folder of pictures that belongs to the lab: listed and read, never written, never left. The folder itself may be a
// symbolic link (labs keep pictures on other disks). Below it, links to files are followed while they stay beneath the
// folder; links to folders are not entered, and whatever leads out is refused for that file.
//
// Thread-safety: one folder object belongs to one thread.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "common/file_system.h"
#include "learning/data/skip_reason.h"

namespace hemafed::learning {

// Files below one domain folder. The published sets end at 41,621; a larger tree is most likely the wrong folder.
inline constexpr std::size_t kMaxFilesPerDomain = 250'000;
// Folders within folders below the domain folder; `basophil/basophil/` occurs in published archives.
inline constexpr int kMaxFolderDepth = 8;

class PictureFolder {
 public:
  // `files` is borrowed. Throws Error(kNotFound) if there is no such folder.
  PictureFolder(FileSystem& files, const Path& root);

  // Paths of all files below the folder, relative to it, '/' between parts, in ascending byte order whatever order the
  // operating system lists them in. Hidden and linked folders are one entry and not entered.
  // Throws Error(kInvalidInput) above kMaxFilesPerDomain or kMaxFolderDepth.
  [[nodiscard]] std::vector<std::string> ListFiles() const;

  // Content of one file, or why it is not read. Paths must have passed CheckPicturePath.
  [[nodiscard]] std::variant<std::string, SkipReason> Read(const std::string& relative) const;

  [[nodiscard]] const Path& root() const { return root_; }

 private:
  void ListInto(const std::string& prefix, int depth, std::vector<std::string>& paths) const;
  [[nodiscard]] bool IsBeneath(const Path& path) const;

  FileSystem* files_;
  Path root_;  // Canonical.
};

}  // namespace hemafed::learning
