// common/clock.h
// SPDX-License-Identifier: Apache-2.0
//
// Time as an interface, so that state machines run under virtual time in tests and in the simulator. Wall time is used
// for log entries and token expiry only; every wait and rate uses monotonic time.
//
// Thread-safety: SystemClock from any thread; ManualClock from one thread.
#pragma once

#include <cstdint>

namespace hemafed {

class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds since 1970-01-01T00:00:00Z. May jump when the machine's clock is set.
  [[nodiscard]] virtual std::int64_t WallMs() const = 0;
  // Milliseconds since an arbitrary start; never goes back.
  [[nodiscard]] virtual std::int64_t MonotonicMs() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] std::int64_t WallMs() const override;
  [[nodiscard]] std::int64_t MonotonicMs() const override;
};

// A clock that moves only when told.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(std::int64_t wall_ms = 0) : wall_ms_(wall_ms) {}
  [[nodiscard]] std::int64_t WallMs() const override { return wall_ms_; }
  [[nodiscard]] std::int64_t MonotonicMs() const override { return monotonic_ms_; }
  void Advance(std::int64_t ms) {
    wall_ms_ += ms;
    monotonic_ms_ += ms;
  }

 private:
  std::int64_t wall_ms_;
  std::int64_t monotonic_ms_ = 0;
};

}  // namespace hemafed
