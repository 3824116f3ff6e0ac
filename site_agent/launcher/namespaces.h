// site_agent/launcher/namespaces.h
// SPDX-License-Identifier: Apache-2.0
//
// Moves the calling process into new namespaces: directly where it has CAP_SYS_ADMIN, otherwise inside a new user
// namespace that maps only the process's own user and group onto themselves (file ownership and permissions stay).
// A user namespace grants capabilities over the new namespaces only; DropPrivileges (privileges.h) takes them away.
//
// Thread-safety: acts on the whole process, which must have one thread.
#pragma once

#include <string>

namespace hemafed {

// `kinds`: CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWIPC, combined. Throws Error(kUnavailable) with the system's words when
// the machine does not permit it; the process must then not go on, as it may be half-way.
void EnterNamespaces(int kinds);

// Tries EnterNamespaces, and a mount where CLONE_NEWNS is asked for, in a child that ends at once.
// Empty when permitted, otherwise the reason in words.
[[nodiscard]] std::string WhyNamespacesAreRefused(int kinds);

}  // namespace hemafed
