// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/access_rules.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <system_error>

#include "common/error.h"
#include "site_agent/launcher/loader_trace.h"

namespace hemafed {

namespace {

// Octal escapes of mountinfo: "\040" is a space.
std::string Unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t k) { return text[i + k] >= '0' && text[i + k] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && digit(1) && digit(2) && digit(3)) {
      out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

Path Canonical(const Path& path) {
  std::error_code error;
  const Path canonical = std::filesystem::canonical(path, error);
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) {
    throw Error(ErrorCode::kNotFound, path.string() + " does not exist; create it or correct the site's settings");
  }
  if (error) throw Error(ErrorCode::kUnavailable, "cannot resolve " + path.string() + ": " + error.message());
  return canonical;
}

// A denied folder may be made later; what exists of its path is resolved all the same.
Path CanonicalIfPresent(const Path& path) {
  std::error_code error;
  const Path canonical = std::filesystem::weakly_canonical(path, error);
  if (error) throw Error(ErrorCode::kUnavailable, "cannot resolve " + path.string() + ": " + error.message());
  return canonical;
}

bool SameFile(const Path& one, const Path& other) {
  std::error_code error;
  return std::filesystem::equivalent(one, other, error) && !error;
}

const MountPoint* MountOf(const Path& folder, const std::vector<MountPoint>& mounts) {
  const MountPoint* found = nullptr;
  for (const MountPoint& mount : mounts) {
    // The last of several mounts on one point covers the earlier ones.
    const bool deeper = found == nullptr || mount.point.native().size() >= found->point.native().size();
    if (IsWithin(folder, mount.point) && deeper) found = &mount;
  }
  return found;
}

Path Below(const Path& folder, const Path& relative) { return relative == "." ? folder : folder / relative; }

}  // namespace

bool IsWithin(const Path& path, const Path& folder) {
  const auto [in_folder, in_path] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  // "/a/" iterates with an empty last element.
  return in_folder == folder.end() || (in_folder->empty() && std::next(in_folder) == folder.end());
}

AccessRules SystemRules() {
  AccessRules rules;
  // /etc as a folder, not by file: resolv.conf and others are replaced by rename while programs run.
  for (const char* path :
       {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/proc", "/sys/devices/system/cpu"}) {
    if (std::filesystem::exists(path)) rules.read_only.emplace_back(path);
  }
  // Resolvers keep the real resolv.conf in a folder of their own below /run.
  std::error_code error;
  const Path resolver = std::filesystem::canonical("/etc/resolv.conf", error).parent_path();
  if (!error && IsWithin(resolver, "/run") && resolver != "/run") rules.read_only.push_back(resolver);
  for (const char* path : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}) {
    if (std::filesystem::exists(path)) rules.devices.emplace_back(path);
  }
  return rules;
}

std::vector<Path> LibraryFolders(const Path& program, const AccessRules& rules) {
  std::vector<Path> granted;
  for (const Path& path : rules.read_only) granted.push_back(Canonical(path));
  std::vector<Path> folders;
  for (const Path& library : TraceLoadedObjects(program)) {
    const Path folder = Canonical(library).parent_path();
    const auto covers = [&](const Path& path) { return IsWithin(folder, path); };
    if (std::any_of(granted.begin(), granted.end(), covers)) continue;
    granted.push_back(folder);
    folders.push_back(folder);
  }
  return folders;
}

void CheckAccessRules(const AccessRules& rules) {
  std::vector<Path> granted;
  for (const auto* list : {&rules.read_only, &rules.read_write, &rules.devices}) {
    for (const Path& path : *list) granted.push_back(Canonical(path));
  }
  const std::vector<MountPoint> mounts = ReadMountPoints();
  for (const Path& denied : rules.denied) {
    const Path folder = CanonicalIfPresent(denied);
    std::vector<Path> names = OtherNamesOf(folder, mounts);
    names.insert(names.begin(), folder);
    for (const Path& name : names) {
      for (const Path& grant : granted) {
        if (!IsWithin(name, grant)) continue;
        throw Error(ErrorCode::kInvalidInput,
                    "the folder " + denied.string() + " must stay out of reach, but it lies at " + name.string() +
                        ", inside " + grant.string() + ", which the program may read; move one of them");
      }
    }
  }
}

std::optional<MountPoint> ParseMountLine(std::string_view line) {
  // 36 35 98:0 /root/in/filesystem /mount/point options ... (proc(5))
  std::istringstream fields{std::string(line)};
  std::string id, parent, device, root, point;
  if (!(fields >> id >> parent >> device >> root >> point)) return std::nullopt;
  root = Unescape(root);
  point = Unescape(point);
  // Mounts of namespaces and the like have roots such as "net:[4026531840]"; they hold no folders.
  if (root.front() != '/' || point.front() != '/') return std::nullopt;
  return MountPoint{device, root, point};
}

std::vector<MountPoint> ReadMountPoints() {
  std::ifstream file("/proc/self/mountinfo");
  if (!file) {
    throw Error(ErrorCode::kUnavailable, "cannot read /proc/self/mountinfo; isolation needs /proc mounted");
  }
  std::vector<MountPoint> mounts;
  for (std::string line; std::getline(file, line);) {
    if (auto mount = ParseMountLine(line)) mounts.push_back(std::move(*mount));
  }
  return mounts;
}

std::vector<Path> OtherNamesOf(const Path& folder, const std::vector<MountPoint>& mounts) {
  const MountPoint* home = MountOf(folder, mounts);
  if (home == nullptr) return {};
  const Path inside = Below(home->root, folder.lexically_relative(home->point)).lexically_normal();
  std::vector<Path> names;
  for (const MountPoint& mount : mounts) {
    if (mount.device != home->device) continue;
    Path name, same;
    if (IsWithin(inside, mount.root)) {  // The mount shows the whole folder.
      name = Below(mount.point, inside.lexically_relative(mount.root)).lexically_normal();
      same = folder;
    } else if (IsWithin(mount.root, inside)) {  // The mount shows a part of it.
      name = mount.point;
      same = Below(folder, mount.root.lexically_relative(inside)).lexically_normal();
    } else {
      continue;
    }
    // A mount that another one hides shows something else under its name.
    if (name != folder && !IsWithin(name, folder) && SameFile(name, same)) names.push_back(name);
  }
  return names;
}

}  // namespace hemafed
