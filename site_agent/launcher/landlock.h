// site_agent/launcher/landlock.h
// SPDX-License-Identifier: Apache-2.0
//
// Enforces AccessRules with Landlock (Linux 5.13 and later; landlock(7)): the calling process and all its descendants
// reach the listed paths and nothing else, as any user, root included, and for good. Besides files it takes away, where
// the kernel's ABI has it: looking into processes outside (always), TCP (ABI 4, on request), signals and abstract
// sockets to processes outside (ABI 6).
//
//     ABI 1 (5.13)  not used: renames between folders are always refused, which the job folder needs
//     ABI 2 (5.19)  Debian 12's stock kernel 6.1; truncate by path is not covered (syscall_filter.h refuses it)
//     ABI 3 (6.2)   truncate;  ABI 4 (6.7) TCP;  ABI 5 (6.10) device ioctl;  ABI 6 (6.12) scopes
//
// What Landlock leaves open whatever the ABI, and who closes it: changing mode, owner, times and attributes by path and
// watching folders (inotify): syscall_filter.h. stat, access and readlink stay open: a restricted process can learn
// whether a file exists whose full path it guesses, its size and times.
//
// Thread-safety: RestrictWithLandlock acts on the calling thread; the process must have one.
#pragma once

#include "site_agent/launcher/access_rules.h"

namespace hemafed {

inline constexpr int kOldestLandlockAbi = 2;
inline constexpr int kNewestLandlockAbi = 7;  // Rights beyond this ABI are unknown here and stay as they were.

// The kernel's ABI; 0 where Landlock is not built in, not enabled at boot, or hidden by a container's filter.
[[nodiscard]] int LandlockAbi();

// `abi`: at most LandlockAbi(); a smaller one behaves as an older kernel would. `refuse_tcp` needs ABI 4 and is left
// out below. Sets no_new_privs. Grants must exist; see CheckAccessRules.
// Throws Error(kUnavailable) if the kernel refuses, Error(kInvalidInput) for an ABI outside 2 .. LandlockAbi().
void RestrictWithLandlock(const AccessRules& rules, bool refuse_tcp, int abi);

}  // namespace hemafed
