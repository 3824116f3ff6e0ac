// site_agent/agent/result_folder.h
// SPDX-License-Identifier: Apache-2.0
//
// Opens files in a folder that another program writes, without trusting that program: the agent reads the trainer's
// results through it, so that neither a mistake nor a forged link there can make the agent send some other file out.
//
// A file is opened with openat2 relative to the folder's descriptor: beneath it, through no symbolic link, no magic
// link
// (/proc/...) and no mount. What was opened is then judged by its descriptor, so nothing can be exchanged in between:
// a regular file, with no second name (a hard link could be a file from elsewhere), not larger than the limit.
// Later growth is not seen: Size() stays what it was, and reading stops there.
//
// The trainer writes in a folder of its own and renames it when complete; files of `done/` do not change afterwards.
//
// Errors: Error(kNotFound) missing; Error(kRefused) a link, a pipe, a folder, a way out of the folder, more than one
// name; Error(kInvalidInput) larger than allowed; Error(kUnavailable) other failures, or openat2 missing (before Linux
// 5.6, or hidden by a container).
//
// Thread-safety: may be used from any thread; a file object belongs to one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/descriptor.h"
#include "common/file_system.h"

namespace hemafed::agent {

// Names that List returns at most: a job folder holds a few files, `done/` the results of one plan.
inline constexpr std::size_t kMaxListedNames = 100'000;

class ResultFolder {
 public:
  // `folder` itself is trusted: links on the way to it are followed, once.
  explicit ResultFolder(const Path& folder);

  // `name` is relative: "done/<job>/report.json". `limit_bytes` is the largest size accepted.
  [[nodiscard]] std::unique_ptr<ReadableFile> Open(const Path& name, std::uint64_t limit_bytes) const;
  // Whole content.
  [[nodiscard]] std::string Read(const Path& name, std::uint64_t limit_bytes) const;
  // Names in a folder beneath ("." for this one), in ascending byte order; Error(kInvalidInput) beyond kMaxListedNames.
  [[nodiscard]] std::vector<std::string> List(const Path& name) const;

 private:
  [[nodiscard]] Descriptor OpenBeneath(const Path& name, int flags) const;

  Path path_;
  Descriptor folder_;
};

}  // namespace hemafed::agent
