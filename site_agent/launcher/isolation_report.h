// site_agent/launcher/isolation_report.h
// SPDX-License-Identifier: Apache-2.0
//
// What keeps pictures and network apart on this machine and with these settings, for `hemafed-site check`: first what
// the machine supports, then what really happens when a process with the agent's or the trainer's restrictions tries.
// Nothing is concluded from the first part: a row "holds" only because an attempt was refused (or, for what must work,
// succeeded). Pictures are opened by name only to see whether that is refused; no content is read.
//
// Thread-safety: forks; the calling process must have one thread.
#pragma once

#include <string>
#include <vector>

#include "site_agent/launcher/site_programs.h"

namespace hemafed {

enum class CheckResult : std::uint8_t {
  kHolds,  // As it should be.
  kNote,   // Absent, but something else does the work.
  kFails,  // The rule is not kept: do not run the site like this.
};

struct CheckRow {
  std::string check;  // "agent opens a picture"
  CheckResult result = CheckResult::kFails;
  std::string found;   // "refused (Permission denied)"
  std::string advice;  // What to do; empty when there is nothing to do.
};

// What this machine supports, whatever the settings: Landlock, namespaces, filters, openat2.
[[nodiscard]] std::vector<CheckRow> CheckMachine();

// Tries under the real restrictions. Restrictions that cannot be put on give one failing row with the reason.
[[nodiscard]] std::vector<CheckRow> CheckAgent(const Restrictions& agent);
[[nodiscard]] std::vector<CheckRow> CheckTrainer(const Restrictions& trainer);

[[nodiscard]] bool AllHold(const std::vector<CheckRow>& rows);

// Columns check, result, found, and an indented line of advice where there is one.
[[nodiscard]] std::string FormatChecks(const std::vector<CheckRow>& rows);

}  // namespace hemafed
