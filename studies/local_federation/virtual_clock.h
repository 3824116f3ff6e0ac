// studies/local_federation/virtual_clock.h
// SPDX-License-Identifier: Apache-2.0
//
// Time of a simulated federation. Wall time, which log entries carry, follows from the log alone:
//
//     wall = time of the last entry + kEntryMs + idle since then,
//
// so a simulation that was interrupted anywhere and goes on writes the same entries as one that was not, although it
// sends a few messages more. Monotonic time, which pings and stalls are measured by, moves with each message.
//
// Idle is what passes while nobody has anything to do but wait for somebody who is late. A simulation that goes on in
// the middle of it waits from the last entry on again.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "common/clock.h"

namespace hemafed::studies {

inline constexpr std::int64_t kSimulatedStartMs = 1'700'000'000'000;  // An instant like any other; part of the log.
inline constexpr std::int64_t kEntryMs = 1'000;                       // Between two entries of a log.
inline constexpr std::int64_t kMessageMs = 1;                         // One message on its way.

// The end of a log.
struct LogEnd {
  std::uint64_t entries = 0;
  std::int64_t at_ms = kSimulatedStartMs;  // Of the last entry.
};

class VirtualClock final : public Clock {
 public:
  // `end` is asked at each reading.
  explicit VirtualClock(std::function<LogEnd()> end) : end_(std::move(end)) {}

  [[nodiscard]] std::int64_t WallMs() const override {
    const LogEnd end = end_();
    return end.at_ms + kEntryMs + (end.entries == idle_after_ ? idle_ms_ : 0);
  }
  [[nodiscard]] std::int64_t MonotonicMs() const override { return monotonic_ms_; }

  void PassMessage() { monotonic_ms_ += kMessageMs; }
  void PassIdle(std::int64_t ms) {
    const std::uint64_t entries = end_().entries;
    if (entries != idle_after_) idle_ms_ = 0;
    idle_after_ = entries;
    idle_ms_ += ms;
    monotonic_ms_ += ms;
  }

 private:
  std::function<LogEnd()> end_;
  std::int64_t monotonic_ms_ = 0;
  std::uint64_t idle_after_ = 0;  // Entries in the log when idling began.
  std::int64_t idle_ms_ = 0;
};

}  // namespace hemafed::studies
