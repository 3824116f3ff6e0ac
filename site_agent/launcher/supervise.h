// site_agent/launcher/supervise.h
// SPDX-License-Identifier: Apache-2.0
//
// Runs the site's programs side by side: starts each restricted (restricted_program.h), passes their output on line by
// line, starts a crashed one again, and ends them together.
//
//     a program ends by ...                          then
//     status 0                                       it is finished: the others are asked to stop, result 0
//     a signal, unavailable, interrupted, internal   it starts again after a delay that doubles from first_delay_ms to
//     or a status that is none of ours               longest_delay_ms; most_restarts_in_a_row of these without a run of
//                                                    stable_after_ms in between are too many: all stop, its status
//     any other status of common/error.h, usage (2)  repeating cannot help: all stop, its status
//
// SIGINT, SIGTERM and SIGHUP to the launcher are passed on as SIGTERM, again for each one received; programs still
// running stop_grace_ms after the first are killed. If the launcher is killed, the programs die with it.
//
// Thread-safety: runs in the calling thread, which must be the only one, until all programs have ended. Blocks the
// three signals meanwhile and restores the mask.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "site_agent/launcher/restricted_program.h"

namespace hemafed {

struct RestartLimits {
  std::int64_t first_delay_ms = 500;
  std::int64_t longest_delay_ms = 60'000;
  std::int64_t stable_after_ms = 60'000;  // A run this long counts as healthy: delays start over.
  int most_restarts_in_a_row = 10;        // About six minutes of trying with the delays above.
  std::int64_t stop_grace_ms = 20'000;    // A trainer writes its checkpoint within this time.
};

// Longest line that is passed on whole, in bytes; a longer one comes in pieces. Log lines have a few hundred.
inline constexpr std::size_t kMaxOutputLineBytes = 8192;

// One line of output without its end, control characters replaced by '?' (the agent talks to strangers; a terminal
// obeys escape sequences). `program`: the name of its spec, or "launcher" for what the launcher itself has to say.
using LineSink = std::function<void(std::string_view program, bool is_error, std::string_view line)>;

// "name | line" to standard output or standard error, flushed.
void PrintLine(std::string_view program, bool is_error, std::string_view line);

struct SupervisionResult {
  bool asked_to_stop = false;  // By a signal to the launcher.
  int exit_status = 0;         // 0, or the status that ended the run (kInternal's for a signal).
  std::string reason;          // In words, with the program's name; empty when asked to stop.
};

// Throws Error as RestrictedProgram does when a program cannot be started the first time; the others are ended then.
[[nodiscard]] SupervisionResult SuperviseSiblings(const std::vector<ProgramSpec>& programs, const RestartLimits& limits,
                                                  const Clock& clock, const LineSink& sink = PrintLine);

// What to do about an end, by the table above.
enum class AfterEnd : std::uint8_t { kFinished, kStartAgain, kGiveUp };
[[nodiscard]] AfterEnd JudgeEnd(const ProgramEnd& end);

// Delay before the restart with this number (1 is the first): first_delay_ms doubled number-1 times, capped.
[[nodiscard]] std::int64_t RestartDelayMs(const RestartLimits& limits, int number);

}  // namespace hemafed
