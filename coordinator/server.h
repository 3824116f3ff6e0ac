// coordinator/server.h
// SPDX-License-Identifier: Apache-2.0
//
// The loop that carries messages between the two endpoints (work, enrolment) and the Service, keeps the allow-list
// equal to the roster, writes status.json for people and tools, and prints what happens.
//
// Errors: kUnavailable if an address cannot be bound; those of the Service. Thread-safety: one thread.
#pragma once

#include <functional>
#include <string>

#include "common/clock.h"
#include "coordinator/consortium_folder.h"

namespace hemafed::coordinator {

struct ServerHooks {
  std::function<bool()> stop;                             // Asked after every wait.
  std::function<void(const std::string&)> print;          // One line for the operator.
  std::function<void(std::function<void()>)> on_started;  // Receives what wakes the loop (may be ignored).
};

// Returns when asked to stop or, with `until_finished`, once the plan is closed and every site was told.
void RunServer(FileSystem& files, const Clock& clock, const Consortium& consortium, bool until_finished,
               const ServerHooks& hooks);

}  // namespace hemafed::coordinator
