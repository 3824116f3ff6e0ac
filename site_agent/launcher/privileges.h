// site_agent/launcher/privileges.h
// SPDX-License-Identifier: Apache-2.0
//
// Gives up, for good, every privilege that could undo a restriction.
//
//  - no_new_privs: no program started from here on gains anything through set-user-id bits or file capabilities.
//  - All capabilities leave the effective, permitted, inheritable and ambient sets, and the bounding set where the
//    process may change it. Under user id 0 the securebits are locked so that exec does not bring them back.
//
// Consequence for a launcher run as root: the programs have user id 0 without root's powers; they open files by
// ordinary permission bits. Folders should belong to the user that runs the launcher.
//
// Throws Error(kUnavailable) if, afterwards, any capability is left or no_new_privs is not set.
//
// Thread-safety: acts on the calling thread; call before the process has threads.
#pragma once

namespace hemafed {

void DropPrivileges();

// Whether the effective set of the calling thread holds CAP_SYS_ADMIN (in its user namespace).
[[nodiscard]] bool HasAdminCapability();

}  // namespace hemafed
