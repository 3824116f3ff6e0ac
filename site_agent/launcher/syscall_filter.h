// site_agent/launcher/syscall_filter.h
// SPDX-License-Identifier: Apache-2.0
//
// Seccomp filters for the two programs: a list of refused system calls on top of what the files and network rules take
// away. A list of allowed calls would be stricter, but LibTorch, OpenMP and GPU drivers use calls that differ by
// version and machine; instead every call newer than Linux 5.17 (the newest that libseccomp 2.5.4 of Debian 12 names)
// is answered ENOSYS, so that a refused feature cannot come back under a new number. Calls of other architectures
// (32-bit, x32) end the process.
//
// Refused to both programs, with EPERM:
//   other processes    ptrace, process_vm_*, process_madvise, pidfd_getfd, kcmp, perf_event_open
//   new surroundings   unshare, setns, clone with namespace flags (clone3: ENOSYS, so libraries fall back to clone),
//                      mounts old and new, chroot, pivot_root, open_by_handle_at
//   the kernel         modules, kexec, bpf, io_uring, userfaultfd, keyrings, fanotify, swap, quotas, clocks, ports
//   side doors         System V and POSIX shared memory and queues, typing into a terminal (TIOCSTI, TIOCLINUX)
// Refused to the trainer, with EACCES: socket (every family), bind, listen, accept, connect; socketpair stays for
//   connected local pairs, which cannot be pointed elsewhere. With kLoopbackOnly: IPv4, IPv6 and route netlink stay, in
//   a namespace where they lead nowhere.
// Refused to the agent: sockets other than IPv4, IPv6 and route netlink (a container engine's socket is root); listen
//   and accept, with EACCES; links and device nodes; changing mode, owner, times, size or attributes by path and
//   watching folders (Landlock does not cover these; the descriptor forms stay, and a descriptor must first be opened);
//   clearing its parent-death signal.
//
// Thread-safety: acts on the calling thread and those it starts; call last before exec, after everything the filter
// refuses. Needs no_new_privs (set here if it is not).
#pragma once

#include "site_agent/launcher/network_isolation.h"

namespace hemafed {

// Throws Error(kUnavailable) when the kernel has no seccomp filters or refuses this one.
void InstallSyscallFilter(NetworkPolicy policy);

// Empty when filters work here, otherwise the reason. Tried in a child.
[[nodiscard]] std::string WhySyscallFilterIsRefused();

}  // namespace hemafed
