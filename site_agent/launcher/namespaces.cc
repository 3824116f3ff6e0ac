// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/namespaces.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/descriptor.h"
#include "common/error.h"
#include "site_agent/launcher/privileges.h"
#include "site_agent/launcher/trial.h"

namespace hemafed {

namespace {

[[noreturn]] void ThrowRefused(const std::string& what) {
  throw Error(ErrorCode::kUnavailable, "cannot " + what + ": " + std::strerror(errno));
}

void WriteProcFile(const char* path, const std::string& text) {
  const Descriptor file(::open(path, O_WRONLY | O_CLOEXEC));
  if (!file.valid() || ::write(file.number(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    ThrowRefused(std::string("write ") + path);
  }
}

std::string IdentityMap(unsigned id) { return std::to_string(id) + " " + std::to_string(id) + " 1\n"; }

}  // namespace

void EnterNamespaces(int kinds) {
  if (HasAdminCapability() && ::unshare(kinds) == 0) return;
  const unsigned user = ::geteuid(), group = ::getegid();
  if (::unshare(CLONE_NEWUSER | kinds) != 0) ThrowRefused("make namespaces of our own");
  // Without this an ordinary user may not write the group map (user_namespaces(7)); older groups keep their effect.
  WriteProcFile("/proc/self/setgroups", "deny");
  WriteProcFile("/proc/self/uid_map", IdentityMap(user));
  WriteProcFile("/proc/self/gid_map", IdentityMap(group));
}

std::string WhyNamespacesAreRefused(int kinds) {
  return RunTrial([kinds]() -> std::string {
    try {
      EnterNamespaces(kinds);
    } catch (const Error& error) {
      return error.what();
    }
    // Some machines hand out user namespaces but no powers inside them.
    if ((kinds & CLONE_NEWNS) != 0 && (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
                                       ::mount("hemafed", "/proc", "tmpfs", MS_NOSUID | MS_NODEV, "size=4k") != 0)) {
      return std::string("cannot mount inside a namespace of our own: ") + std::strerror(errno);
    }
    return "";
  });
}

}  // namespace hemafed
