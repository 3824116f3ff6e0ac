// common/error.h
// SPDX-License-Identifier: Apache-2.0
//
// The one exception type of the project. An error that ends an operation is thrown as Error; an outcome that a caller
// branches on (a refused frame, a file that is not there) is a value instead.
//
// The code answers one question: what should the caller do next? The message answers three for a person: what
// happened, where, and what to do about it. Messages never contain secrets or picture contents.
//
// Thread-safety: value type.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace hemafed {

enum class ErrorCode : std::uint8_t {
  kInvalidInput = 1,  // The caller's bytes, file, setting or argument is wrong: correct it, then call again.
  kNotFound = 2,      // The named thing does not exist: name another one, or create it first.
  kConflict = 3,      // The state does not allow it now: change the state (or restart the round), then call again.
  kUnavailable = 4,   // A peer or resource did not answer: the same call may work later.
  kRefused = 5,       // A peer or a rule said no, for a named reason: do not repeat unchanged.
  kCorrupt = 6,       // Stored bytes are damaged: stop, restore the named file from a copy.
  kNoSpace = 7,       // The disk or a stated limit is full: make room, then resume; nothing acknowledged is lost.
  kInterrupted = 8,   // A person or a signal asked to stop: start again to resume.
  kInternal = 9,      // A defect of this program: report it with the message.
};

// Stable lower-case name ("invalid_input"), used in logs, JSON and docs/codes/.
[[nodiscard]] std::string_view ErrorCodeName(ErrorCode code) noexcept;

// Process exit status for a code; documented in docs/codes/README.md. 0 is success and is never returned.
[[nodiscard]] int ExitStatus(ErrorCode code) noexcept;

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  [[nodiscard]] ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace hemafed
