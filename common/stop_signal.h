// common/stop_signal.h
// SPDX-License-Identifier: Apache-2.0
//
// Ctrl-C and SIGTERM as a question that loops ask: the handler only sets a flag and calls one async-signal-safe
// function.
//
// Thread-safety: install once, early in main; the rest from any thread.
#pragma once

namespace hemafed {

// Catches SIGINT and SIGTERM and ignores SIGPIPE. `wake` is called from the handler (may be null) and must be
// async-signal-safe.
void InstallStopSignals(void (*wake)() noexcept = nullptr);
[[nodiscard]] bool StopRequested() noexcept;

}  // namespace hemafed
