// site_agent/agent/agent_loop.h
// SPDX-License-Identifier: Apache-2.0
//
// Carries messages between the coordinator and the Session, and looks for the trainer's results in between.
//
// Errors: those of the Session. An unreachable coordinator is not an error: dialling goes on, and the possible causes
// are printed once each time they change. Thread-safety: one thread.
#pragma once

#include <functional>
#include <string>

#include "common/clock.h"
#include "site_agent/agent/site_folder.h"

namespace hemafed::agent {

struct AgentHooks {
  std::function<bool()> stop;
  std::function<void(const std::string&)> print;
};

// Returns when asked to stop or, with `until_finished`, once the plan is finished and its model is here.
void RunAgent(FileSystem& files, const Clock& clock, const SiteFolder& folder, bool until_finished,
              const AgentHooks& hooks);

}  // namespace hemafed::agent
