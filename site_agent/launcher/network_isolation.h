// site_agent/launcher/network_isolation.h
// SPDX-License-Identifier: Apache-2.0
//
// Takes the network away from the trainer by two means that hold independently:
//
//     namespace  a network namespace of its own with no interface up (or loopback only), so that nothing is reachable
//                whatever socket exists; System V and POSIX message queues and shared memory are separate too
//     filter     syscall_filter.h refuses to make a socket at all
//
// Where the machine permits no namespaces, the filter alone holds. Sockets of the file system (AF_UNIX paths such as a
// container engine's) belong to no network namespace, so the filter refuses them even where loopback is wanted.
//
// Thread-safety: acts on the whole process, which must have one thread.
#pragma once

#include <cstdint>
#include <string>

namespace hemafed {

enum class NetworkPolicy : std::uint8_t {
  kOutbound,      // The agent: TCP and UDP over IPv4 and IPv6.
  kNone,          // The trainer: no socket, no network.
  kLoopbackOnly,  // The trainer on several devices: TCP among its own processes; needs the namespace.
};

// Enters a new network and IPC namespace; brings its loopback interface up if asked.
// Throws Error(kUnavailable) when the machine does not permit it; the process must then end.
void EnterEmptyNetwork(bool with_loopback);

// Empty when EnterEmptyNetwork would succeed here, otherwise the reason. Tried in a child.
[[nodiscard]] std::string WhyEmptyNetworkIsRefused();

}  // namespace hemafed
