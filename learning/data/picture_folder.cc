// SPDX-License-Identifier: Apache-2.0
#include "learning/data/picture_folder.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "common/error.h"
#include "learning/data/picture_header.h"

namespace hemafed::learning {

namespace fs = std::filesystem;

PictureFolder::PictureFolder(FileSystem& files, const Path& root) : files_(&files) {
  std::error_code error;
  root_ = fs::canonical(root, error);
  if (error || !fs::is_directory(root_, error)) {
    throw Error(ErrorCode::kNotFound,
                "there is no folder " + root.string() + "; name the folder that holds the pictures");
  }
}

bool PictureFolder::IsBeneath(const Path& path) const {
  const auto [end, ignored] = std::mismatch(root_.begin(), root_.end(), path.begin(), path.end());
  return end == root_.end();
}

void PictureFolder::ListInto(const std::string& prefix, int depth, std::vector<std::string>& paths) const {
  if (depth > kMaxFolderDepth) {
    throw Error(ErrorCode::kInvalidInput, root_.string() + " nests folders deeper than " +
                                              std::to_string(kMaxFolderDepth) + " levels at " + prefix +
                                              "; name a folder whose sub-folders are the classes");
  }
  for (const std::string& name : files_->List(root_ / prefix)) {
    const std::string path = prefix.empty() ? name : prefix + "/" + name;
    std::error_code error;
    const bool is_folder = fs::is_directory(root_ / path, error);
    const bool hidden = name.starts_with('.');
    // A linked folder is not entered, since links can form a ring: it is one entry, and reading it says why not.
    if (is_folder && !hidden && !fs::is_symlink(root_ / path, error)) {
      ListInto(path, depth + 1, paths);
      continue;
    }
    if (paths.size() == kMaxFilesPerDomain) {
      throw Error(ErrorCode::kInvalidInput, root_.string() + " holds more than " + std::to_string(kMaxFilesPerDomain) +
                                                " files; name the folder of one domain");
    }
    paths.push_back(path);
  }
}

std::vector<std::string> PictureFolder::ListFiles() const {
  std::vector<std::string> paths;
  ListInto("", 0, paths);
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::variant<std::string, SkipReason> PictureFolder::Read(const std::string& relative) const {
  std::error_code error;
  const Path path = fs::canonical(root_ / relative, error);
  if (error) return error == std::errc::no_such_file_or_directory ? SkipReason::kMissing : SkipReason::kUnreadable;
  if (!IsBeneath(path)) return SkipReason::kEscapesFolder;
  if (!fs::is_regular_file(path, error)) return SkipReason::kNotAFile;
  try {
    const auto size = files_->SizeOf(path);
    if (!size) return SkipReason::kMissing;
    if (*size == 0) return SkipReason::kEmpty;
    if (*size > kMaxPictureFileBytes) return SkipReason::kFileTooLarge;
    return ReadFile(*files_, path, kMaxPictureFileBytes);
  } catch (const Error& refused) {
    if (refused.code() == ErrorCode::kInvalidInput) return SkipReason::kFileTooLarge;  // It grew meanwhile.
    return refused.code() == ErrorCode::kNotFound ? SkipReason::kMissing : SkipReason::kUnreadable;
  }
}

}  // namespace hemafed::learning
