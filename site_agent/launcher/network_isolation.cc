// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/network_isolation.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "common/descriptor.h"
#include "common/error.h"
#include "site_agent/launcher/namespaces.h"

namespace hemafed {

void EnterEmptyNetwork(bool with_loopback) {
  EnterNamespaces(CLONE_NEWNET | CLONE_NEWIPC);
  if (!with_loopback) return;
  const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (!socket.valid() || ::ioctl(socket.number(), SIOCSIFFLAGS, &request) != 0) {
    throw Error(ErrorCode::kUnavailable,
                std::string("cannot bring up loopback in the trainer's own network: ") + std::strerror(errno));
  }
}

std::string WhyEmptyNetworkIsRefused() { return WhyNamespacesAreRefused(CLONE_NEWNET | CLONE_NEWIPC); }

}  // namespace hemafed
