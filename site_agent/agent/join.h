// site_agent/agent/join.h
// SPDX-License-Identifier: Apache-2.0
//
// Joins a consortium with an invitation: makes keys that never leave the lab, presents the public ones with the token's
// secret, shows the fingerprint that both people compare, and waits for the operator's approval.
//
// Interrupted, it can be run again with the same token: keys that are there are kept.
//
// Errors: kInvalidInput (token), kRefused (expired, used, rejected), kUnavailable (nobody answers within `patience_ms`;
// the message lists the possible causes), kInterrupted. Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/clock.h"
#include "site_agent/agent/site_folder.h"

namespace hemafed::agent {

struct JoinHooks {
  std::function<bool()> stop;
  std::function<void(const std::string&)> print;
};

// Returns after approval, with membership.json written. Waiting for the operator has no limit; reaching the coordinator
// has.
void Join(FileSystem& files, const Clock& clock, const SiteFolder& folder, const std::string& token,
          std::int64_t patience_ms, const JoinHooks& hooks);

}  // namespace hemafed::agent
