// SPDX-License-Identifier: Apache-2.0
#include "common/stop_signal.h"

#include <signal.h>

#include <atomic>

namespace hemafed {

namespace {

std::atomic<bool> stop_requested{false};
std::atomic<void (*)() noexcept> wake_function{nullptr};

void OnSignal(int /*number*/) {
  stop_requested.store(true);
  if (const auto wake = wake_function.load()) wake();
}

}  // namespace

void InstallStopSignals(void (*wake)() noexcept) {
  wake_function.store(wake);
  struct sigaction action {};
  action.sa_handler = OnSignal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

bool StopRequested() noexcept { return stop_requested.load(); }

}  // namespace hemafed
