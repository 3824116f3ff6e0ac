// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/privileges.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "common/error.h"

namespace hemafed {

namespace {

// The kernel numbers capabilities 0 .. 40 today and its sets have 64 bits; the first unknown number ends the loop.
constexpr unsigned long kMaxCapability = 63;

using CapabilitySets = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

CapabilitySets ReadCapabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  CapabilitySets sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) {
    throw Error(ErrorCode::kUnavailable, std::string("cannot read capabilities: ") + std::strerror(errno));
  }
  return sets;
}

[[noreturn]] void ThrowDrop(const char* what) {
  throw Error(ErrorCode::kUnavailable, std::string("cannot ") + what + ": " + std::strerror(errno) +
                                           "; the program is not started, because it could undo its restrictions");
}

}  // namespace

bool HasAdminCapability() { return (ReadCapabilities()[0].effective >> CAP_SYS_ADMIN & 1U) != 0; }

void DropPrivileges() {
  const bool may_change_bounds = (ReadCapabilities()[0].effective >> CAP_SETPCAP & 1U) != 0;
  if (may_change_bounds) {
    // Without this, exec under user id 0 fills the permitted set again from the bounding set.
    constexpr unsigned long kLocked = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                      SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                      SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    if (::prctl(PR_SET_SECUREBITS, kLocked, 0, 0, 0) != 0) ThrowDrop("lock the securebits");
    for (unsigned long capability = 0; capability <= kMaxCapability; ++capability) {
      if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
      if (errno == EINVAL) break;
      ThrowDrop("empty the capability bounding set");
    }
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ThrowDrop("set no_new_privs");
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) ThrowDrop("clear ambient capabilities");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const CapabilitySets none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) ThrowDrop("drop capabilities");

  for (const auto& half : ReadCapabilities()) {
    if ((half.effective | half.permitted | half.inheritable) == 0) continue;
    throw Error(ErrorCode::kUnavailable, "capabilities are left after dropping them; the program is not started");
  }
  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) ThrowDrop("keep no_new_privs");
}

}  // namespace hemafed
