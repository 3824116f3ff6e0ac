// SPDX-License-Identifier: Apache-2.0
#include "common/clock.h"

#include <chrono>

namespace hemafed {

namespace {
template <typename ClockType>
std::int64_t SinceEpochMs() {
  const auto since_epoch = ClockType::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count();
}
}  // namespace

std::int64_t SystemClock::WallMs() const { return SinceEpochMs<std::chrono::system_clock>(); }
std::int64_t SystemClock::MonotonicMs() const { return SinceEpochMs<std::chrono::steady_clock>(); }

}  // namespace hemafed
