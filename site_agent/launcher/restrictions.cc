// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/restrictions.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/error.h"
#include "site_agent/launcher/landlock.h"
#include "site_agent/launcher/namespaces.h"
#include "site_agent/launcher/private_root.h"
#include "site_agent/launcher/privileges.h"
#include "site_agent/launcher/syscall_filter.h"

namespace hemafed {

namespace {

constexpr const char* kLandlockAdvice =
    "Landlock needs Linux 5.19 or later with `landlock` in the kernel's lsm= list (Debian 12 has both), and a "
    "container "
    "must not hide it";
constexpr const char* kNamespaceAdvice =
    "allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, or the distribution's "
    "AppArmor switch), or start the launcher with CAP_SYS_ADMIN";

std::string LandlockName(int abi) { return "Landlock ABI " + std::to_string(abi); }

void ChooseForFiles(const Restrictions& restrictions, Mechanisms& chosen) {
  const FileMechanism wanted = restrictions.file_mechanism;
  if (wanted == FileMechanism::kNone) return;
  const int abi = std::min({LandlockAbi(), kNewestLandlockAbi, restrictions.newest_landlock_abi});
  if (wanted != FileMechanism::kPrivateRoot && abi >= kOldestLandlockAbi) {
    chosen.files = FileMechanism::kLandlock;
    chosen.landlock_abi = abi;
    return;
  }
  const std::string no_landlock = LandlockName(abi) + " is too old or absent; " + kLandlockAdvice;
  if (wanted == FileMechanism::kLandlock) throw Error(ErrorCode::kUnavailable, no_landlock);
  const std::string refused = WhyNamespacesAreRefused(CLONE_NEWNS);
  if (refused.empty()) {
    chosen.files = FileMechanism::kPrivateRoot;
    return;
  }
  const std::string no_private_root = "no private root: " + refused + "; " + kNamespaceAdvice;
  if (wanted == FileMechanism::kPrivateRoot) throw Error(ErrorCode::kUnavailable, no_private_root);
  if (restrictions.files_required) {
    throw Error(ErrorCode::kUnavailable,
                "this machine can keep the folders of the other program out of reach in neither way. " + no_landlock +
                    ". " + no_private_root +
                    ". Or run the two programs in containers of their own (docker-compose.yml)");
  }
  chosen.remark = "files are not restricted: " + no_landlock + "; " + no_private_root;
}

void ChooseForNetwork(const Restrictions& restrictions, Mechanisms& chosen) {
  chosen.filter = restrictions.network;
  if (restrictions.network == NetworkPolicy::kOutbound) return;
  const bool loopback = restrictions.network == NetworkPolicy::kLoopbackOnly;
  const NetworkMechanism wanted = restrictions.network_mechanism;
  const bool required = loopback || wanted == NetworkMechanism::kNamespaceOnly;
  if (wanted == NetworkMechanism::kNamespaceOnly) chosen.filter = NetworkPolicy::kLoopbackOnly;
  if (wanted == NetworkMechanism::kFilterOnly) {
    if (!loopback) return;
    throw Error(ErrorCode::kInvalidInput,
                "several devices need a network namespace for their loopback; the filter alone was asked for");
  }
  const std::string refused = WhyEmptyNetworkIsRefused();
  chosen.network_namespace = refused.empty();
  if (refused.empty()) return;
  const std::string reason = "no network namespace: " + refused + "; " + kNamespaceAdvice;
  if (required) throw Error(ErrorCode::kUnavailable, reason);
  chosen.remark += (chosen.remark.empty() ? "" : "; ") + ("the filter alone keeps the network away: " + reason);
}

}  // namespace

std::string Mechanisms::Describe() const {
  std::string text = "files: ";
  switch (files) {
    case FileMechanism::kLandlock: text += LandlockName(landlock_abi); break;
    case FileMechanism::kPrivateRoot: text += "private root"; break;
    default: text += "not restricted"; break;
  }
  switch (filter) {
    case NetworkPolicy::kOutbound: return text + "; network: outbound only, by system call filter";
    case NetworkPolicy::kLoopbackOnly: return text + "; network: own namespace, loopback only";
    case NetworkPolicy::kNone: break;
  }
  return text + (network_namespace ? "; network: none, by own namespace and system call filter"
                                   : "; network: none, by system call filter alone");
}

Mechanisms ChooseMechanisms(const Restrictions& restrictions) {
  CheckAccessRules(restrictions.files);
  Mechanisms chosen;
  ChooseForFiles(restrictions, chosen);
  ChooseForNetwork(restrictions, chosen);
  if (const std::string refused = WhySyscallFilterIsRefused(); !refused.empty()) {
    throw Error(ErrorCode::kUnavailable, refused + "; the kernel needs CONFIG_SECCOMP_FILTER");
  }
  return chosen;
}

void ApplyRestrictions(const Restrictions& restrictions, const Mechanisms& mechanisms, const Path& working_folder,
                       const std::function<void()>& before_filter) {
  // Namespaces first: under Landlock mounts are frozen, and the filter refuses to make any.
  const bool loopback = restrictions.network == NetworkPolicy::kLoopbackOnly;
  if (mechanisms.network_namespace) EnterEmptyNetwork(loopback);
  if (mechanisms.files == FileMechanism::kPrivateRoot) EnterPrivateRoot(restrictions.files);
  if (mechanisms.files == FileMechanism::kLandlock) {
    const bool refuse_tcp = restrictions.network == NetworkPolicy::kNone && mechanisms.filter == NetworkPolicy::kNone;
    RestrictWithLandlock(restrictions.files, refuse_tcp, mechanisms.landlock_abi);
  }
  const Path folder = working_folder.empty() ? Path("/") : working_folder;
  if (::chdir(folder.c_str()) != 0) {
    throw Error(ErrorCode::kUnavailable, "cannot work in " + folder.string() + ": " + std::strerror(errno));
  }
  DropPrivileges();
  if (before_filter) before_filter();
  InstallSyscallFilter(mechanisms.filter);
}

}  // namespace hemafed
