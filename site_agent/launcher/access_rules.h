// site_agent/launcher/access_rules.h
// SPDX-License-Identifier: Apache-2.0
//
// Which paths a restricted program may reach, as an allow-list: what is not listed is out of reach. landlock.h and
// private_root.h enforce the same lists by different means, so a site's settings mean the same on every machine.
//
//     read_only   read and execute, with everything beneath
//     read_write  read, create, write, rename and remove files and folders beneath; nothing there is executed, and no
//                 links, devices, sockets or pipes are made there
//     devices     device files: read, write, ioctl
//     denied      never granted: a check on the other lists and a list of targets for the probes
//
// A rule covers a path, not the bytes behind it: a second copy of a picture below a granted folder is readable there.
// ResolveAccessRules catches the copies that the kernel knows about, which are bind mounts.
//
// Thread-safety: value types, free functions.
#pragma once

#include <optional>
#include <vector>

#include "common/file_system.h"

namespace hemafed {

struct AccessRules {
  std::vector<Path> read_only;
  std::vector<Path> read_write;
  std::vector<Path> devices;
  std::vector<Path> denied;
};

// `path` is `folder` or lies beneath it, comparing names only (both canonical).
[[nodiscard]] bool IsWithin(const Path& path, const Path& folder);

// Programs, libraries, /etc, /proc and the CPU list of this machine, as far as they exist: what any program needs.
[[nodiscard]] AccessRules SystemRules();

// The folders of the shared libraries that `program` loads at start and that `rules` do not cover yet. Asks the dynamic
// loader (LD_TRACE_LOADED_OBJECTS), which loads the libraries without running the program. `program` is trusted.
// Throws Error(kNotFound) when the program or one of its libraries is missing.
[[nodiscard]] std::vector<Path> LibraryFolders(const Path& program, const AccessRules& rules);

// Checks that every granted path exists and that no denied folder is reachable through one: beneath it, or bind-mounted
// beneath it. A granted path may lie beneath a denied one (pictures in /data, jobs in /data/jobs).
// Throws Error(kNotFound) for a missing grant, Error(kInvalidInput) for a reachable denied folder, naming both.
void CheckAccessRules(const AccessRules& rules);

// One line of /proc/self/mountinfo: `root` of the file system `device` is visible at `point`.
struct MountPoint {
  std::string device;  // "major:minor"
  Path root;
  Path point;
};
// Nothing for a line that has not the shape that proc(5) describes.
[[nodiscard]] std::optional<MountPoint> ParseMountLine(std::string_view line);
[[nodiscard]] std::vector<MountPoint> ReadMountPoints();

// Other paths under which `folder` (canonical) is visible, as a whole or in part, through bind mounts.
[[nodiscard]] std::vector<Path> OtherNamesOf(const Path& folder, const std::vector<MountPoint>& mounts);

}  // namespace hemafed
