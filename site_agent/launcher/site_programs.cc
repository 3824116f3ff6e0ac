// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/site_programs.h"

#include <algorithm>
#include <string>
#include <system_error>

namespace hemafed {

namespace {

void Append(std::vector<Path>& to, const std::vector<Path>& from) { to.insert(to.end(), from.begin(), from.end()); }

void GrantProgram(AccessRules& rules, const Path& program) {
  rules.read_only.push_back(program);
  Append(rules.read_only, LibraryFolders(program, rules));
}

// GPU device files under the names that the NVIDIA and AMD drivers give them; none on a machine without.
std::vector<Path> GpuDevices() {
  std::vector<Path> devices;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/dev", error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("nvidia") || name == "kfd" || name == "dri") devices.push_back(entry.path());
  }
  std::sort(devices.begin(), devices.end());
  return devices;
}

}  // namespace

Restrictions AgentRestrictions(const SiteFolders& folders, const Path& program) {
  Restrictions restrictions;
  restrictions.files = SystemRules();
  GrantProgram(restrictions.files, program);
  Append(restrictions.files.read_only, folders.agent_settings);
  restrictions.files.read_write = {folders.keys, folders.jobs};
  restrictions.files.denied = folders.pictures;
  Append(restrictions.files.denied, folders.trainer);
  restrictions.network = NetworkPolicy::kOutbound;
  return restrictions;
}

Restrictions TrainerRestrictions(const SiteFolders& folders, const Path& program, NetworkPolicy network) {
  Restrictions restrictions;
  restrictions.files = SystemRules();
  GrantProgram(restrictions.files, program);
  restrictions.files.read_only.emplace_back("/sys");
  Append(restrictions.files.read_only, folders.pictures);
  Append(restrictions.files.read_only, folders.trainer_settings);
  restrictions.files.read_write = folders.trainer;
  restrictions.files.read_write.push_back(folders.jobs);
  Append(restrictions.files.devices, GpuDevices());
  // Processes on several devices share memory through files here.
  if (network == NetworkPolicy::kLoopbackOnly) restrictions.files.read_write.emplace_back("/dev/shm");
  restrictions.files.denied = {folders.keys};
  restrictions.files_required = false;
  restrictions.network = network;
  return restrictions;
}

}  // namespace hemafed
