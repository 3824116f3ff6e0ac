// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/waker.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "common/error.h"

namespace hemafed::wire {

Waker::Waker() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (descriptor_ < 0) {
    throw Error(ErrorCode::kUnavailable, "no file descriptor left for an endpoint; raise the limit (ulimit -n)");
  }
}

Waker::~Waker() { ::close(descriptor_); }

void Waker::Wake() noexcept {
  const std::uint64_t one = 1;
  // The only failure is a counter at its maximum: then the waiter is woken anyway.
  [[maybe_unused]] const auto written = ::write(descriptor_, &one, sizeof(one));
}

bool Waker::Drain() noexcept {
  std::uint64_t count = 0;
  return ::read(descriptor_, &count, sizeof(count)) == static_cast<ssize_t>(sizeof(count));
}

}  // namespace hemafed::wire
