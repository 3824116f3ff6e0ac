// protocol/wire/waker.h
// SPDX-License-Identifier: Apache-2.0
//
// Ends another thread's wait in an endpoint. Wake() only writes to an eventfd, so a signal handler may call it.
//
// Errors: the constructor throws Error(kUnavailable) when no descriptor is left.
// Thread-safety: Wake from any thread or signal handler; the rest from the thread that waits.
#pragma once

namespace hemafed::wire {

class Waker {
 public:
  Waker();
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  void Wake() noexcept;
  // True if Wake was called since the last time; for polling.
  [[nodiscard]] bool Drain() noexcept;
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace hemafed::wire
