// site_agent/launcher/private_root.h
// SPDX-License-Identifier: Apache-2.0
//
// Enforces AccessRules without Landlock: the process gets a mount namespace of its own whose root is an empty,
// read-only tmpfs with nothing in it but the listed paths (read-only, or writable but not executable), then leaves the
// old root.
//
// Why not the old root with empty folders laid over the denied ones: that leaves everything else in reach, such as
// other bind mounts of the pictures, the raw disk under user id 0, and /proc/<pid>/root of other processes. Here /proc
// holds `self` and a few files about the machine, so no other process can be looked into.
//
// Differences from Landlock that a program can notice: a path that is not listed does not exist (ENOENT, not EACCES),
// /proc/<pid> of others is absent, free space of / is a few KB, mounts that appear later are not seen, and a rename
// from one listed folder to another fails (EXDEV). A read_only path beneath a read_write one is writable in both.
//
// Undoing it needs CAP_SYS_ADMIN: DropPrivileges must follow, and syscall_filter.h refuses the calls besides.
//
// Thread-safety: acts on the whole process, which must have one thread. The current folder becomes "/".
#pragma once

#include "site_agent/launcher/access_rules.h"

namespace hemafed {

// Throws Error(kUnavailable) when the machine refuses a step (see namespaces.h); the process must then end.
void EnterPrivateRoot(const AccessRules& rules);

}  // namespace hemafed
